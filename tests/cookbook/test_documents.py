"""What the README and the cookbook show runs, against the simulated providers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import farthing_sim

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / 'cookbook').glob('*.py'))
CACHING = [one for one in RECIPES if one.stem.startswith('02')]
ROUTING = [one for one in RECIPES if one.stem.startswith('03')]
COSTS = r'globex letters .*[1-9]\d* calls 0\.\d*[1-9]\d* USD'
BATCHES = [one for one in RECIPES if one.stem.startswith('05')]
# What the README's blocks take for granted.
AROUND = """
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.core import Settings
from llama_index.llms.openai import OpenAI

tools = []
agent = create_agent(ChatAnthropic(model='claude-sonnet-4-6', max_tokens=100), tools)
chain, inputs = ChatAnthropic(model='claude-haiku-4-5', max_tokens=100), ['One?', 'Two?']
Settings.embed_model = OpenAIEmbedding(model='text-embedding-3-small')
Settings.llm = OpenAI(model='gpt-5-mini')
index = VectorStoreIndex.from_documents([Document(text='Late parcels are refunded.')])
"""


@pytest.fixture(scope='module')
def server() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as sim:
        yield sim


@pytest.fixture
def environment(server, tmp_path) -> dict[str, str]:
    server.reset()  # nobody reads what another's prompts have cached
    return {
        **os.environ,
        'ANTHROPIC_BASE_URL': server.anthropic_url,
        'ANTHROPIC_API_KEY': 'simulated',
        'OPENAI_BASE_URL': server.openai_url,
        'OPENAI_API_BASE': server.openai_url,
        'OPENAI_API_KEY': 'simulated',
        'FARTHING_LEDGER': f'sqlite:///{tmp_path}/farthing.db',
    }


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603, PLW1510 - commands of this repository; checked below
        arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    'recipe',
    [
        one for one in RECIPES if one not in CACHING + ROUTING + BATCHES
    ],  # below, as they take their time
    ids=lambda path: path.stem,
)
def test_a_recipe_runs_and_ends_with_its_costs(recipe, environment, tmp_path) -> None:
    printed = run([sys.executable, str(recipe)], environment, tmp_path)

    assert re.search(COSTS, printed)


@pytest.mark.parametrize('recipe', BATCHES, ids=lambda path: path.stem)
def test_the_recipes_of_batches_pay_half_and_nothing_twice(recipe, environment, tmp_path) -> None:
    printed = run([sys.executable, str(recipe)], environment, tmp_path)

    assert 'the first process ended with -9' in printed
    assert '500 documents, equal to those at once' in printed
    paid = dict(re.findall(r'globex ([a-z ]+) (?:sync|batch) 1000 calls (0\.\d+) USD', printed))
    assert Decimal(paid['letters']) == Decimal(paid['at once']) / 2 > 0


@pytest.mark.parametrize('recipe', CACHING, ids=lambda path: path.stem)
def test_the_recipes_of_caching_save_and_find_the_planted_clock(
    recipe, environment, tmp_path
) -> None:
    printed = run([sys.executable, str(recipe)], environment, tmp_path)

    assert re.search(COSTS, printed)
    paid = dict(re.findall(r'globex ([a-z ]+) 5 calls (0\.\d+) USD', printed))
    assert Decimal(paid['letters']) < Decimal(paid['fixed mark']) < Decimal(paid['plain']) / 2
    assert 'clock edit 4 calls' in printed
    told = run(['farthing', 'cache', 'explain', '--where', 'task=clock'], environment, tmp_path)
    assert 'system[0] changed: 4 of 5 calls' in ' '.join(told.split())


@pytest.mark.parametrize('recipe', ROUTING, ids=lambda path: path.stem)
def test_the_recipes_of_routing_save_net_of_asking_and_reject_the_bad_downgrade(
    recipe, environment, tmp_path
) -> None:
    printed = run([sys.executable, str(recipe)], environment, tmp_path)

    assert re.search(COSTS, printed)
    assert re.search(r'letters, light: not promoted, .*; -1\.000 beside heavy on 50 pairs', printed)
    assert re.search(r'tags, light: promoted on .*; \+0\.000 beside heavy on 50 pairs', printed)
    rows = re.findall(r'globex (\w+) (\w+) (\w+) (\S+) (\d+) calls (0\.\d+) USD', printed)
    served = {(task, day): model for task, day, purpose, model, *_ in rows if purpose == 'user'}
    assert {
        ('letters', 'before'): 'claude-opus-4-7',
        ('letters', 'after'): 'claude-opus-4-7',
        ('tags', 'before'): 'claude-opus-4-7',
        ('tags', 'after'): 'claude-haiku-4-5',
    } == served
    cost = {row[:3]: Decimal(row[-1]) for row in rows}
    # Haiku has a fifth of Opus' prices, and both count the same in the simulator.
    assert cost['tags', 'before', 'user'] == 5 * cost['tags', 'after', 'user']
    asking = cost.get(('tags', 'after', 'shadow'), 0)  # of a twentieth of the calls, by chance
    assert cost['tags', 'after', 'user'] + asking < cost['tags', 'before', 'user']
    assert re.search(r'unasked letters light 5 calls, 5 unproven', printed)


RULES = '- {route: light, keywords: [thanks, hello]}'


def labels() -> str:
    """Graded answers of two models; long questions are too much for the weak one."""
    rows = []
    for number in range(400):
        hard, task = (1, 'letter') if number % 8 > 3 else (0, 'tag')
        rows.append(f'{"why " * (number % 8)}{number}?,{task},{1 - hard},1')
    return 'prompt,task,haiku,opus\n' + '\n'.join(rows)


def test_the_readmes_python_and_then_its_commands_run(environment, tmp_path) -> None:
    text = (ROOT / 'README.md').read_text()
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    script = tmp_path / 'readme.py'
    (tmp_path / 'rules.yaml').write_text(RULES)
    (tmp_path / 'graded.csv').write_text(labels())
    script.write_text(AROUND + '\n'.join(blocks))
    printed = run([sys.executable, str(script)], environment, tmp_path)

    assert len(blocks) >= 4
    assert 'Usage(' in printed
    commands = [
        line
        for block in re.findall(r'```console\n(.*?)```', text.replace('\\\n', ' '), re.DOTALL)
        for line in block.splitlines()
        if line.startswith('farthing ')
    ]
    assert len(commands) >= 8
    for command in commands:
        run(['bash', '-c', command], environment, tmp_path)
