"""What a model is asked when a summary is wanted, and whether its answer is one."""

from collections.abc import Callable, Sequence

from farthing.context.parts import Part
from farthing.errors import ContextError

RECALLED = '[Said earlier in this conversation, for reference]'
"""How old messages begin that are repeated at the end of a prompt: no later prompt holds them."""
_WORDS_A_TOKEN = 0.7  # of English
_LEAST_CHARACTERS = 24
_LONG_TOKENS = 100
_SPEAKERS = {
    'system': 'system',
    'user': 'user',
    'assistant': 'assistant',
    'tool_call': 'assistant, calling tools',
    'tool_result': 'tool result',
}


def instruction(tokens: int) -> str:
    """What stands after a prompt that holds all that is to be summarised in so many tokens."""
    return (
        'Do not answer the above. Write a summary of the conversation so far, from which you can '
        'go on without its older messages. Keep what the user wants and dislikes, names, numbers, '
        'dates and ids, what was decided and done with which result, and what is open. Take over '
        'what an earlier summary says, unless it no longer holds. Call no tools. Write the summary '
        f'alone, in at most {int(tokens * _WORDS_A_TOKEN)} words.'
    )


def letter(parts: Sequence[Part], previous: str | None, tokens: int) -> str:
    """All that a model needs that has not seen the conversation.

    Args:
        parts: What is to be summarised; system texts are left out.
        previous: The summary of what came before, which the new one takes up.
        tokens: About how long the summary shall be.
    """
    said = transcript([part for part in parts if part.kind != 'system'])
    told = [] if previous is None else [f'<earlier_summary>\n{previous}\n</earlier_summary>']
    body = '\n\n'.join([*told, '<conversation>', said, '</conversation>'])
    return f'{body}\n\n{instruction(tokens)}'


def transcript(parts: Sequence[Part]) -> str:
    """Messages as one text."""
    return '\n\n'.join(f'[{_SPEAKERS[part.kind]}]\n{part.text}' for part in parts)


def summarised_as(text: str) -> str:
    """A summary as it stands in a prompt, as a message of the user."""
    return f'[Summary of what was said before]\n{text}'


def recalled(parts: Sequence[Part], retrieved: Sequence[int]) -> str | None:
    """Old messages as they are repeated at the end of a prompt; `None` without any."""
    if not retrieved:
        return None
    said = transcript([parts[at] for at in retrieved])
    return f'{RECALLED}\n\n{said}'


def checked(text: str, *, tokens: int, replaced_tokens: int, count: Callable[[str], int]) -> str:
    """The summary in an answer.

    Args:
        text: The answer's text.
        tokens: About how long it was to be.
        replaced_tokens: Of all that it would stand for.
        count: Tokens of a text.

    Raises:
        ContextError: It is none: empty, too short to be true, or no shorter than what it is of.
    """
    found = text.strip()
    least = _LEAST_CHARACTERS if replaced_tokens >= _LONG_TOKENS else 1
    length = count(found)
    if len(found) < least or length >= replaced_tokens:
        raise ContextError(
            f'for a summary of {replaced_tokens} tokens came {len(found)} characters, about '
            f'{length} tokens: expected about {tokens} tokens'
        )
    return found
