"""Where money leaks, seen from the entries alone. Pure: entries in, findings out.

Each finding carries its evidence in figures and the money at stake; it is a hint to look, no
verdict. Thresholds stand at the top of this file.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median_low
from typing import TypeVar

from farthing.caching.fingerprint import digests
from farthing.ledger.values import Booked
from farthing.money import usd

DEAR_TIMES = 10
"""A tenant is dear from this many times the median of its peers."""
PEERS = 2
"""A median of fewer peers says nothing."""
LONG_INPUT_TOKENS = 1_000
TINY_SHARE = 50
"""An answer is tiny when this many times its tokens are still within the input's."""
PATTERN_CALLS = 3
"""So many calls make a pattern."""
LOOP_GAP = timedelta(minutes=5)
"""The same request again within this time counts as the next round of a loop."""
LOOP_BLOCKS = 8
"""The longest round, in blocks, that is looked for at the end of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One leak.

    Attributes:
        kind: `dear_tenant`, `tiny_answers`, `loop`, `unread_cache` or `unpriced`.
        where: Whose calls, as keys of a report.
        calls: How many calls show it.
        stake: Money that better use could save at most, in 1e-12 USD; `None` is unknown.
        evidence: One sentence with the figures.
    """

    kind: str
    where: Mapping[str, str | None]
    calls: int
    stake: int | None
    evidence: str


def findings(rows: Iterable[Booked]) -> list[Finding]:
    """All findings over `rows`, the largest stake first, unknown stakes last."""
    listed = sorted(rows, key=lambda row: row.entry.time)
    found = [one for look in LOOKS for one in look(listed)]
    return sorted(found, key=lambda one: (one.stake is None, -(one.stake or 0)))


def dear_tenants(rows: Sequence[Booked]) -> list[Finding]:
    """Tenants at ten times the median of their peers."""
    by_tenant = _grouped(
        (row for row in rows if row.entry.attribution.tenant is not None),
        lambda row: row.entry.attribution.tenant,
    )
    costs = {tenant: _cost(group) for tenant, group in by_tenant.items()}
    found = []
    for tenant, cost in costs.items():
        peers = [other for name, other in costs.items() if name != tenant]
        if len(peers) < PEERS:
            continue
        middle = median_low(peers)
        if 0 < middle * DEAR_TIMES <= cost:
            found.append(
                Finding(
                    kind='dear_tenant',
                    where={'tenant': tenant},
                    calls=len(by_tenant[tenant]),
                    stake=cost - middle,
                    evidence=f'it costs {_money(cost)}, {cost // middle} times the median of its '
                    f'{len(peers)} peers ({_money(middle)})',
                )
            )
    return found


def tiny_answers(rows: Sequence[Booked]) -> list[Finding]:
    """Tasks whose long inputs mostly earn a tiny answer, or one that was cut."""
    found = []
    for (tenant, task), group in _grouped(rows, _tenant_task).items():
        long = [row for row in group if _is_long(row)]
        poor = [row for row in long if _is_cut(row) or _is_tiny(row)]
        if len(poor) < PATTERN_CALLS or 2 * len(poor) < len(group):
            continue
        cut = sum(map(_is_cut, poor))
        asked = sum(row.entry.usage.input_tokens for row in poor if row.entry.usage)
        given = sum(row.entry.usage.output_tokens for row in poor if row.entry.usage)
        found.append(
            Finding(
                kind='tiny_answers',
                where={'tenant': tenant, 'task': task},
                calls=len(poor),
                stake=_cost(poor),
                evidence=f'{len(poor)} of {len(group)} calls sent {asked:,} tokens and got '
                f'{given:,}' + (f'; {cut} were cut' if cut else ''),
            )
        )
    return found


def loops(rows: Sequence[Booked]) -> list[Finding]:
    """The same request again and again, or a prompt whose end goes round in circles."""
    found = []
    for (tenant, task), group in _grouped(rows, _tenant_task).items():
        again = _repeated(group)
        round_ = [row for row in group if _circles(digests(row.entry.prefix))]
        wasted = {row.entry.id: row for row in (*again, *round_)}
        if again or round_:
            told = [f'{len(again)} calls sent the same prompt again'] if again else []
            told += [f'{len(round_)} prompts end in three equal rounds'] if round_ else []
            found.append(
                Finding(
                    kind='loop',
                    where={'tenant': tenant, 'task': task},
                    calls=len(wasted),
                    stake=_cost(list(wasted.values())),
                    evidence='; '.join(told),
                )
            )
    return found


