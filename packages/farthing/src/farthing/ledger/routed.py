"""What routing leaves in the ledger, and the evidence that is read from it.

A driver posts three things; nothing else is asked of it.

1. On each entry of the user's own call, a decision of the lever `routing`: `chosen` is the route
   that the policies chose, `policy` and `version` say which one did. Facts beside those of
   `farthing.routing.Decision.facts`: `mode` is `shadow` or `active`; `served` is the route that
   answered, where it is not the chosen one; `unproven` is true where `active` served another route
   than the default and no evidence had promoted it.
2. On each entry of a shadow call, whose attribution is that of the user's call with the purpose
   `shadow`: the decision that `shadow` makes. It names the run of the user's call. The other route
   of a pair is the one that the policies chose; where they chose the default, or had no opinion, it
   is the next weaker one that can serve, or no task would ever be measured for the first time.
3. For both runs, an `Outcome` by the same `source`: the grader. Scores of a source that has judged
   only one of the two, such as a user's feedback, make no pair; of several scores by one source the
   latest counts. A shadow call that failed makes no pair either.

Then `Ledger.pairs` has the pairs, `Evidence.of(ledger.pairs(), default=..., bar=...)` what they
prove, and `TaskTable.from_ledger` the measured gaps.
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from math import fsum

import orjson

from farthing.entry import Decision
from farthing.ledger import keys
from farthing.ledger.record import ROUTING, moment
from farthing.ledger.values import Routed
from farthing.routing.pair import MARGIN, Pair

SHADOW = 'shadow'
"""The policy of decisions on shadow calls."""
_SHADOWED = f'{ROUTING}.{SHADOW}:'
"""What the id of such a decision begins with; its entry's id follows."""
_AFTER = f'{ROUTING}.{SHADOW};'
"""The least text that is behind all of these ids."""


def shadow(
    *,
    entry_id: str,
    time: datetime,
    shadow_of: str,
    ran: str,
    weak: str,
    strong: str,
    default: str,
    models: tuple[str, str],
    version: str,
) -> Decision:
    """The decision on an entry of a shadow call.

    Args:
        entry_id: The entry of the shadow call.
        time: When, aware and in UTC.
        shadow_of: The framework's run whose answer the user got.
        ran: The route that the shadow call went to: `weak` or `strong`.
        weak: The weaker of the two routes, as the router orders them.
        strong: The stronger one.
        default: Which of the two is the default.
        models: The weaker and the stronger route's model, as they are asked for.
        version: The version of the policy that chose for the user's call.
    """
    return Decision(
        id=_SHADOWED + entry_id,
        entry_id=entry_id,
        time=time,
        lever=ROUTING,
        policy=SHADOW,
        version=version,
        chosen=ran,
        reason='answered for comparison',
        facts={
            'shadow_of': shadow_of,
            'weak': weak,
            'strong': strong,
            'default': default,
            'models': models,
        },
    )


def pairs(db: sqlite3.Connection) -> Iterator[Pair]:
    """Each shadow call that was answered, with the call that it shadows, in no order."""
    answered = (
        'SELECT d.facts, d.chosen, e.time, e.run_id, t.value FROM decision d '
        'JOIN entry e ON e.id = d.entry_id JOIN dim t ON t.id = e.task '
        "JOIN dim s ON s.id = e.status AND s.value = 'ok' WHERE d.id >= ? AND d.id < ?"
    )
    for text, ran, time, shadow_run, task in db.execute(answered, (_SHADOWED, _AFTER)):
        facts = orjson.loads(text)
        served, shadowed = _scores(db, facts['shadow_of'], shadow_run)
        weak, strong = (shadowed, served) if ran == facts['weak'] else (served, shadowed)
        yield Pair(
            task=task,
            weak=facts['weak'],
            strong=facts['strong'],
            default=facts['default'],
            models=tuple(facts['models']),
            weak_score=weak,
            strong_score=strong,
            time=moment(time),
            run_id=facts['shadow_of'],
        )


def figures(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """What `counted` takes, in SQL over `entry AS e`, each with its one argument."""
    gaps = [(pair, pair.gap) for pair in pairs(db) if pair.gap is not None]
    graded = [(pair.run_id, route) for pair, _ in gaps for route in (pair.weak, pair.strong)]
    too_weak = [(pair.run_id, pair.weak) for pair, gap in gaps if gap > MARGIN]
    too_strong = [(pair.run_id, pair.strong) for pair, gap in gaps if gap <= MARGIN]
    chosen = f"e.run_id || ' ' || {keys.routing('chosen')}"
    known = f'{chosen} IN (SELECT value FROM json_each(?))'  # noqa: S608 - our own text
    unproven = keys.routing('json_extract(facts, ?)')
    return [
        *((_counted(known), _texts(runs)) for runs in (graded, too_weak, too_strong)),
        (_counted(unproven), '$.unproven'),
    ]


def counted(graded: int, too_weak: int, too_strong: int, unproven: int) -> Routed:
    """The figures of a group as a value."""
    return Routed(
        graded=graded,
        too_weak=too_weak if graded else None,
        too_strong=too_strong if graded else None,
        unproven=unproven,
    )


def _counted(condition: str) -> str:
    """How many answered calls it holds for; a run's failed attempts and corrections are none."""
    return f'coalesce(sum(e.errors = 0 AND e.corrects IS NULL AND {condition}), 0)'


def _texts(runs: list[tuple[str, str]]) -> str:
    return orjson.dumps([f'{run} {route}' for run, route in runs]).decode()


def _scores(
    db: sqlite3.Connection, served: str, shadowed: str | None
) -> tuple[float | None, float | None]:
    """The mean scores of two runs by the sources that have judged both."""
    latest: dict[str, dict[str, float]] = {served: {}, shadowed or '': {}}
    judged = 'SELECT run_id, source, score FROM outcome WHERE run_id IN (?, ?) ORDER BY time, rowid'
    for run, source, score in db.execute(judged, (served, shadowed)):
        latest[run][source] = float(score)
    one, other = latest[served], latest[shadowed or '']
    if not (both := sorted(one.keys() & other.keys())):
        return None, None
    size = len(both)
    return fsum(one[n] for n in both) / size, fsum(other[n] for n in both) / size
