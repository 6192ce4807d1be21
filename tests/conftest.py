"""What all tests share: which cell this is, and where the recordings lie."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import farthing_sim
from farthing_sim import app

HERE = Path(__file__).parent
SHARED = HERE.parent.parent / 'shared'
# A cell that lacks a framework leaves out the tests that need it.
NEEDS = {
    'langchain': ['langchain_core'],
    'llama_index': ['llama_index.core'],
    'standard': ['langchain_tests'],
    'sim/test_frameworks.py': ['langchain_core', 'llama_index.core'],
    'cli': ['langchain_core', 'llama_index.core'],
    'cookbook': ['langchain_core', 'llama_index.core'],
    'routing/learned': ['numpy'],
    'run/test_router_policies.py': ['numpy'],
}
# No test is timed: hypothesis' deadline of 200 ms fails sound code on a busy machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')
VERSIONS = ('anthropic', 'openai', 'langchain-core', 'langchain', 'llama-index-core')


def _missing(module: str) -> bool:
    try:
        return find_spec(module) is None
    except ModuleNotFoundError:
        return True


collect_ignore = [path for path, modules in NEEDS.items() if any(map(_missing, modules))]


def pytest_report_header() -> list[str]:
    lines = ['cell: ' + ', '.join(f'{name} {_version(name)}' for name in VERSIONS)]
    if collect_ignore:
        lines.append(f'left out in this cell: {", ".join(collect_ignore)}')
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return 'absent'


def pytest_terminal_summary(terminalreporter) -> None:
    """On how many recorded exchanges each route agrees; the contract tests record theirs."""
    played, agreed, failed = Counter(), Counter(), Counter()
    for outcome in ('passed', 'failed'):
        for report in terminalreporter.stats.get(outcome, ()):
            told = dict(report.user_properties)
            if report.when == 'call' and (route := told.get('contract')):
                played[route] += 1
                agreed[route] += outcome == 'passed'
                failed[route] += 'framework_failed' in told
            if report.when == 'call' and 'summary' in told:
                terminalreporter.write_line(told['summary'])
    for route, number in sorted(played.items()):
        line = f'contract {route}: {agreed[route]}/{number} recorded exchanges agree'
        if failed[route]:
            line += f', {failed[route]} of them although the framework itself failed on the answer'
        terminalreporter.write_line(line)


@pytest.fixture(scope='session')
def shared() -> Path:
    """The folder of real recordings beside the repository."""
    if not SHARED.is_dir():
        pytest.skip('no folder of recordings beside the repository (../shared)')
    return SHARED


@dataclass(frozen=True)
class Wire:
    """Simulated providers, and the bodies of the requests that reached them, oldest first."""

    sim: farthing_sim.Sim
    bodies: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope='session')
def _wire() -> Iterator[Wire]:
    bodies: list[dict[str, Any]] = []
    build = app.build

    def listening(*given):
        answering = build(*given)

        async def listen(scope, receive, send) -> None:
            body = b''

            async def heard():
                nonlocal body
                message = await receive()
                body += message.get('body', b'')
                if body and not message.get('more_body'):
                    bodies.append(json.loads(body))
                return message

            await answering(scope, heard, send)

        return listen

    with ExitStack() as stack:
        # Other servers of this process are made without it.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, 'build', listening)
            sim = stack.enter_context(farthing_sim.serving())
        yield Wire(sim, bodies)


@pytest.fixture
def wire(_wire: Wire) -> Wire:
    """A server of its own that tells what it was sent."""
    _wire.sim.reset()
    _wire.bodies.clear()
    return _wire
