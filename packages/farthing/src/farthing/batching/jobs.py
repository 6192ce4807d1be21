"""A job, its items and its submissions, as the ledger keeps them. No prompt, answer or key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from farthing.attribution import NOBODY, Attribution
from farthing.batching.chunking import Target
from farthing.batching.deadline import Deadline
from farthing.batching.estimating import Forecast
from farthing.batching.orphans import Intent
from farthing.batching.states import ItemState, JobState, Outcome, SubmissionState
from farthing.errors import InputError

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a user asks of a job.

    Attributes:
        deadline: When it is to be done.
        max_cost: Most that it may cost, in 1e-12 USD; `None` is no limit.
        dedupe: Whether equal requests are sent once.
        reuse: Whether answers of earlier jobs to equal requests are taken.

    Raises:
        InputError: The limit is negative.
    """

    deadline: Deadline = field(default_factory=Deadline)
    max_cost: int | None = None
    dedupe: bool = False
    reuse: bool = False

    def __post_init__(self) -> None:
        if self.max_cost is not None and self.max_cost < 0:
            raise InputError(f'`max_cost` is {self.max_cost}: expected at least 0')


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a user started, under a name and a number.

    Attributes:
        id: `NAME.NUMBER`.
        name: The user's.
        number: Counts the jobs of that name from 1.
        created_s: In seconds since 1970.
        terms: What was asked of it.
        state: `open`; `held` and `cancelled` send nothing; `finished` has delivered everything.
        reason: Why it is held.
    """

    id: str
    name: str
    number: int
    created_s: float
    terms: Terms
    state: JobState = 'open'
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request on its way into a job; its body goes into the journal.

    Attributes:
        key: What it is known by in its job.
        digest: What equal requests have in common, over all jobs.
        input: Number of the input that it belongs to.
        round: How many requests of that input came before, from 1.
        provider: Who bills.
        base: The address up to the API's version.
        path: The path behind it.
        account: Fingerprint of the credentials that pay.
        api: The protocol.
        headers: What changes an answer: API version and betas.
        model: The model that is asked for.
        size: Bytes of its line in an upload.
        tokens: Estimated input tokens.
        output_tokens: The most output that it allows; `None` where it sets no limit.
        predicted: What it costs in a batch at most, estimated, in 1e-12 USD; `None` is unknown.
        who: Whom it is for.
        run_id: The framework's run.
        parent_run_id: The run that it is part of.
        prefix: Fingerprints of its blocks.
    """

    key: str
    digest: str
    input: int
    round: int
    provider: str
    base: str
    path: str
    account: str
    api: str
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    model: str
    size: int
    tokens: int
    output_tokens: int | None = None
    predicted: int | None = None
    who: Attribution = NOBODY
    run_id: str | None = None
    parent_run_id: str | None = None
    prefix: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """Which others it may share a batch with."""
        return Target.of(
            provider=self.provider,
            base=self.base,
            path=self.path,
            account=self.account,
            headers=self.headers,
            model=self.model,
        )

    @property
    def forecast(self) -> Forecast:
        """What is known of its cost before it is sent."""
        return Forecast(
            provider=self.provider,
            model=self.model,
            input_tokens=self.tokens,
            output_tokens=self.output_tokens,
            embeds=self.api == 'openai_embeddings',
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A request of a job, paid once.

    Attributes:
        id: Its number in the ledger.
        job: Its job's id.
        draft: What it was made of.
        state: `waiting` for a batch, `sent` in one, `sync` asked at once, `done`.
        attempt: How often it was sent.
        outcome: How it ended; `None` while it has not.
        entry: Id of the entry that paid for its answer.
    """

    id: int
    job: str
    draft: Draft
    state: ItemState
    attempt: int
    outcome: Outcome | None = None
    entry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A batch of a provider, from the plan to its last line.

    Attributes:
        label: Ours; it stands in each `custom_id`.
        job: Its job's id.
        target: Where it goes.
        state: See `farthing.batching.states`.
        changed_s: When it took that state, in seconds since 1970.
        requests: Number of its requests.
        tokens: Their estimated input tokens.
        sent_s: When its creation was begun last; `None` before.
        file: Id of the uploaded file.
        batch: The provider's id; `None` while it is not known.
        looks: How many listings were searched for it.
        candidates: Batches that may be it.
        foreign: Batches that are not.
        outputs: Where its results are.
        cancelling: Whether it was asked to stop.
        reason: What went wrong last.
    """

    label: str
    job: str
    target: Target
    state: SubmissionState
    changed_s: float
    requests: int
    tokens: int
    sent_s: float | None = None
    file: str | None = None
    batch: str | None = None
    looks: int = 0
    candidates: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cancelling: bool = False
    reason: str | None = None

    @property
    def intent(self) -> Intent:
        """Its creation, as far as it was begun."""
        return Intent(
            label=self.label,
            requests=self.requests,
            sent_s=self.changed_s if self.sent_s is None else self.sent_s,
            file=self.file,
            looks=self.looks,
            foreign=frozenset(self.foreign),
        )
