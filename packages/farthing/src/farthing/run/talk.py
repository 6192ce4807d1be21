"""What a driver of context control is told of a call, and what it answers, as values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from farthing.attribution import Attribution
from farthing.context import Part, Plan, Request, View
from farthing.ledger.sessions import Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A call that is about to leave, as an adapter sees it.

    Attributes:
        parts: All messages of the conversation, oldest first.
        fixed: Texts that every call sends besides: tools, and a system text that is no message.
        tools: How many tools the request has at least.
        provider: Who bills it.
        model: The model that is asked.
        who: Whom it is for; without a session, a conversation is known by how it began.
        limit: The most tokens a prompt may have.
        complete: Whether parts and fixed texts are all that the request will hold.
    """

    parts: Sequence[Part]
    fixed: Sequence[str] = ()
    tools: int = 0
    provider: str
    model: str
    who: Attribution
    limit: int | None = None
    complete: bool = True


class Answered(NamedTuple):
    """A model's answer to the request for a summary.

    Attributes:
        text: All of it.
        cost: What it cost in 1e-12 USD; `None` is unknown.
    """

    text: str
    cost: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A summary that is wanted.

    Attributes:
        name: Of which conversation.
        request: What was decided about it.
        talk: The call that it follows, without its messages.
        shares_prefix: Whether the session's own model is asked, by its last prompt with
            `instruction` after it.
        instruction: What to ask after that prompt.
        letter: All that a model needs that has not seen the prompt.
        replaced_tokens: Of all that the summary will stand for.
    """

    name: Name
    request: Request
    talk: Talk
    shares_prefix: bool
    instruction: str
    letter: str
    replaced_tokens: int


Ask = Callable[[Wanted], Answered]
"""Asks a model for a summary, outside of the user's own callbacks and streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a call is to be sent.

    Attributes:
        talk: What was asked for.
        view: Which of its parts, by position.
        summary: The text that stands in the summary's place; `None` without one.
        retrieved: The text that is repeated after all others; `None` without one.
        wanted: The summary to be made once the call is answered.
        overdue: Whether an earlier call wanted it, and nobody has begun it.
        plan: What was planned; `None` where the call goes out whole because something failed.
        base_tokens: Of what is sent, without what was learned about the model's tokenizer.
        full_tokens: Of the whole history.
        fresh_tokens: Of the view, what no earlier call has sent at its place.
        warm_tokens: Of what the last call would have sent of it; `None` once its cache is cold.
        remaining_calls: How many calls the session is expected to make; `None` is unknown.
        name: Of the conversation.
        off: Whether the policy was switched off, as it was measured to lose money.
    """

    talk: Talk
    view: View
    summary: str | None = None
    retrieved: str | None = None
    wanted: Wanted | None = None
    overdue: bool = False
    plan: Plan | None = None
    base_tokens: int = 0
    full_tokens: int = 0
    fresh_tokens: int = 0
    warm_tokens: int | None = None
    remaining_calls: int | None = None
    name: Name | None = None
    off: bool = False
