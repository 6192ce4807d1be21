"""What a ledger is asked and what it answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from farthing.entry import Entry
from farthing.money import usd
from farthing.prices.quote import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries a report covers, and how it groups them; see `keys` for the names."""

    by: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """How well the calls of a group were routed, by the answers that were graded on both routes.

    Attributes:
        graded: Calls of which another route's answer is known and both were graded.
        too_weak: Of these, those for which the policy chose the weaker route, and its answer scores
            lower by more than `MARGIN`; in shadow mode nobody got it. `None` without graded ones.
        too_strong: Of these, those for which the policy chose the stronger route, and the weaker
            one's answer scores no lower than that. `None` likewise.
        unproven: Calls that another route than the default served without evidence for it.
    """

    graded: int
    too_weak: int | None
    too_strong: int | None
    unproven: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Exact sums over entries and their corrections.

    Attributes:
        calls: Entries; corrections do not count.
        errors: Entries with the status `error`.
        input_tokens: Inclusive counts of the calls whose usage is known; so are the next ones.
        reasoning_tokens: Of the calls that said so; `None` when none of them did.
        cost: Sum of the priced entries in 1e-12 USD. With `unpriced` calls it is a lower bound.
        list_cost: The same at list price, for calls that have one.
        unpriced: Calls without a price: missing in `cost`.
        assumed: Calls whose price rests on an assumed condition.
        estimated: Calls whose counts were estimated.
        routed: How well the calls were routed, where the report has the key `route`.
        saved: By context control, in 1e-12 USD, its summaries taken off: what its calls would have
            cost without it, as far as that is known, less what they cost. `None` where the report
            is not by `context_policy`, or nobody knows.
    """

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_write_30m_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int | None = 0
    cost: int = 0
    list_cost: int = 0
    unpriced: int = 0
    assumed: int = 0
    estimated: int = 0
    routed: Routed | None = None
    saved: int | None = None

    @property
    def saved_usd(self) -> Decimal | None:
        """What context control saved in USD, at what its calls would have cost by a model of it."""
        return None if self.saved is None else usd(self.saved)

    @property
    def cost_usd(self) -> Decimal:
        """Exact sum in USD of the priced entries."""
        return usd(self.cost)

    @property
    def list_cost_usd(self) -> Decimal:
        """Exact sum in USD at list price."""
        return usd(self.list_cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Sums):
    """One group of a report.

    Attributes:
        keys: The group's value of each key, in the order asked; `None` is unknown.
    """

    keys: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Sums by group. Real spend and calls to this machine (simulated or local) are never added up.

    Where both kinds match, each row has the further key `endpoint_class`, `total` covers real
    spend alone and `local_total` the rest. Where only local calls match, `total` is theirs and
    `endpoint_class` says so.

    Attributes:
        by: The keys asked for.
        rows: Dearest first.
        total: Sum of the rows of `endpoint_class`.
        endpoint_class: `real`, or `local` when every matching call went to this machine.
        local_total: Sum of the local rows where real ones match too, else `None`.
        lost: Calls that could not be recorded: with any, the sums are `at least`.
    """

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Sums
    endpoint_class: str
    local_total: Sums | None
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An entry as it was posted, and what it costs by now.

    Attributes:
        entry: As posted.
        quote: The price in force: the entry's own, or that of its last correction.
        list_cost: The list cost in force, in 1e-12 USD.
        corrections: How many corrections it has.
    """

    entry: Entry
    quote: Quote
    list_cost: int | None
    corrections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check of the whole ledger found.

    Attributes:
        entries: Entries that were checked.
        corrections: Corrections that were checked.
        differences: What contradicts itself, one sentence each; empty in a sound ledger.
        notes: What is worth knowing and no contradiction, such as losses.
    """

    entries: int
    corrections: int
    differences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the ledger is sound."""
        return not self.differences
