"""`farthing verify`: is the ledger whole, and do its sums equal its entries?"""

import click

from farthing.cli import FOUND, options, show
from farthing.cli.show import Column


@click.command('verify')
@options.ledger_option
@options.format_option
def command(ledger: str | None, form: str) -> int:
    r"""Check that the ledger is whole and that its sums equal its entries.

    Exit code 1 when it finds a difference; each is told in one sentence.

    \b
    Examples:
      farthing verify
      farthing verify --ledger farthing-demo.db --format json
    """
    with options.opened(ledger) as books:
        verdict = books.verify()
    if form == 'json':
        show.as_json(
            {
                'ok': verdict.ok,
                'entries': verdict.entries,
                'corrections': verdict.corrections,
                'differences': list(verdict.differences),
                'notes': list(verdict.notes),
            }
        )
    elif form == 'csv':
        rows = [{'difference': one} for one in verdict.differences]
        show.as_csv([Column(name='difference', title='difference')], rows)
    else:
        held = f'{verdict.entries:,} entries and {verdict.corrections:,} corrections'
        if verdict.ok:
            show.print_out(f'ok: {held} agree with the file, their lines and the daily sums')
        else:
            show.print_out(f'{held}; {len(verdict.differences)} differences:')
        show.print_out(*(f'  {one}' for one in verdict.differences))
        show.print_out(*(f'note: {one}' for one in verdict.notes))
    return 0 if verdict.ok else FOUND
