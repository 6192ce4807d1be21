"""What peers of context control send, by their own code, on the same recorded sessions.

Each peer gets the history before every answer, as its framework would hand it over, without the
system text, which all of them are given back. What it sends is counted, cached and priced like
ours. Summaries are a fixed text, made at the cheap model's prices; no model is called.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain.agents.middleware import ClearToolUsesEdit, SummarizationMiddleware
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage, convert_to_messages, trim_messages
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory

from farthing.context import Block, Rates, Tariff
from farthing.context.replay import PromptCache, Run, Session
from farthing.context.turns import unpaired

Count = Callable[[str], int]
Words = dict[str, Any]

BUDGET = 6_000
SUMMARY = 'The user asked, the agent looked it up and answered. ' * 40


class Peer:
    """A framework's own way to shorten a history; it may remember what it did."""

    def __init__(self, count: Count, cheap: Rates) -> None:
        self.count = count
        self.cheap = cheap
        self.spent = 0  # on summaries, in 1e-12 USD

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        """What goes out of a history; `blocks` are its messages as we count them."""
        raise NotImplementedError


def price(peer: Peer, session: Session, messages: list[Words], tariff: Tariff) -> Run:
    """What a session costs with a peer in front of the model."""
    cache, total, before = PromptCache(bool), Run(), list[str]()
    system, first = list(session.blocks[:1]), 1
    for at in session.calls():
        sent = peer.send(messages[first:at], session.blocks[first:at])
        parts = [('tools', session.tool_tokens)]
        parts += [(one.digest, one.tokens) for one in system + sent]
        tokens = cache.send(parts, {2, len(parts)})
        now = [one.digest for one in sent]
        length = sum(one.tokens for one in sent)
        total += Run(
            cost=tariff.cost(
                read=tokens.read,
                written=tokens.written,
                fresh=tokens.fresh,
                output=session.blocks[at].tokens,
            ),
            calls=1,
            history_tokens=length,
            peak_history_tokens=length,
            rewrites=int(now[: len(before)] != before),
            invalid_prompts=int(unpaired(sent) > 0),
        )
        before = now
    return total + Run(cost=peer.spent)


class _LangChain(Peer):
    """Messages carry their number as id; one whose content changed is counted anew."""

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        messages = convert_to_messages([one | {'content': one.get('content')} for one in history])
        for number, message in enumerate(messages):
            message.id = str(number)
        self.given = {
            one.id: (one.content, block) for one, block in zip(messages, blocks, strict=True)
        }
        return [self.block(one) for one in self.sent(messages)]

    def sent(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        raise NotImplementedError

    def block(self, message: BaseMessage) -> Block:
        content, block = self.given.get(message.id, (None, None))
        if block is not None and content == message.content:
            return block
        return Block(
            kind='user' if block is None else block.kind,
            tokens=self.count(message.text) + 4,
            digest=f'{message.id} {message.text}',
            call_ids=() if block is None else block.call_ids,
        )

    def tokens(self, messages: Any) -> int:
        return sum(self.block(one).tokens for one in messages)


class TrimMessages(_LangChain):
    start_on: str | None = None

    def sent(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        return trim_messages(
            messages, max_tokens=BUDGET, token_counter=self.tokens, start_on=self.start_on
        )


class TrimToHuman(TrimMessages):
    start_on = 'human'


class ClearToolUses(_LangChain):
    at_least = 0

    def sent(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        edit = ClearToolUsesEdit(trigger=BUDGET, keep=3, clear_at_least=self.at_least)
        edit.apply(messages, count_tokens=self.tokens)
        return messages


class ClearAtLeast(ClearToolUses):
    at_least = 2_000


class Summarization(_LangChain):
    keep = 20

    def __init__(self, count: Count, cheap: Rates) -> None:
        super().__init__(count, cheap)
        self.seen, self.state = 0, list[BaseMessage]()
        self.middleware = SummarizationMiddleware(
            model=_Summarizer(self),
            trigger=('tokens', BUDGET),
            keep=('messages', self.keep),
            token_counter=self.tokens,
        )

    def sent(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        self.state += messages[self.seen :]
        self.seen = len(messages)
        update = self.middleware.before_model({'messages': self.state}, None)
        if update is not None:
            self.state = update['messages'][1:]
        return self.state


class SummarizationOfEight(Summarization):
    keep = 8


class _Summarizer(SimpleChatModel):
    peer: Any

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer=peer)

    @property
    def _llm_type(self) -> str:
        return 'fixed'

    def _call(self, messages: list[BaseMessage], *_: Any, **__: Any) -> str:
        prompt = sum(self.peer.count(one.text) for one in messages)
        cheap = self.peer.cheap
        self.peer.spent += prompt * cheap.input + self.peer.count(SUMMARY) * cheap.output
        return SUMMARY


class _LlamaIndex(Peer):
    """Messages carry their number in `additional_kwargs`, beside their tool calls."""

    def __init__(self, count: Count, cheap: Rates) -> None:
        super().__init__(count, cheap)
        self.seen, self.memory = 0, self.made()

    def made(self) -> Any:
        raise NotImplementedError

    def tokenized(self, text: str) -> range:
        return range(self.count(text))

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        for number, one in enumerate(history[self.seen :], self.seen):
            extra = {key: one[key] for key in ('tool_calls', 'tool_call_id') if key in one}
            self.memory.put(
                ChatMessage(
                    role=one['role'],
                    content=one.get('content') or '',
                    additional_kwargs={**extra, 'number': number},
                )
            )
        self.seen = len(history)
        return [blocks[one.additional_kwargs['number']] for one in self.memory.get()]


class Buffer(_LlamaIndex):
    def made(self) -> Any:
        return ChatMemoryBuffer.from_defaults(token_limit=BUDGET, tokenizer_fn=self.tokenized)


class Flushing(_LlamaIndex):
    share = 10

    def made(self) -> Any:
        return Memory.from_defaults(
            session_id='bench',
            token_limit=BUDGET,
            chat_history_token_ratio=1.0,
            token_flush_size=BUDGET // self.share,
            tokenizer_fn=self.tokenized,
        )


class FlushingHalf(Flushing):
    share = 2


PEERS: dict[str, type[Peer]] = {
    'trim_messages, start_on human': TrimToHuman,
    'trim_messages': TrimMessages,
    'ClearToolUsesEdit': ClearToolUses,
    'ClearToolUsesEdit, 2k at least': ClearAtLeast,
    'ChatMemoryBuffer': Buffer,
    'Memory, flush 10 %': Flushing,
    'Memory, flush 50 %': FlushingHalf,
    'SummarizationMiddleware, keep 20': Summarization,
    'SummarizationMiddleware, keep 8': SummarizationOfEight,
}


def runs(
    sessions: Sequence[tuple[Session, list[Words]]], count: Count, tariff: Tariff, cheap: Rates
) -> Iterator[tuple[str, Run]]:
    """Each peer over all sessions, which come with their messages."""
    for name, kind in PEERS.items():
        priced = (price(kind(count, cheap), one, said, tariff) for one, said in sessions)
        yield name, sum(priced, Run())
