"""A request as OpenAI's prompt cache sees it: a row of tokens with breakpoints.

Which models take which parameters: https://platform.openai.com/docs/guides/prompt-caching and
the descriptions of the parameters in the API reference.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from farthing_sim import tokens
from farthing_sim.surface import Json, Refusal

_VERSION = re.compile(r'(?:.*/)?(?:ft:)?gpt-(\d+)(?:\.(\d+))?')


@dataclass(slots=True, kw_only=True)
class Prompt:
    """The tokens of a request in the order in which the model gets them; it is built up.

    `marks` are the numbers of tokens before each explicit breakpoint, `ends` those before the
    end of each message's content.
    """

    tokens: list[str] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, pieces: Iterable[str]) -> None:
        """Append tokens of no message: a tool, the form of the answer."""
        self.tokens += pieces

    def add_message(self, role: str, *contents: Any) -> None:
        """Append a message: its role, its contents, and the rest of its framing."""
        self.tokens.append(f'<{role}>')
        for content in contents:
            self._add_content(content)
        self.ends.append(len(self.tokens))
        self.tokens += ['<end>'] * (tokens.MESSAGE_TOKENS - 1)

    def _add_content(self, content: Any) -> None:
        for part in content if isinstance(content, list) else [content]:
            self.tokens += tokens.content_pieces(part)
            if isinstance(part, dict) and part.get('prompt_cache_breakpoint'):
                self.marks.append(len(self.tokens))


def version(model: str) -> tuple[int, int]:
    """Version of a GPT model; 0.0 of any other."""
    found = _VERSION.match(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def has_breakpoints(model: str) -> bool:
    """Whether a model caches at breakpoints, and bills for writing."""
    return version(model) >= (5, 6)


def check_cache(body: Json, contents: Iterable[Any]) -> None:
    """Check the parameters of the cache; `contents` are those of all messages.

    Raises:
        Refusal: The model does not take one, or a value is not known.
    """
    model = body['model']
    options = body.get('prompt_cache_options')
    points = [
        part['prompt_cache_breakpoint']
        for content in contents
        if isinstance(content, list)
        for part in content
        if isinstance(part, dict) and part.get('prompt_cache_breakpoint') is not None
    ]
    given = {'prompt_cache_options': options, 'prompt_cache_breakpoint': points or None}
    for param, value in given.items():
        if value is not None and not has_breakpoints(model):
            raise Refusal(
                400,
                f"Unsupported parameter: '{param}' is not supported with this model.",
                param=param,
                code='unsupported_parameter',
            )
    options = options or {}
    _check_value(options.get('mode', 'implicit'), 'prompt_cache_options.mode', 'implicit explicit')
    _check_value(options.get('ttl', '30m'), 'prompt_cache_options.ttl', '30m')
    for point in points:
        _check_value(point.get('mode'), 'prompt_cache_breakpoint.mode', 'explicit')
    kept = '24h' if version(model) >= (5, 5) else 'in_memory 24h'
    if body.get('prompt_cache_retention') is not None:
        _check_value(body['prompt_cache_retention'], 'prompt_cache_retention', kept)


def _check_value(value: Any, param: str, known: str) -> None:
    if value not in known.split():
        raise Refusal(
            400,
            f'Invalid value: {value!r}. Supported values are: {", ".join(known.split())}.',
            param=param,
            code='invalid_value',
        )
