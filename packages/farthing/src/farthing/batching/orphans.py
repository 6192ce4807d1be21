"""Finding again a batch whose creation was not answered, by what the provider lists.

Nothing is sent a second time before the provider has had time to show the first. OpenAI shows a
label of ours. Anthropic shows none: there a batch that is as old, as large and unknown is a
candidate, and only its results prove whose it is. In doubt we hold: that costs time, not money.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

SKEW_S = 300.0
"""How far the provider's clock may be behind ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A creation that was begun and whose answer is not known.

    Attributes:
        label: The submission's label.
        requests: Number of its requests.
        sent_s: When the intent was stored, in seconds since 1970.
        file: Id of the uploaded file; `None` where there is none.
        looks: How many listings have been read since.
        foreign: Batches that were proven to be another's.
    """

    label: str
    requests: int
    sent_s: float
    file: str | None = None
    looks: int = 0
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A batch as a listing shows it.

    Attributes:
        id: The provider's id.
        created_s: When it was created, in seconds since 1970.
        requests: Number of its requests; `None` while the provider has not counted them.
        label: The label of ours that it carries.
        file: Id of its input file.
    """

    id: str
    created_s: float
    requests: int | None = None
    label: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an unanswered creation is looked for before it is made again.

    Attributes:
        settle_s: At least so many seconds after it was begun.
        looks: At least so many listings.
    """

    settle_s: float = 120.0
    looks: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to be done about an unanswered creation.

    Attributes:
        verdict: `adopt` the batch in `ids`; `verify` which of `ids` is ours when they end;
            `wait` and look again; `resend`: nothing was created.
        ids: The batches in question.
        reason: Why, in one line.
    """

    verdict: Literal['adopt', 'verify', 'wait', 'resend']
    ids: tuple[str, ...] = ()
    reason: str


def seek(
    intent: Intent,
    listed: Iterable[Listed],
    *,
    known: Collection[str],
    labelled: bool,
    now_s: float,
    patience: Patience,
) -> Finding:
    """What became of a creation.

    Args:
        intent: What was begun.
        listed: The provider's batches, at least those since `SKEW_S` before it.
        known: Ids of batches that are in the ledger.
        labelled: Whether listings show our label.
        now_s: Seconds since 1970.
        patience: When it is given up.
    """
    recent = [one for one in listed if one.created_s >= intent.sent_s - SKEW_S]
    if labelled:
        for one in recent:
            if one.label == intent.label or (intent.file and one.file == intent.file):
                return Finding(verdict='adopt', ids=(one.id,), reason='it carries our label')
    else:
        alike = tuple(
            one.id
            for one in recent
            if one.requests == intent.requests
            and one.id not in known
            and one.id not in intent.foreign
        )
        if alike:
            reason = f'{len(alike)} unknown of {intent.requests} requests: results will tell'
            return Finding(verdict='verify', ids=alike, reason=reason)
    waited_s = now_s - intent.sent_s
    if waited_s < patience.settle_s or intent.looks < patience.looks:
        reason = f'not listed after {waited_s:.0f} s and {intent.looks} looks'
        return Finding(verdict='wait', reason=reason)
    return Finding(verdict='resend', reason=f'not listed after {waited_s:.0f} s')
