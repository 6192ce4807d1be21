"""`farthing context purge`: delete what context control has stored of conversations."""

from datetime import datetime
from pathlib import Path

import click

from farthing.cli import options, show
from farthing.errors import InputError
from farthing.ledger import secret
from farthing.ledger.address import ledger_path
from farthing.ledger.sessions import SUFFIX, Sessions, session_name


@click.command('purge')
@click.option('--session', metavar='NAME', help='All conversations of this session.')
@click.option(
    '--older-than',
    type=options.Moment(),
    help='All without a call since then: 30d, 24h, 2026-11-01.',
)
@click.option('--all', 'everything', is_flag=True, help='The whole file, damaged or not.')
@options.ledger_option
def purge(
    session: str | None,
    older_than: datetime | None,
    everything: bool,  # noqa: FBT001 - a flag of the command line
    ledger: str | None,
) -> None:
    r"""Delete stored summaries and what was decided about conversations.

    They lie in a file of their own beside the ledger, with the contents of conversations in it; the
    ledger itself has none and stays. A conversation that goes on afterwards is sent whole, and
    context control begins anew. Without this command, what rests for 30 days is deleted by itself,
    or after the time that the program gave as its retention.

    \b
    Examples:
      farthing context purge --session thread-17
      farthing context purge --older-than 7d
      farthing context purge --all
    """
    if sum((session is not None, older_than is not None, everything)) != 1:
        raise InputError('expected one of `--session NAME`, `--older-than 30d` and `--all`')
    path = ledger_path(ledger)
    sessions = Sessions(Path(f'{path}{SUFFIX}'))
    if everything:
        done = sessions.purge_all()
        show.print_out(f'Deleted {done} files.' if done else 'There is nothing to delete.')
        return
    name = None
    if session is not None and sessions.path.exists():
        name = session_name(secret.key(Path(f'{path}.key')), session)
    done = sessions.purge(session=name, older_than=older_than)
    show.print_out(f'Deleted {done} conversations.')
