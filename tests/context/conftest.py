"""Sessions that are made up, and the prices of Claude Sonnet 4.6: 3 in, 15 out, 0.30 and 3.75."""

from collections.abc import Iterator
from datetime import UTC, datetime

from hypothesis import strategies as st

from farthing.context import Block, History, Rates, Setting, View
from farthing.context.planning import CLEARED_TOKENS
from farthing.context.rates import Tariff
from farthing.context.replay import Session
from farthing.prices import Call, PriceBook, Terms

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SONNET = Rates(input=3_000_000, read=300_000, write=3_750_000, output=15_000_000)
HAIKU = Rates(input=1_000_000, read=100_000, write=1_250_000, output=5_000_000)
SETTING = Setting(rates=SONNET, now=NOW)


def tariff(provider: str = 'anthropic', model: str = 'claude-sonnet-4-6') -> Tariff:
    terms = Terms(tier='standard', batch=False, geo='global', region='global')
    return Tariff(PriceBook.load(), Call(provider=provider, model=model, at=NOW, terms=terms))


def chat(
    turns: int, *, system: int = 3_000, asked: int = 120, said: int = 280, calls: int = 1
) -> tuple[Block, ...]:
    """A conversation of equal turns; all calls of a turn but the last one use a tool."""
    blocks = [Block(kind='system', tokens=system, digest='system')]
    for turn in range(turns):
        blocks.append(Block(kind='user', tokens=asked, digest=f'asked {turn}'))
        for call in range(calls - 1):
            ids = (f'{turn}.{call}',)
            blocks.append(Block(kind='tool_call', tokens=said, digest=f'call {ids}', call_ids=ids))
            blocks.append(
                Block(kind='tool_result', tokens=1_200, digest=f'result {ids}', call_ids=ids)
            )
        blocks.append(Block(kind='assistant', tokens=said, digest=f'said {turn}'))
    return tuple(blocks)


def prompts(session: Session, **limits) -> Iterator[History]:
    """What was said before each answer."""
    for at in session.calls():
        yield History(blocks=session.blocks[:at], fixed_tokens=session.tool_tokens, **limits)


def sent(history: History, view: View) -> list[str]:
    """The prompt's parts before what is retrieved, as bytes would be: equal parts are equal."""
    parts = [history.blocks[at].digest for at in view.head]
    parts += [view.summary.digest] if view.summary else []
    for at in view.rest:
        parts.append(('cleared ' if at in view.cleared else '') + history.blocks[at].digest)
    return parts


def size(history: History, view: View) -> int:
    """The prompt's tokens, counted up one by one."""
    total = history.fixed_tokens + (view.summary.tokens if view.summary else 0)
    for at in (*view.kept, *view.retrieved):
        total += CLEARED_TOKENS if at in view.cleared else history.blocks[at].tokens
    return total


TOKENS = st.integers(0, 3_000)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """Agents and chats: several tools at once, greetings, system texts in the middle."""
    blocks: list[Block] = []

    def say(kind: str, *ids: str) -> None:
        digest = f'{len(blocks)} {kind}'
        blocks.append(Block(kind=kind, tokens=draw(TOKENS), digest=digest, call_ids=ids))

    for _ in range(draw(st.integers(0, 2))):
        say('system')
    if draw(st.booleans()):
        say('assistant')
    for turn in range(draw(st.integers(1, 8))):
        for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
            say('user')
        for step in range(draw(st.integers(0, 3))):
            ids = [f'{turn}.{step}.{n}' for n in range(draw(st.integers(1, 3)))]
            say('tool_call', *ids)
            for one in draw(st.permutations(ids)):
                say('tool_result', one)
        if draw(st.integers(0, 5)):
            say('assistant')
        if not draw(st.integers(0, 9)):
            say('system')
    return Session(blocks=tuple(blocks), tool_tokens=draw(TOKENS))
