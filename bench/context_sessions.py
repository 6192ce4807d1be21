"""Recorded sessions, what in them was needed later, and prices: what context control works on.

The data lies beside the repository (../shared/data/context) and is no part of it.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from farthing import Call, PriceBook, Terms
from farthing.context import Block, Counter, Tariff
from farthing.context.parts import blocks
from farthing.context.replay import Session
from farthing.wire import chat

SHARED = Path(__file__).resolve().parents[2] / 'shared' / 'data' / 'context'
JOIN = 8
_SYSTEM_TOKENS = 3_000  # of a chat of people, which has none
_LEAST_CHARS = 4  # of a value that is looked for: shorter ones are found anywhere

Words = dict[str, Any]
Need = tuple[frozenset[str], ...]
"""Facts that a call needs; each is there if any of these blocks is, by their digests."""

count = lru_cache(maxsize=200_000)(Counter('openai', 'gpt-4o').tokens)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked once a session is over; nothing of it stays in the session.

    Attributes:
        block: The request.
        text: Its text.
        output_tokens: Of the answer.
        need: The messages that it is about.
    """

    block: Block
    text: str
    output_tokens: int
    need: Need


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A session, and what it is made of.

    Attributes:
        session: As policies see it; the first block is its system text.
        messages: As peers see it, in OpenAI's format.
        texts: Of its blocks.
        needs: What its calls needed, by the position of their answers.
        questions: What is asked in the end.
    """

    session: Session
    messages: list[Words]
    texts: tuple[str, ...]
    needs: dict[int, Need]
    questions: tuple[Question, ...] = ()


def found(need: Need, shown: AbstractSet[str]) -> float:
    """The share of what is needed that is shown."""
    return sum(not shown.isdisjoint(fact) for fact in need) / len(need)


@lru_cache
def tariff(model: str) -> Tariff:
    """Standard prices of a model of Anthropic's."""
    terms = Terms(tier='standard', batch=False, geo='global', region='global')
    at = datetime(2026, 11, 25, tzinfo=UTC)
    return Tariff(PriceBook.load(), Call(provider='anthropic', model=model, at=at, terms=terms))


def agents() -> list[Recorded]:
    """Airline tasks of tau-bench, eight in a row as one session."""
    talks = [row['messages'] for row in _rows('tau_airline_traces')]
    tools = json.dumps(json.loads((SHARED / 'tau_airline_tools.json').read_text('utf-8')))
    return [
        _recorded([one for n, talk in enumerate(part) for one in talk[n > 0 :]], count(tools))
        for part in (talks[at : at + JOIN] for at in range(0, len(talks), JOIN))
    ]


def chats() -> Iterator[Recorded]:
    """LoCoMo's development conversations: who speaks first asks, the other one answers."""
    questions = [row for row in _rows('locomo_qa') if row['category'] < 5 and row['evidence']]
    for name, rows in groupby(_rows('locomo_turns'), lambda row: row['conv']):
        turns = list(rows)
        user = turns[0]['speaker']
        system = 'so' + ' and so' * (_SYSTEM_TOKENS // 2)
        said = [{'role': 'system', 'content': system}] + [
            {
                'role': 'user' if one['speaker'] == user else 'assistant',
                'content': f'{one["speaker"]}: {one["text"]}',
            }
            for one in turns
        ]
        talk = _recorded(said, 0)
        digests = dict(zip((one['id'] for one in turns), _digests(talk)[1:], strict=True))
        asked = tuple(_question(one, digests) for one in questions if one['conv'] == name)
        yield Recorded(**vars(talk) | {'needs': {}, 'questions': asked})


def _recorded(said: list[Words], tool_tokens: int) -> Recorded:
    parts = list(chat.parts(said))
    session = Session(blocks=blocks(parts, count, key=b'bench'), tool_tokens=tool_tokens)
    texts = tuple(one.text for one in parts)
    return Recorded(
        session=session, messages=said, texts=texts, needs=_needs(said, texts, session.blocks)
    )


def _needs(said: list[Words], texts: Sequence[str], made: Sequence[Block]) -> dict[int, Need]:
    """Arguments of tool calls that stood in the history: names, numbers of flights, of cards."""
    needs = {}
    for at, message in enumerate(said):
        values = {
            value
            for call in message.get('tool_calls') or ()
            for value in _strings(json.loads(call['function']['arguments']))
            if len(value) >= _LEAST_CHARS and value not in texts[0]
        }
        facts = [
            frozenset(made[n].digest for n in range(1, at) if value in texts[n])
            for value in sorted(values)
        ]
        if need := tuple(fact for fact in facts if fact):
            needs[at] = need
    return needs


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def _question(row: Words, digests: dict[str, str]) -> Question:
    (part,) = chat.parts([{'role': 'user', 'content': row['question']}])
    (block,) = blocks([part], count, key=b'bench')
    return Question(
        block=block,
        text=part.text,
        output_tokens=count(str(row['answer'])),
        # Evidence that is no turn is found by nobody.
        need=tuple(
            frozenset({digests[one]} if one in digests else ()) for one in {*row['evidence']}
        ),
    )


def _digests(talk: Recorded) -> list[str]:
    return [one.digest for one in talk.session.blocks]


def _rows(name: str) -> Iterator[Words]:
    with gzip.open(SHARED / f'{name}.jsonl.gz', 'rt', encoding='utf-8') as lines:
        yield from map(json.loads, lines)
