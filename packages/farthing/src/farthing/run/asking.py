"""Asking Anthropic itself why its cache was missed.

A request names the answer before it, and the provider compares the two prompts. It is asked only
where the SDK in use knows the question, the conversation's last answer came from the provider's own
address, and no such question was ever refused: a call must not fail because we are curious.
https://platform.claude.com/docs/en/build-with-claude/cache-diagnostics
"""

import sys
from collections import OrderedDict

from farthing.caching.block import Prompt
from farthing.meter.choices import Answer
from farthing.wire.anthropic_marks import asking

_MOST = 1_000


class Curiosity:
    """The last answers of this process's conversations.

    Args:
        always: Ask whatever the SDK and the address are.
    """

    def __init__(self, *, always: bool = False) -> None:
        self._always = always
        self._refused = False
        self._answers: OrderedDict[bytes, str] = OrderedDict()

    def asked(self, sent: dict[str, object], prompt: Prompt) -> dict[str, object]:
        """The request with the question, or as it is."""
        if self._refused or not (self._always or _sdk_knows()):
            return sent
        known = self._answers.get(_opening(prompt))
        return sent if known is None and not self._always else asking(sent, known)

    def learn(self, prompt: Prompt, answer: Answer, *, asked: bool) -> None:
        """Remember an answer, or that a request with the question was refused."""
        if asked and not answer.ok:
            self._refused = not self._always
        reading = answer.reading
        told = answer.ok and (answer.official or self._always)
        if told and reading is not None and reading.response_id is not None:
            opening = _opening(prompt)
            self._answers[opening] = reading.response_id
            self._answers.move_to_end(opening)
            if len(self._answers) > _MOST:
                self._answers.popitem(last=False)


def _sdk_knows() -> bool:
    """Whether the loaded SDK has the question; it is not loaded for that."""
    types = sys.modules.get('anthropic.types')
    return hasattr(types, 'DiagnosticsParam')


def _opening(prompt: Prompt) -> bytes:
    """What a conversation is known by: its first message, for tools and system may change."""
    return next((one.digest for one in prompt.blocks if one.tier == 'messages'), b'')
