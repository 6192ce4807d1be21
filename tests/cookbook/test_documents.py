"""What the README and the cookbook show runs, against the simulated providers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import farthing_sim

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / 'cookbook').glob('*.py'))
# What the README's blocks take for granted.
AROUND = """
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.core import Settings
from llama_index.llms.openai import OpenAI

agent = create_agent(ChatAnthropic(model='claude-sonnet-4-6', max_tokens=100), [])
Settings.embed_model = OpenAIEmbedding(model='text-embedding-3-small')
Settings.llm = OpenAI(model='gpt-5-mini')
index = VectorStoreIndex.from_documents([Document(text='Late parcels are refunded.')])
"""


@pytest.fixture(scope='module')
def environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    with farthing_sim.serving() as sim:
        yield {
            **os.environ,
            'ANTHROPIC_BASE_URL': sim.anthropic_url,
            'ANTHROPIC_API_KEY': 'simulated',
            'OPENAI_BASE_URL': sim.openai_url,
            'OPENAI_API_BASE': sim.openai_url,
            'OPENAI_API_KEY': 'simulated',
            'FARTHING_LEDGER': f'sqlite:///{tmp_path_factory.mktemp("ledger")}/farthing.db',
        }


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603, PLW1510 - commands of this repository; checked below
        arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize('recipe', RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_and_ends_with_its_costs(recipe, environment, tmp_path) -> None:
    printed = run([sys.executable, str(recipe)], environment, tmp_path)

    assert re.search(r'globex letters .* 1 calls 0\.0\d+ USD', printed)


@pytest.mark.xdist_group('readme')
def test_the_readmes_python_runs(environment, tmp_path) -> None:
    blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)
    script = tmp_path / 'readme.py'
    script.write_text(AROUND + '\n'.join(blocks))
    printed = run([sys.executable, str(script)], environment, tmp_path)

    assert len(blocks) >= 3
    assert 'Usage(' in printed


@pytest.mark.xdist_group('readme')
def test_the_readmes_commands_run(environment, tmp_path) -> None:
    text = (ROOT / 'README.md').read_text().replace('\\\n', ' ')
    commands = [
        line
        for block in re.findall(r'```console\n(.*?)```', text, re.DOTALL)
        for line in block.splitlines()
        if line.startswith('farthing ')
    ]
    assert len(commands) >= 6
    for command in commands:
        run(['bash', '-c', command], environment, tmp_path)
