"""Where entries go: a ledger behind its meter, and a running sum."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from farthing.caching.fingerprint import Piece
from farthing.entry import Decision, Entry, UsageSource
from farthing.meter.observed import Observed
from farthing.meter.spend import Counted, Spend

if TYPE_CHECKING:
    from farthing.meter.runs import Run


class Posts(Protocol):
    """What an account needs of a meter."""

    def post(self, observed: Observed) -> list[Entry]:
        """Price and post one observed attempt; empty when it was lost."""

    def post_answered(
        self, run: 'Run', api: str, usage_source: UsageSource, *answer: object
    ) -> Counted | None:
        """Post the answer of a framework's run unpriced; `None` where that cannot be."""

    def decide(self, decision: Decision) -> None:
        """Post what a lever decided about an entry."""

    def fingerprints(self, blocks: Iterable[Piece]) -> tuple[str, ...]:
        """A keyed digest of each block and its place."""

    def lose(self, error: Exception) -> None:
        """Count a call that could not be recorded."""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """A meter, and the sum of what was posted through this account."""

    meter: Posts
    spend: Spend


ambient: ContextVar[tuple[Account, ...]] = ContextVar('farthing_accounts', default=())
"""The accounts of the `recording` blocks around this code."""


def post(accounts: list[Account], observed: Observed) -> list[Entry]:
    """Post once to each meter among the accounts, and add to each account's sum.

    Returns:
        What the first meter posted; empty where that was lost.
    """
    if len(accounts) == 1:
        entries = accounts[0].meter.post(observed)
        _credit(accounts[0], entries)
        return entries
    posted: dict[int, list[Entry]] = {}
    for account in accounts:
        key = id(account.meter)
        if key not in posted:
            posted[key] = account.meter.post(observed)
        _credit(account, posted[key])
    return posted[id(accounts[0].meter)]


def decide(accounts: list[Account], decision: Decision) -> None:
    """Post a decision once to each meter among the accounts."""
    for meter in {id(account.meter): account.meter for account in accounts}.values():
        meter.decide(decision)


def _credit(account: Account, entries: list[Entry]) -> None:
    for entry in entries:
        account.spend.add(entry)
    if not entries:
        account.spend.lose()
