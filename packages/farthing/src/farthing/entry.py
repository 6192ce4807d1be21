"""What the ledger holds: entries, and the decisions and outcomes that hang on them.

An entry is one billed answer (or one attempt that failed). It is never changed: a mistake is
corrected by a further entry that names what it corrects and carries the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from farthing.attribution import NOBODY, Attribution
from farthing.errors import EntryError
from farthing.frozen import quick
from farthing.money import usd
from farthing.prices.quote import Quote
from farthing.usage import Usage

CallType = Literal['chat', 'embeddings']
Mode = Literal['sync', 'batch']
Cacheable = Literal['yes', 'no', 'unknown']
UsageSource = Literal['reported', 'estimated']
EntryStatus = Literal['ok', 'error', 'cancelled', 'abandoned', 'cache_hit']

_NO_FACTS: Mapping[str, object] = MappingProxyType({})
_UTC_OFFSET = timedelta(0)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call in the ledger. It holds numbers and names, never a prompt, an answer or a key.

    Attributes:
        id: Provider and response id where one was seen, else run id and attempt.
        time: When the request left, aware and in UTC.
        provider: Who billed it: `anthropic`, `openai`, `azure`, `google` ...
        model_requested: The model that was asked for.
        model_served: The model that answered, as the provider names it.
        api: `anthropic_messages`, `openai_chat`, `openai_responses`, `openai_embeddings`,
            `gemini`, or the name of the framework's usage object.
        call_type: `chat` or `embeddings`.
        mode: `sync` or `batch`.
        cacheable: Whether the prefix reaches the model's minimum for prompt caching.
        tier: The service tier that served; `None` is unknown.
        geo: Where inference ran, as the provider echoes it; `None` is unknown.
        region: Region of the endpoint; `None` is unknown.
        endpoint: Host (and port) that was called; `None` where no request was seen.
        attribution: Who it is for.
        run_id: The framework's run.
        parent_run_id: The run that it is part of.
        usage: Inclusive counts; `None` is unknown, which is not zero.
        usage_source: Whether the counts were `reported` or `estimated`; `None` without usage.
        quote: The price; its `cost` is `None` when unpriced.
        list_cost: The price of the same usage at the public list, in 1e-12 USD: without the
            user's overlay, and for a `cache_hit` what the call would have cost.
        status: How the call ended.
        error: Kind of error: an exception's name or an HTTP status, never its message.
        latency_us: Time from request to the end of the answer, in microseconds.
        first_token_us: Time from request to the first byte of a streamed answer.
        prefix: Fingerprints of the request's content blocks, in order, with their places and cache
            marks; see `farthing.caching.fingerprint`.

    Raises:
        EntryError: A field is missing, or two contradict each other.
    """

    id: str
    time: datetime
    provider: str
    model_requested: str | None
    model_served: str | None = None
    api: str
    call_type: CallType = 'chat'
    mode: Mode = 'sync'
    cacheable: Cacheable = 'unknown'
    tier: str | None = None
    geo: str | None = None
    region: str | None = None
    endpoint: str | None = None
    attribution: Attribution = NOBODY
    run_id: str | None = None
    parent_run_id: str | None = None
    usage: Usage | None
    usage_source: UsageSource | None
    quote: Quote
    list_cost: int | None
    status: EntryStatus = 'ok'
    error: str | None = None
    latency_us: int | None = None
    first_token_us: int | None = None
    prefix: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id or not self.provider:
            raise EntryError(
                f'an entry needs an `id` and a `provider`, got {self.id!r} and {self.provider!r}'
            )
        if self.time.utcoffset() != _UTC_OFFSET:
            raise EntryError(f'`time` is {self.time!r}: expected an aware datetime in UTC')
        if (self.usage is None) != (self.usage_source is None):
            raise EntryError(
                f'`usage_source` is {self.usage_source!r} and `usage` is {self.usage!r}: '
                'give both or neither'
            )

    @property
    def model(self) -> str:
        """The model that served, else the one asked for, else `unknown`."""
        return self.model_served or self.model_requested or 'unknown'

    @property
    def cost_usd(self) -> Decimal | None:
        """Exact cost in USD; `None` when unpriced."""
        return self.quote.cost_usd

    @property
    def list_cost_usd(self) -> Decimal | None:
        """Exact cost at list price in USD; `None` when unpriced."""
        return None if self.list_cost is None else usd(self.list_cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A further entry that corrects the price of an earlier one; the earlier one stays.

    Attributes:
        id: The corrected entry's id and the version of the book that corrects it.
        time: When it was made, aware and in UTC.
        corrects: Id of the corrected entry.
        reason: Why, such as `reprice`.
        quote: The new price of the whole call. The ledger stores its difference to the sum of
            the entry and its earlier corrections, so that sums over rows stay right.
        list_cost: The new list cost of the whole call, in 1e-12 USD.
    """

    id: str
    time: datetime
    corrects: str
    reason: str
    quote: Quote
    list_cost: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a lever decided about a call, and what it expects of it.

    Attributes:
        entry_id: The entry that it is about.
        lever: `caching`, `routing`, `context`, `batching`.
        policy: Which policy decided, with its version.
        chosen: What was chosen.
        reason: Why, in one line.
        predicted_cost: Expected cost in 1e-12 USD; `None` is unknown.
        counterfactual_cost: Cost without the lever in 1e-12 USD; `None` is unknown.
        facts: Further numbers and names; no content.
        id: Makes it once however often it is posted; `None` gives it one of its own.
    """

    entry_id: str
    time: datetime
    lever: str
    policy: str
    version: str
    chosen: str
    reason: str
    predicted_cost: int | None = None
    counterfactual_cost: int | None = None
    facts: Mapping[str, object] = field(default_factory=lambda: _NO_FACTS)
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How good the answer of a run was.

    Attributes:
        run_id: The framework's run that was judged.
        score: The judge's score as a decimal; larger is better.
        source: Who judged.
        time: When, aware and in UTC.
    """

    run_id: str
    score: Decimal
    source: str
    time: datetime
