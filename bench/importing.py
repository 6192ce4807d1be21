"""What importing the LangChain adapter adds to importing langchain_core."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from bench.timing import Check, Table

# What every program has imported that has called a chat model: the first call imports the second.
_CORE = (
    'from langchain_core.language_models import BaseChatModel; '
    'import langchain_core.tracers.context'
)
# With bytecode, as installed programs have it, also where this shell would write none.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'}
_STATEMENTS = {
    'langchain_core': _CORE,
    'and langchain_farthing': f'{_CORE}; import langchain_farthing',
    'and langfuse.langchain': f'{_CORE}; import langfuse.langchain',
}


def measure(*, quick: bool) -> list[Table]:
    """Whole processes, and the slowest imports of ours."""
    rounds = 7 if quick else 21
    wall: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    processor: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    for number in range(-1, rounds):  # the first round fills the file cache and writes bytecode
        for name, statement in _STATEMENTS.items():
            start, used = perf_counter(), _children_s()
            subprocess.run([sys.executable, '-c', statement], check=True, env=_ENVIRONMENT)
            if number >= 0:
                wall[name].append((perf_counter() - start) * 1e3)
                processor[name].append((_children_s() - used) * 1e3)
    took = {name: (median(processor[name]), median(wall[name])) for name in _STATEMENTS}
    bare, ours, _ = took
    return [
        Table(
            title=f'Import in a new process: ms, median of {rounds} rounds (and added)',
            columns=('', 'processor', 'wall'),
            rows=[
                (
                    name,
                    *(
                        f'{ms:.0f} ({ms - base:+.0f})'
                        for ms, base in zip(both, took[bare], strict=True)
                    ),
                )
                for name, both in took.items()
            ],
            checks=(Check(what='added', value=took[ours][0] - took[bare][0], bound=80, unit='ms'),),
        ),
        Table(
            title='Slowest modules that the adapter adds: ms of their own, one import',
            columns=('module', 'ms'),
            rows=_slowest(_STATEMENTS[ours]),
        ),
    ]


def _cells(took: tuple[float, ...], base: tuple[float, ...]) -> Iterator[str]:
    return (f'{ms:.0f} ({ms - less:+.0f})' for ms, less in zip(took, base, strict=True))


def _children_s() -> float:
    """Processor time of ended processes: other programs' load does not add to it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _slowest(statement: str) -> list[tuple[str, ...]]:
    """The twelve slowest modules behind our first one, from `-X importtime`."""
    shown = subprocess.run(
        [sys.executable, '-X', 'importtime', '-c', statement],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    lines = [line.removeprefix('import time:').split('|') for line in shown.splitlines()]
    first = next(n for n, (*_, name) in enumerate(lines) if 'farthing' in name)
    own = sorted(((int(us), name.strip()) for us, _, name in lines[first:]), reverse=True)
    return [(name, f'{us / 1e3:.1f}') for us, name in own[:12]]
