"""An SDK's client whose requests are annotated just before they are sent.

The SDKs of Anthropic and OpenAI come from one generator: each call of each method, plain or
streamed, ends in the client's `request` with the finished body. There it is annotated once, and
the SDK's own retries send the same bytes again. The client is known by that shape, so that no SDK
is imported here.
"""

from typing import Any, TypeVar

from farthing.run.annotates import Annotates
from farthing.wire.endpoints import endpoint

Client = TypeVar('Client')

# What holds the prompt in a body; embeddings and old completions have neither or an input alone.
_PROMPTS = frozenset({'messages', 'input'})
# Marks of the SDKs for arguments that were not given; what carries one is not sent.
_UNSENT = frozenset({'NotGiven', 'Omit'})


def annotating(client: Client, annotator: Annotates, *, provider: str) -> Client:
    """A copy of an SDK's client that annotates its requests; itself if it does so already.

    The copy is of the same kind and shares the connections.
    """
    if hasattr(client, '_farthing_annotator'):
        return client
    copied: Client = client.copy()  # type: ignore[attr-defined]  # the SDKs' own method
    base: Any = type(copied)

    # Not async, although the async clients' is: it hands on what that returns.
    def request(self: Any, cast_to: Any, options: Any, **rest: Any) -> Any:
        return base.request(self, cast_to, _annotated(options, annotator, provider), **rest)

    # An object takes another class only if that adds nothing to its layout, as a mixin would.
    copied.__class__ = type(
        base.__name__,
        (base,),
        {
            '__module__': base.__module__,
            '__qualname__': base.__qualname__,
            '_farthing_annotator': annotator,
            'request': request,
        },
    )
    return copied


def _annotated(options: Any, annotator: Annotates, provider: str) -> Any:
    """The options of a request, with its body annotated where that holds a prompt."""
    path, method = options.url.partition('?')[0], options.method.upper()
    at = endpoint('', path, method=method, listed=True)
    body = options.json_data
    if at is None or not isinstance(body, dict) or body.keys().isdisjoint(_PROMPTS):
        return options
    given = {name: value for name, value in body.items() if type(value).__name__ not in _UNSENT}
    whole = {**given, **(options.extra_json or {})}
    sent = annotator.annotate(whole, provider=provider, api=at.api)
    if sent is whole:
        return options
    return options.model_copy(update={'json_data': dict(sent), 'extra_json': None})
