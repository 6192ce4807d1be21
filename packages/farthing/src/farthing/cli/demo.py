"""`farthing demo`: real frameworks, simulated providers, real list prices."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from farthing.cli import options, show
from farthing.cli.report import shown
from farthing.cli.stage import GROUP, TICKETS, Scene, Stage
from farthing.errors import InputError
from farthing.ledger import Ledger
from farthing.ledger.sessions import SUFFIX

_FILE = 'farthing-demo.db'
_ENDINGS = ('', '-wal', '-shm', '.journal', '.journal-journal', SUFFIX, f'{SUFFIX}-journal')
"""Of the files of an earlier run: what SQLite would take back from one of them is not ours now."""
_BY = ('tenant', 'task', 'model', 'call_type')
_INSTALL = "install it with `pip install 'farthing[demo]' 'langchain-farthing[demo]'`"


@click.command('demo')
@click.option(
    '--ledger',
    metavar='URL',
    help=f'Post to this ledger, and keep what it holds; else {_FILE} is made anew.',
)
@options.format_option
def command(ledger: str | None, form: str) -> None:
    r"""Run a support desk on simulated providers and show its bill. No key, no network.

    The SDKs and frameworks are real, the providers are simulated on this machine, and the prices
    are the real list prices: this is what such calls would cost.

    \b
    Examples:
      farthing demo
      farthing demo --format json > bill.json
      farthing findings --ledger farthing-demo.db
    """
    scenes = found_scenes()
    with _fresh(ledger) as books:
        show.print_out(
            'The providers are simulated on this machine: nothing is billed. The frameworks are '
            'real, and so are the prices: those of the public lists.',
            err=form != 'table',
        )
        _play(scenes, books)
        report = books.report(by=_BY, where={'endpoint_class': 'local'})
        address = books.url
    shown(report, form)
    path = Path(address.removeprefix('sqlite:///'))
    name = path.name if path.parent == Path.cwd() else str(path)
    show.print_out(
        f'Ledger: {path}', f'Next: farthing findings --ledger {name}', err=form != 'table'
    )


def found_scenes() -> Mapping[str, Scene]:
    """The scenes of the installed adapters, by name.

    Raises:
        InputError: None can be played; it says what to install.
    """
    if find_spec('farthing_sim') is None:
        raise InputError(f'the demo needs the simulated providers, which are missing: {_INSTALL}')
    scenes, missing = {}, []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            scenes[point.name] = point.load()
        except ModuleNotFoundError as error:
            missing.append(f'{point.name} needs {error.name!r}')
    if missing:
        show.print_out(f'Left out: {"; ".join(missing)}.', err=True)
    if not scenes:
        raise InputError(f'the demo found no adapter to play with: {_INSTALL}')
    return scenes


def _play(scenes: Mapping[str, Scene], books: Ledger) -> None:
    import farthing_sim  # noqa: PLC0415 - the extra `demo`

    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        farthing_sim.serving() as sim,
        _unproxied(),
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        stage = Stage(
            anthropic_url=sim.anthropic_url,
            openai_url=sim.openai_url,
            ledger=books,
            tickets=TICKETS,
        )
        bar = progress.add_task('the desk opens', total=len(TICKETS) * len(scenes))
        for name, scene in scenes.items():
            for at, step in enumerate(scene(stage)):
                progress.update(bar, description=f'{name}: {step}', advance=1 if at else 0)
            progress.update(bar, description='the desk closes', advance=1)


@contextmanager
def _unproxied() -> Iterator[None]:
    """Let no proxy of the environment stand between the SDKs and this machine."""
    names = ('NO_PROXY', 'no_proxy')
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, '*'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fresh(url: str | None) -> Ledger:
    """The ledger that the user named, or a new one of our own name."""
    if url is not None:
        return Ledger.open(url)
    for ending in _ENDINGS:
        Path(f'{_FILE}{ending}').unlink(missing_ok=True)
    rmtree(f'{_FILE}.spool', ignore_errors=True)
    return Ledger.open(_FILE)
