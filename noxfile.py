"""What can be run on this project: `uv run nox -s tests`, and `uv run nox -l` for the rest.

`tests`, `lint` and `demo` run in the workspace's own environment, the cell `joint`. The other
cells hold versions that cannot be installed together; each gets an environment of its own.
"""

import nox

nox.options.default_venv_backend = 'uv'
nox.options.sessions = ['tests', 'lint', 'langchain-current', 'langchain-newest', 'llama-index']

PACKAGES = ['farthing', 'langchain-farthing', 'llama-index-farthing', 'farthing-sim']
SOURCES = [f'packages/{name}/src' for name in PACKAGES]
PYTEST = ('pytest', '--numprocesses=2', '--dist=loadgroup', '--block-network')
LOCAL = '--allowed-hosts=127.0.0.1,localhost,::1'
ENVIRONMENT: dict[str, str | None] = {
    # Two workers share the cores. With a thread for each core in both of them, numpy's small
    # systems of equations take ten times the CPU: the threads spin while they wait for a core.
    'OMP_NUM_THREADS': '1',
    # Where a machine forbids bytecode, each of some hundred processes compiles the frameworks anew.
    'PYTHONDONTWRITEBYTECODE': None,
}
RUNNERS = [
    'hypothesis',
    'jsonschema',
    'pytest',
    'pytest-asyncio',
    'pytest-recording',
    'pytest-socket',
    'pytest-xdist',
    'pyyaml',
    'vcrpy',
]
LANGCHAIN = ['langchain', 'langchain-aws', 'langchain-google-genai', 'langchain-tests', 'langgraph']


@nox.session(venv_backend='none')
def tests(session: nox.Session) -> None:
    """The whole suite in the joint cell; `-m` puts `bench` on the path, which is tested, too."""
    session.run('python', '-m', *PYTEST, LOCAL, *session.posargs, env=ENVIRONMENT)


@nox.session(venv_backend='none')
def coverage(session: nox.Session) -> None:
    """The same with branch coverage, which takes half as much time again, or more."""
    session.run('coverage', 'erase')
    session.run('coverage', 'run', '-m', *PYTEST, LOCAL, *session.posargs, env=ENVIRONMENT)
    session.run('coverage', 'combine', '--quiet')
    session.run('coverage', 'report', '--skip-covered', '--sort=cover')


@nox.session(venv_backend='none')
def lint(session: nox.Session) -> None:
    """Style, types and layers."""
    session.run('ruff', 'check')
    session.run('ruff', 'format', '--check')
    session.run('mypy', *SOURCES, 'tests/typing/usage.py')
    session.run('lint-imports')
    session.run('python', 'prices/build.py', '--check')


# Tests that know no framework and no SDK: what `tests` has shown of them holds in every cell.
FREE = [
    f'--ignore=tests/{name}'
    for name in (
        'batching',
        'caching',
        'context',
        'ledger/test_cache_causes.py',
        'ledger/test_faults.py',
        'ledger/test_post.py',
        'ledger/test_reports.py',
        'ledger/test_routed.py',
        'ledger/test_schema.py',
        'prices',
        'routing',
        'sim/test_batch_documents.py',
        'sim/test_cache_properties.py',
        'sim/test_cache_recordings.py',
        'sim/test_json_array.py',
        'sim/test_recordings.py',
        'sim/test_schedule.py',
        'sim/test_schema.py',
        'sim/test_serving.py',
        'wire',
    )
]


def _cell(session: nox.Session, name: str, packages: list[str], *more: str) -> None:
    """Install the packages with the cell's own versions, then run the tests that they allow."""
    editable = [part for one in packages for part in ('--editable', one)]
    session.run_install(
        'uv', 'pip', 'install', '--no-config', '--quiet', *editable, *RUNNERS, *more,
        '--constraint', f'cells/{name}.txt',
        '--override', f'cells/{name}-override.txt',
    )  # fmt: skip
    session.run(*PYTEST, LOCAL, *FREE, *session.posargs, env=ENVIRONMENT)


@nox.session(name='langchain-current')
def langchain_current(session: nox.Session) -> None:
    """LangChain with anthropic 2.x and openai 2.x."""
    packages = [
        'packages/farthing',
        'packages/farthing-sim',
        'packages/langchain-farthing[anthropic,openai]',
    ]
    _cell(session, 'langchain-current', packages, *LANGCHAIN)


@nox.session(name='langchain-newest')
def langchain_newest(session: nox.Session) -> None:
    """LangChain's newest with openai 3.x."""
    packages = [
        'packages/farthing',
        'packages/farthing-sim',
        'packages/langchain-farthing[anthropic,openai]',
    ]
    _cell(session, 'langchain-newest', packages, *LANGCHAIN)


@nox.session(name='llama-index')
def llama_index(session: nox.Session) -> None:
    """LlamaIndex alone."""
    packages = [
        'packages/farthing',
        'packages/farthing-sim',
        'packages/llama-index-farthing[anthropic,openai]',
    ]
    _cell(session, 'llama-index', packages, 'llama-index-embeddings-openai')


@nox.session(name='bench')
def bench(session: nox.Session) -> None:
    """What we cost and bring, beside peers: `uv run nox -s bench -- --quick` for a first look."""
    packages = [
        'packages/farthing[wordllama]',
        'packages/farthing-sim',
        'packages/langchain-farthing[anthropic,openai]',
        'packages/llama-index-farthing[anthropic,openai]',
    ]
    peers = [
        'genai-prices',
        'langfuse',
        'langmem',
        'opentelemetry-instrumentation-genai-langchain',
    ]
    editable = [part for one in packages for part in ('--editable', one)]
    session.run_install(
        'uv', 'pip', 'install', '--no-config', '--quiet', *editable, *peers, 'langchain',
        '--constraint', 'cells/bench.txt',
    )  # fmt: skip
    session.run('python', '-m', 'bench.run', *session.posargs)


@nox.session(venv_backend='none')
def demo(session: nox.Session) -> None:
    """The demo, as a new user sees it."""
    session.run('farthing', 'demo')


@nox.session(venv_backend='none')
def record(session: nox.Session) -> None:
    """Write tests/recorded anew: from the simulated providers or, with keys set, the real ones."""
    session.run('pytest', 'tests/recorded', '--record-mode=rewrite', *session.posargs)
