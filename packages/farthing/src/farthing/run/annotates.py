"""What an annotator of requests is, and how one is asked before a request leaves.

An SDK's method takes a request in pieces: most fields of the body as arguments of their own,
others in `extra_body`, and beside them what is no part of the body at all. An annotator is shown
the body as it will be sent. What it adds travels in `extra_body`, because not every method of
every SDK takes every field, and none refuses a field there.
"""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from farthing.meter.shared import Source

_log = logging.getLogger('farthing')
_EXTRA = 'extra_body'
_NO_BODY = frozenset({_EXTRA, 'extra_headers', 'extra_query', 'timeout', 'betas'})


class Annotates(Protocol):
    """Decides what a request says about prompt caching."""

    def annotate(
        self, payload: Mapping[str, Any], *, provider: str, api: str, model: str | None = None
    ) -> Mapping[str, Any]:
        """The request body to send.

        Args:
            payload: The body as the framework made it; never changed.
            provider: Who bills it, as in a price book: `anthropic`, `openai`, `azure`, ...
            api: `anthropic_messages`, `openai_chat` or `openai_responses`.
            model: The model's name, where the body does not tell it.

        Returns:
            A structural copy with cache marks (for OpenAI keys and options), in which texts,
            order, ids and names are the same; or `payload` itself where nothing pays or anything
            went wrong. Marks of another provider are not in it. It never raises.
        """


def annotated(
    arguments: Mapping[str, Any],
    annotator: Annotates,
    *,
    provider: str,
    api: str,
    model: str | None = None,
) -> dict[str, Any]:
    """The arguments of an SDK's method, with the body that they make annotated."""
    extra = arguments.get(_EXTRA)
    extra = extra if isinstance(extra, Mapping) else {}
    direct = {name: value for name, value in arguments.items() if name not in _NO_BODY}
    body = {**direct, **extra}
    sent = annotator.annotate(body, provider=provider, api=api, model=model)
    if sent is body:
        return dict(arguments)
    beside = {name: arguments[name] for name in _NO_BODY & arguments.keys()}
    kept = {name: sent[name] for name in direct if name in sent}
    added = {name: value for name, value in sent.items() if name in extra or name not in direct}
    return {**beside, **kept, **({_EXTRA: added} if added or extra else {})}


def default(ledger: Source = None) -> Annotates:
    """The annotator that learns in a ledger.

    Raises:
        LedgerError: The ledger cannot be opened.
        InputError: `ledger` is none of what is expected.
    """
    # Importing an adapter shall not wait for the ledger and the price book.
    from farthing.run.annotator import annotator  # noqa: PLC0415

    return annotator(ledger)


class Unannotated:
    """The kinds of models that were given to `cached` and cannot be annotated, with counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def add(self, kind: type) -> None:
        """Count one, and warn about the first of its kind."""
        name = f'{kind.__module__}.{kind.__qualname__}'
        with self._lock:
            self.counts[name] += 1
            first = self.counts[name] == 1
        if first:
            _log.warning(
                'farthing: `cached` leaves %s as it is: it holds no model of Anthropic or OpenAI '
                'whose requests can be annotated',
                name,
            )


unannotated = Unannotated()
"""What `cached` had to leave as it was, in this process."""