def unread_caches(rows: Sequence[Booked]) -> list[Finding]:
    """Prompt caches that are written, at a surcharge, and never read."""
    found = []
    for (tenant, task, model), group in _grouped(rows, _tenant_task_model).items():
        used = [row.entry.usage for row in group if row.entry.usage]
        writes = [row for row in group if row.entry.usage and row.entry.usage.cache_write_tokens]
        if len(writes) < PATTERN_CALLS or any(one.cache_read_tokens for one in used):
            continue
        surcharges = [_surcharge(row) for row in writes]
        known = [one for one in surcharges if one is not None]
        written = sum(one.cache_write_tokens for one in used)
        found.append(
            Finding(
                kind='unread_cache',
                where={'tenant': tenant, 'task': task, 'model': model},
                calls=len(writes),
                stake=sum(known) if len(known) == len(surcharges) else None,
                evidence=f'{written:,} tokens were written to the prompt cache in {len(writes)} '
                'calls, and none was read',
            )
        )
    return found


def unpriced(rows: Sequence[Booked]) -> list[Finding]:
    """Models without a price: what they cost is unknown, and in no sum."""
    missing = [row for row in rows if row.quote.cost is None]
    return [
        Finding(
            kind='unpriced',
            where={'provider': provider, 'model': model},
            calls=len(group),
            stake=None,
            evidence=f'{len(group)} calls are in no sum: {group[-1].quote.reason}',
        )
        for (provider, model), group in _grouped(
            missing, lambda row: (row.entry.provider, row.entry.model)
        ).items()
    ]


Key = TypeVar('Key', bound=Hashable)

LOOKS = (dear_tenants, tiny_answers, loops, unread_caches, unpriced)


def _grouped(rows: Iterable[Booked], key: Callable[[Booked], Key]) -> dict[Key, list[Booked]]:
    groups: dict[Key, list[Booked]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _tenant_task(row: Booked) -> tuple[str | None, str | None]:
    return row.entry.attribution.tenant, row.entry.attribution.task


def _tenant_task_model(row: Booked) -> tuple[str | None, str | None, str]:
    return *_tenant_task(row), row.entry.model


def _cost(rows: Iterable[Booked]) -> int:
    """The sum of those that have a price."""
    return sum(row.quote.cost for row in rows if row.quote.cost is not None)


def _money(cost: int) -> str:
    return f'${usd(cost):,.6f}'


def _is_long(row: Booked) -> bool:
    usage = row.entry.usage
    chat = row.entry.call_type == 'chat' and row.entry.status != 'cache_hit'
    return chat and usage is not None and usage.input_tokens >= LONG_INPUT_TOKENS


def _is_tiny(row: Booked) -> bool:
    usage = row.entry.usage
    return usage is not None and usage.output_tokens * TINY_SHARE <= usage.input_tokens


def _is_cut(row: Booked) -> bool:
    return row.entry.status in {'cancelled', 'abandoned'} or row.entry.error == 'cut_stream'


def _repeated(rows: Sequence[Booked]) -> list[Booked]:
    """Calls that send what was just sent, in streaks of a loop's length; without the first ones."""
    again: list[Booked] = []
    same = _grouped(
        (row for row in rows if row.entry.prefix and row.entry.status == 'ok'),
        lambda row: (row.entry.attribution.session, row.entry.model, digests(row.entry.prefix)),
    )
    for group in same.values():
        streak = group[:1]
        for row in (*group[1:], None):
            if row is not None and row.entry.time - streak[-1].entry.time <= LOOP_GAP:
                streak.append(row)
                continue
            if len(streak) >= PATTERN_CALLS:
                again += streak[1:]
            streak = [row] if row is not None else []
    return again


def _circles(prefix: Sequence[str]) -> bool:
    """Whether a prompt ends in three equal rounds of blocks."""
    return any(
        prefix[-n:] == prefix[-2 * n : -n] == prefix[-3 * n : -2 * n]
        for n in range(1, min(LOOP_BLOCKS, len(prefix) // 3) + 1)
    )


def _surcharge(row: Booked) -> int | None:
    """What writing to the cache cost above plain input; `None` where the lines do not say."""
    rates = {line.meter: line.rate for line in row.quote.lines}
    if row.quote.cost is None or 'input' not in rates:
        return None
    written = [line for line in row.quote.lines if line.meter.startswith('cache_write')]
    return sum(line.amount - line.quantity * rates['input'] for line in written)
