"""What the ledger's shadow calls prove, task by task, and what is missing."""

from dataclasses import asdict

from farthing.cli import options, show
from farthing.ledger import Ledger
from farthing.routing.evidence import Bar, Evidence

_NOTHING_ROUTED = (
    'Missing: routed calls. No call in this ledger was routed: use `RouterChatModel` or '
    '`RouterLLM` with it, in the mode `shadow`.'
)
_NOTHING_SHADOWED = (
    'Missing: shadow calls. {calls:,} calls were routed and none was answered by another route as '
    'well: give the router a `shadow_share` and a `shadow_budget_usd`.'
)
_NOTHING_GRADED = (
    'Missing: grades. No shadow call is scored together with the call that it shadows: give the '
    'router a `grader`.'
)


def evidence(url: str | None, bar: Bar, form: str) -> None:
    """Print the verdicts, then what to do next.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
        InputError: A score is off the scale.
    """
    with options.opened(url) as books:
        found = Evidence.of(books.pairs(), bar=bar)
        calls = _routed(books)
    missing = _missing(found, calls)
    if form == 'json':
        verdicts = [{**asdict(one), 'text': one.text} for one in found.verdicts]
        show.as_json({'routed_calls': calls, 'evidence': verdicts, 'missing': missing})
    else:
        show.print_out(*(one.text for one in found.verdicts), *missing)


def _routed(books: Ledger) -> int:
    """Calls of the user that a router decided."""
    rows = books.report(by='route', where={'purpose': 'user'}).rows
    return sum(row.calls for row in rows if row.keys['route'] is not None)


def _missing(found: Evidence, calls: int) -> list[str]:
    """What keeps tasks from being judged, each with what to do; empty where nothing does."""
    if not calls and not found.verdicts:
        return [_NOTHING_ROUTED]
    if not found.verdicts:
        return [_NOTHING_SHADOWED.format(calls=calls)]
    notes = []
    if all(one.difference is None for one in found.verdicts):
        notes.append(_NOTHING_GRADED)
    if short := [one for one in found.verdicts if one.promoted is None]:
        least = min(one.missing for one in short)
        notes.append(
            f'Missing: pairs for {len(short):,} of {len(found.verdicts):,} tasks and routes, '
            f'{least:,} or more for the nearest.'
        )
    return notes
