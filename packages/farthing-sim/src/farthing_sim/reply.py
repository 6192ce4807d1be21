"""What the simulated model says: one pure function for every API.

Each API reads its request into an `Ask`, gets a `Reply` and writes it in its own shape. The
reply depends on the ask alone, so the same request is always answered (and billed) the same.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from farthing_sim import tokens
from farthing_sim.schema import example, excerpt

Stop = Literal['end', 'length', 'sequence', 'tool']


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call; `schema` is that of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, freed of its provider's words.

    `text` is the last thing the user said; `results` and `called` are what the tools answered
    and which were called since then. `choice` is `auto`, `any`, `none` or `only <name>`.
    """

    text: str
    tools: tuple[Tool, ...] = ()
    choice: str = 'auto'
    parallel: bool = True
    called: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    json_mode: bool = False
    thinks: bool = False
    may_search: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    variant: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and what it counts. `output_tokens` includes `thinking_tokens`."""

    text: str
    thinking: str
    calls: tuple[Call, ...]
    search: str | None
    stop: Stop
    stop_sequence: str | None
    output_tokens: int
    thinking_tokens: int


def reply(ask: Ask) -> Reply:
    """Answer an ask: by tool calls where it wants them, else by JSON or prose."""
    calls = _calls(ask)
    thought = f'The user says: {excerpt(ask.text)}. I answer step by step.'
    search = None if calls or not ask.may_search else _search(ask.text)
    return _measured(
        ask,
        thinking=thought if ask.thinks else '',
        text='' if calls else _written(ask),
        calls=calls,
        search=search,
    )


def call_tokens(call: Call) -> int:
    """Tokens that a tool call takes of the output."""
    return tokens.count(call.name) + tokens.count_json(call.arguments)


def _calls(ask: Ask) -> tuple[Call, ...]:
    chosen = _chosen(ask)
    return tuple(Call(name=t.name, arguments=example(t.schema, ask.text)) for t in chosen)


def _chosen(ask: Ask) -> list[Tool]:
    """The tools to call now. A tool is called once per user message, so that loops end."""
    fresh = [tool for tool in ask.tools if tool.name not in ask.called]
    if ask.choice == 'none' or not ask.tools:
        return []
    if ask.choice.startswith('only '):
        return [tool for tool in ask.tools if tool.name == ask.choice.removeprefix('only ')]
    if ask.choice == 'any':
        return [max(fresh or ask.tools, key=lambda tool: _likeness(tool, ask.text))]
    wanted = [tool for tool in fresh if _likeness(tool, ask.text) >= _ENOUGH]
    return wanted if ask.parallel else wanted[:1]


_ENOUGH = 2
_WORD = re.compile(r'[A-Z]?[a-z]{2,}|[A-Z]{3,}')
_EMPTY_WORDS = frozenset({
    'about', 'all', 'and', 'any', 'are', 'call', 'can', 'for', 'from', 'function', 'get', 'given',
    'has', 'have', 'her', 'his', 'how', 'into', 'its', 'not', 'one', 'our', 'out', 'please', 'set',
    'that', 'the', 'their', 'this', 'tool', 'use', 'using', 'what', 'will', 'with', 'you', 'your',
})  # fmt: skip


def _likeness(tool: Tool, text: str) -> int:
    """How much a text asks for a tool: words of the name weigh 2, of the description 1."""
    said = _stems(text)
    if tool.name in text:
        return 100
    return 2 * len(_stems(tool.name) & said) + len(_stems(tool.description) & said)


def _stems(text: str) -> set[str]:
    words = {word.lower() for word in _WORD.findall(text)} - _EMPTY_WORDS
    return {word.removesuffix('s') for word in words}


_SEARCHED = re.compile(r'\b(search|web|news|latest|current|today|online|internet)\b', re.IGNORECASE)


def _search(text: str) -> str | None:
    return excerpt(text) if _SEARCHED.search(text) else None


_FIELD = re.compile(r'[\'"`]([A-Za-z_]\w*)[\'"`]')
_ASKED_LENGTH = re.compile(r'\b(\d{1,4}) words\b')
_SENTENCES = (
    'This answer is simulated and costs nothing.',
    'The same question is always answered in the same words.',
    'Its tokens are counted by a small tokenizer of our own.',
    'Please tell me if you need more detail.',
    'I have noted the rest of your message as well.',
)


def _written(ask: Ask) -> str:
    if ask.schema is not None:
        return json.dumps(example(ask.schema, ask.text), ensure_ascii=False)
    if ask.json_mode:
        fields = _FIELD.findall(ask.text) or ['answer']
        answers = {field: f'{field} for {excerpt(ask.text)}' for field in fields}
        return json.dumps(answers, ensure_ascii=False)
    return _prose(ask)


def _prose(ask: Ask) -> str:
    seed = hashlib.sha256(f'{ask.variant}|{ask.text}'.encode('utf-8', 'replace')).digest()
    asked = _ASKED_LENGTH.search(ask.text)
    if asked:
        words = ' '.join(_SENTENCES).split()
        return ' '.join(words[(seed[0] + i) % len(words)] for i in range(int(asked[1])))
    if ask.results:
        opening = f'The tools answered: {excerpt("; ".join(ask.results))}.'
    else:
        opening = f'You said: {excerpt(ask.text) or "nothing"}.'
    first, more = seed[0] % len(_SENTENCES), seed[1] % len(_SENTENCES)
    rest = (_SENTENCES[(first + i) % len(_SENTENCES)] for i in range(more))
    return ' '.join((opening, *rest))


def _measured(
    ask: Ask, *, thinking: str, text: str, calls: tuple[Call, ...], search: str | None
) -> Reply:
    """Cut an answer at the first stop sequence and at `max_tokens`, and count it."""
    met = [(text.index(word), word) for word in ask.stop if word and word in text]
    at, sequence = min(met, default=(len(text), None))
    thought, said = tokens.pieces(thinking), tokens.pieces(text[:at])
    room = len(thought) + len(said) + sum(map(call_tokens, calls))
    room = room if ask.max_tokens is None else min(room, ask.max_tokens)
    cut_thought = thought[:room]
    cut_said = said[: room - len(cut_thought)]
    kept, spent = [], len(cut_thought) + len(cut_said)
    for call in calls:
        if spent + call_tokens(call) > room:
            break
        kept.append(call)
        spent += call_tokens(call)
    whole = len(kept) == len(calls) and len(cut_said) == len(said) and cut_thought == thought
    ended: Stop = 'sequence' if sequence is not None else 'tool' if calls else 'end'
    return Reply(
        text=''.join(cut_said),
        thinking=''.join(cut_thought),
        calls=tuple(kept),
        search=search,
        stop=ended if whole else 'length',
        stop_sequence=sequence if whole else None,
        output_tokens=spent,
        thinking_tokens=len(cut_thought),
    )
