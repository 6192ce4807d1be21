"""What peers of context control send, by their own code, on the same recorded sessions.

Each peer gets the history before every answer, as its framework would hand it over, without the
system text, which all of them are given back. What it sends is counted, cached and priced like
ours. No model is called: summaries are as long as ours and tell nothing, and cost what the cheap
model would have cost. A prompt that is empty, or parts a tool's result from its call, is invalid.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware import ClearToolUsesEdit, SummarizationMiddleware
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage, convert_to_messages, trim_messages
from langmem.short_term import RunningSummary, summarize_messages
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory

from farthing.context import Block, Rates, Tariff
from farthing.context.replay import PromptCache, Run, Session
from farthing.context.turns import unpaired

Count = Callable[[str], int]
Words = dict[str, Any]

BUDGET = 6_000
SUMMARY_TOKENS = 400  # as `PeriodicSummary` expects
_SUMMARY = 'so' + ' and so' * ((SUMMARY_TOKENS - 2) // 2)


class Peer:
    """A framework's own way to shorten a history; it may remember what it did."""

    def __init__(self, count: Count, cheap: Rates) -> None:
        self.count = count
        self.cheap = cheap
        self.spent = 0  # on summaries, in 1e-12 USD
        self.summaries = 0
        self.told = frozenset[str]()  # digests of messages that the last prompt tells elsewhere

    def steady(self, sent: list[Block]) -> int:
        """How many at the beginning of a prompt are worth a cache mark of their own."""
        return len(sent)

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        """What goes out of a history; `blocks` are its messages as we count them."""
        raise NotImplementedError

    def ask(self, sent: list[Block], text: str, block: Block) -> list[Block]:  # noqa: ARG002
        """What goes out with a question, once the session is over."""
        return [*sent, block]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call with a peer in front of the model.

    Attributes:
        at: Position of its answer in the session.
        sent: What is sent after the system text.
        run: What it costs, with the summaries that were made for it.
    """

    at: int
    sent: list[Block]
    run: Run


class Calls:
    """A session's calls with a peer in front of the model, priced one after the other."""

    def __init__(self, peer: Peer, session: Session, messages: list[Words], tariff: Tariff) -> None:
        self.peer, self.session, self.messages, self.tariff = peer, session, messages, tariff
        self.cache, self.before = PromptCache(bool), list[str]()

    def __iter__(self) -> Iterator[Asked]:
        """The calls that the session shows."""
        for at in self.session.calls():
            spent = self.peer.spent
            sent = self.view(at)
            run = self.price(sent, self.session.blocks[at].tokens)
            yield Asked(at=at, sent=sent, run=run + Run(cost=self.peer.spent - spent))

    def view(self, stop: int) -> list[Block]:
        """What the peer sends of the messages before a position."""
        return self.peer.send(self.messages[1:stop], self.session.blocks[1:stop])

    def price(self, sent: list[Block], output_tokens: int) -> Run:
        parts = [('tools', self.session.tool_tokens)]
        parts += [(one.digest, one.tokens) for one in (self.session.blocks[0], *sent)]
        tokens = self.cache.send(parts, {2, 2 + self.peer.steady(sent), len(parts)})
        now, before = [one.digest for one in sent], self.before
        self.before = now
        length = sum(one.tokens for one in sent)
        return Run(
            cost=self.tariff.cost(
                read=tokens.read, written=tokens.written, fresh=tokens.fresh, output=output_tokens
            ),
            calls=1,
            history_tokens=length,
            peak_history_tokens=length,
            rewrites=int(now[: len(before)] != before),
            invalid_prompts=int(not sent or unpaired(sent) > 0),
        )


class _LangChain(Peer):
    """Messages carry their number as id; one whose content changed is counted anew."""

    def __init__(self, count: Count, cheap: Rates) -> None:
        super().__init__(count, cheap)
        self.messages = list[BaseMessage]()
        self.given: dict[str | None, tuple[Any, Block]] = {}

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        known = len(self.messages)
        new = [one | {'content': one.get('content')} for one in history[known:]]
        for message, block in zip(convert_to_messages(new), blocks[known:], strict=True):
            message.id = str(len(self.messages))
            self.messages.append(message)
            self.given[message.id] = (message.content, block)
        return [self.block(one) for one in self.sent([*self.messages])]

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


class LangMem(_LangChain):
    summary: RunningSummary | None = None

    def sent(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        done = summarize_messages(
            messages,
            running_summary=self.summary,
            model=_Summarizer(self),
            max_tokens=BUDGET,
            max_summary_tokens=SUMMARY_TOKENS,
            token_counter=self.tokens,
        )
        self.summary = done.running_summary
        return done.messages


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
        self.peer.spent += prompt * cheap.input + SUMMARY_TOKENS * cheap.output
        self.peer.summaries += 1
        return f'{self.peer.summaries} {_SUMMARY}'  # no two are the same: no cache holds the next


class LlamaIndexPeer(Peer):
    """Messages carry their number in `additional_kwargs`, beside their tool calls."""

    def __init__(self, count: Count, cheap: Rates) -> None:
        super().__init__(count, cheap)
        self.seen, self.memory = 0, self.made()

    def made(self) -> Any:
        raise NotImplementedError

    def tokenized(self, text: str) -> range:
        return range(self.count(text))

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        self.put(history)
        return [blocks[one.additional_kwargs['number']] for one in self.memory.get()]

    def put(self, history: list[Words]) -> None:
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


class Buffer(LlamaIndexPeer):
    """Messages before a request that it begins with are never sent again: it need not count them.

    It may also begin with its newest message, whatever that is; then nothing can be said.
    """

    def send(self, history: list[Words], blocks: Sequence[Block]) -> list[Block]:
        sent = super().send(history, blocks)
        if sent and sent[0].kind == 'user':
            self.memory.set(self.memory.get())
        return sent

    def made(self) -> Any:
        return ChatMemoryBuffer.from_defaults(token_limit=BUDGET, tokenizer_fn=self.tokenized)


class Flushing(LlamaIndexPeer):
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
    'langmem': LangMem,
}
