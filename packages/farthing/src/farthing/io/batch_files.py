"""Jobs of plain requests: a file of them goes in, a file of answers comes out, no framework.

A line is what the providers' own batches take: `{"custom_id", "params"}` for Anthropic,
`{"custom_id", "method", "url", "body"}` for OpenAI.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from farthing.attribution import Attribution
from farthing.batching.estimating import Estimate, estimate
from farthing.batching.jobs import Draft, Job
from farthing.errors import BatchError, InputError
from farthing.io.batch_desk import Desk
from farthing.io.batch_providers import HttpProviders
from farthing.money import plain, usd
from farthing.run.drafting import Asked, Drafting
from farthing.wire.dialects import DIALECTS
from farthing.wire.fields import loads, text

_AT_ONCE = 500
_VERSION = '/v1'
_NAMELESS = ''
"""The name of a line without a `custom_id`: requests of a chain's code have none at all."""


class Request(NamedTuple):
    """A line of a file of requests.

    Attributes:
        number: Of the line, from 0.
        name: Its `custom_id`.
        asked: What it asks.
    """

    number: int
    name: str | None
    asked: Asked


def read(lines: Iterable[bytes], providers: HttpProviders, who: Attribution) -> Iterator[Request]:
    """The requests of a file, to be sent with the keys of the environment.

    Raises:
        InputError: A line is no request, or there is no key for its provider.
    """
    for number, line in enumerate(lines):
        if line.strip():
            yield _request(number, line, providers, who)


def admit(desk: Desk, job: Job, requests: Iterable[Request]) -> int:
    """Store the requests of a job, to be sent with its next tick; how many they are.

    Those that are stored already stay as they are.

    Raises:
        BatchError: A request is larger than a batch.
        LedgerError: The ledger cannot be used.
    """
    drafting, journal = Drafting(desk.meter), desk.journal()
    waiting, count = iter(requests), 0
    seen: dict[str, int] = {}
    try:
        while some := list(islice(waiting, _AT_ONCE)):
            drafts: list[tuple[Draft, bytes]] = []
            names: dict[str, str] = {}
            for one in some:
                draft, body = _draft(drafting, one, seen, merged=job.terms.dedupe)
                drafts.append((draft, body))
                names.setdefault(draft.key, one.name or _NAMELESS)
            journal.keep_requests(job.id, ((draft.key, body) for draft, body in drafts), names)
            with desk.ledger.changing_batches() as change:
                change.admit(job.id, [draft for draft, _ in drafts])
            count += len(some)
    finally:
        journal.close()
    return count


def estimated(desk: Desk, requests: Iterable[Request], now: Any) -> Estimate:
    """What the requests cost in batches, and at once; nothing is stored."""
    drafting = Drafting(desk.meter)
    drafts = (_draft(drafting, one, {}, merged=False)[0] for one in requests)
    return estimate(desk.meter.book, (draft.forecast for draft in drafts), now)


def is_of_requests(desk: Desk, job: str) -> bool:
    """Whether a job is of plain requests: a chain's code may ask more once it is answered."""
    with desk.ledger.batches() as view:
        first = next(view.items(job), None)
    if first is None:
        return False
    journal = desk.journal()
    try:
        return journal.name(job, first.draft.key) is not None
    finally:
        journal.close()


def answers(desk: Desk, job: str) -> Iterator[dict[str, Any]]:
    """The answers of a job so far, in the order of its requests.

    Keys: line, custom_id, status, body, error where the journal has lost it, cost_usd (`None` is
    unknown) and attempts.

    Raises:
        BatchError: There is no such job.
    """
    journal = desk.journal()
    try:
        with desk.ledger.batches() as view:
            id_ = view.job(job).id
            for item in view.items(id_, 'done'):
                paid = view.cost_of(item.id)
                told: dict[str, Any] = {
                    'line': item.draft.input,
                    'custom_id': journal.name(id_, item.draft.key) or None,
                    'cost_usd': None if paid is None else plain(usd(paid)),
                    'attempts': item.attempt,
                }
                try:
                    found = journal.answer(id_, item.draft.key)
                except BatchError as error:
                    yield told | {'status': None, 'body': None, 'error': str(error)}
                    continue
                if found is None:
                    yield told | {'status': None, 'body': None, 'error': 'purged'}
                else:
                    yield told | {'status': found.status, 'body': loads(found.body)}
    finally:
        journal.close()


def _draft(
    drafting: Drafting, one: Request, seen: dict[str, int], *, merged: bool
) -> tuple[Draft, bytes]:
    """Equal requests are told apart by their order, not by their lines.

    So a file with a line more than before does not pay for the others again.
    """
    digest = drafting.digest(one.asked)
    nth = 0
    if not merged:
        nth = seen.get(digest, 0)
        seen[digest] = nth + 1
    draft, body = drafting.draft(
        one.asked, digest, owner=one.number, nth=nth, round_=1, merged=True
    )  # fmt: skip
    return draft, body


def _request(number: int, line: bytes, providers: HttpProviders, who: Attribution) -> Request:
    words = loads(line)
    if words is None:
        raise InputError(f'line {number + 1} is no JSON object: expected a request')
    name = text(words, 'custom_id')
    if isinstance(words.get('params'), Mapping):
        found = providers.asked('anthropic', '/messages', words['params'], who)
        return Request(number, name, found)
    url, body = text(words, 'url'), words.get('body')
    path = (url or '').removeprefix(_VERSION)
    if not isinstance(body, Mapping) or path not in DIALECTS['openai'].paths:
        raise InputError(
            f'line {number + 1} has the keys {sorted(words)} and the url {url!r}: expected '
            '`params` (Anthropic), or `url` and `body` (OpenAI: /v1/chat/completions, '
            '/v1/responses, /v1/embeddings)'
        )
    return Request(number, name, providers.asked('openai', path, body, who))
