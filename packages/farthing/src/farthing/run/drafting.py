"""A request that is to be batched: what it is when it leaves, and what the ledger keeps of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from farthing.attribution import NOBODY, Attribution
from farthing.batching.chunking import LIMITS
from farthing.batching.estimating import estimate_one
from farthing.batching.jobs import Draft
from farthing.batching.keys import digest, item_key
from farthing.errors import BatchError, InputError
from farthing.estimate import tokens
from farthing.meter import Meter
from farthing.wire import READERS
from farthing.wire.dialects import DIALECTS
from farthing.wire.identity import identity

_WRAPPED = 160
"""Bytes that a provider's line has beside the body, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it leaves.

    Attributes:
        provider: Who bills.
        api: The protocol.
        base: The address up to the API's version.
        path: The path behind it.
        headers: What changes an answer: API version and betas.
        account: Fingerprint of the credentials.
        body: The JSON body.
        who: Whom it is for.
        run_id: The framework's run.
        parent_run_id: The run that it is part of.
    """

    provider: str
    api: str
    base: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    account: str
    body: Mapping[str, Any]
    who: Attribution = NOBODY
    run_id: str | None = None
    parent_run_id: str | None = None


class Drafting:
    """Makes drafts for one ledger."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def digest(self, asked: Asked) -> str:
        """What equal requests have in common, whatever their cache marks are.

        Raises:
            BatchError: The body is no JSON.
        """
        try:
            return digest(
                self._meter.ledger.key(),
                provider=asked.provider,
                base=asked.base,
                path=asked.path,
                headers=asked.headers,
                body=identity(DIALECTS[asked.provider].batched(asked.body)),
            )
        except InputError as error:
            raise BatchError(str(error)) from error

    def draft(
        self, asked: Asked, known_as: str, *, owner: int, nth: int, round_: int, merged: bool
    ) -> tuple[Draft, bytes]:
        """What the ledger keeps of a request, and its body for the journal.

        Args:
            asked: The request.
            known_as: Its digest.
            owner: Number of the input that sends it.
            nth: How many equal ones that input sent before.
            round_: How many requests that input sent before, plus one.
            merged: Whether it is one with equal requests of other inputs.

        Raises:
            BatchError: No batch takes it.
        """
        body = DIALECTS[asked.provider].batched(asked.body)
        raw = orjson.dumps(body)
        size = len(raw) + _WRAPPED
        if not LIMITS[asked.provider].takes(size):
            raise BatchError(
                f'a request of {len(raw)} bytes does not fit into a batch of {asked.provider} '
                f'({LIMITS[asked.provider].size} bytes): make it shorter'
            )
        reader = READERS[asked.api]
        said = reader.request(body)
        made = Draft(
            key=item_key(known_as, owner=None if merged else owner, nth=nth),
            digest=known_as,
            input=owner,
            round=round_,
            provider=asked.provider,
            base=asked.base,
            path=asked.path,
            account=asked.account,
            api=asked.api,
            headers=asked.headers,
            model=said.model or 'unknown',
            size=size,
            tokens=tokens(reader.chars(body), asked.provider),
            output_tokens=said.max_tokens,
            who=asked.who,
            run_id=asked.run_id,
            parent_run_id=asked.parent_run_id,
            prefix=self._meter.fingerprints(reader.blocks(body)),
        )
        return self._priced(made), raw

    def _priced(self, made: Draft) -> Draft:
        found = estimate_one(self._meter.book, made.forecast, datetime.now(UTC))
        return replace(made, predicted=None if found.unpriced else found.batch)
