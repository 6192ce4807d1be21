"""What recording adds to a call of a LlamaIndex model that answers at once."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.fakes import MODEL
from bench.timing import US, Check, Contestant, Medians, Table, arace, race
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback

import llama_index_farthing
from farthing import Ledger

BARE, OURS, COUNTING = 'bare', 'farthing', 'TokenCountingHandler'
_AS_MOCK = 'without usage, as MockLLM'
_ANSWER = 'The order left the warehouse this morning and arrives tomorrow.'
_MESSAGES = [ChatMessage('Where is my order 4711? It was to arrive on Monday.')]
_USAGE = {
    'input_tokens': 100,
    'output_tokens': 180,
    'cache_read_input_tokens': 2_000,
    'cache_creation_input_tokens': 500,
    'cache_creation': {'ephemeral_5m_input_tokens': 500, 'ephemeral_1h_input_tokens': 0},
    'service_tier': 'standard',
}


class FakeLLM(MockLLM):
    """A model that answers at once, with the provider's usage or, as `MockLLM`, without."""

    # Where a model's class comes from tells us its provider.
    __module__ = 'llama_index.llms.anthropic.base'
    usage: dict[str, Any] | None = None

    def __init__(self, usage: dict[str, Any] | None, handlers: list[Any]) -> None:
        super().__init__(is_chat_model=True, callback_manager=CallbackManager(handlers))
        self.usage = usage

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=MODEL, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, *_: Any, **__: Any) -> ChatResponse:
        return self._answer()

    @llm_chat_callback()
    async def achat(self, *_: Any, **__: Any) -> ChatResponse:
        return self._answer()

    def _answer(self) -> ChatResponse:
        raw = self.usage and {'model': MODEL, 'usage': self.usage}
        return ChatResponse(message=ChatMessage(_ANSWER, role='assistant'), raw=raw)


def measure(*, quick: bool) -> list[Table]:
    """Chat and achat, with nothing, with the counting handler, and with the ledger."""
    rounds = 60 if quick else 250
    folder = tempfile.TemporaryDirectory()
    with folder as name, Ledger.open(Path(name, 'farthing.db')) as ledger:
        tables = [
            _table(
                {
                    'chat': race(_contestants(ledger, usage, _chat), rounds=rounds, calls=10),
                    'achat': arace(_contestants(ledger, usage, _achat), rounds=rounds, calls=10),
                },
                f'LlamaIndex, fake model {with_}: us a call, median of {rounds} rounds (and added)',
                bound=with_ == _AS_MOCK,
            )
            for with_, usage in ((_AS_MOCK, None), ('with usage', _USAGE))
        ]
        total = ledger.report().total
        if not total.calls or total.unpriced or ledger.lost:
            raise SystemExit(f'expected a price for every call, got {total}')
    return tables


def _chat(model: FakeLLM) -> object:
    return model.chat(_MESSAGES)


def _achat(model: FakeLLM) -> object:
    return model.achat(_MESSAGES)


def _contestants(
    ledger: Ledger, usage: dict[str, Any] | None, step: Callable[[FakeLLM], object]
) -> list[Contestant]:
    plain, counting = FakeLLM(usage, []), FakeLLM(usage, [TokenCountingHandler()])

    @contextmanager
    def installed() -> Iterator[None]:
        ours = llama_index_farthing.install(ledger, tenant='acme', task='support')
        try:
            yield
        finally:
            ours.uninstall()

    @contextmanager
    def emptied() -> Iterator[None]:
        yield
        counted: TokenCountingHandler = counting.callback_manager.handlers[0]
        if not counted.total_llm_token_count:
            raise SystemExit('the peer has counted nothing: its time says nothing')
        counted.reset_counts()

    return [
        Contestant(name=BARE, call=lambda: step(plain)),
        Contestant(name=OURS, call=lambda: step(plain), around=installed),
        Contestant(name=COUNTING, call=lambda: step(counting), around=emptied),
    ]


def _table(kinds: dict[str, Medians], title: str, *, bound: bool) -> Table:
    def added(kind: str, name: str) -> float:
        return kinds[kind][name] - kinds[kind][BARE]

    def cell(kind: str, name: str) -> str:
        took = f'{kinds[kind][name] / US:.0f}'
        return took if name == BARE else f'{took} (+{added(kind, name) / US:.0f})'

    checks = (
        Check(
            what=f'added in {kind} / {COUNTING}',
            value=added(kind, OURS) / added(kind, COUNTING),
            bound=1,
        )
        for kind in kinds
    )
    return Table(
        title=title,
        columns=('handler', *kinds),
        rows=[(name, *(cell(kind, name) for kind in kinds)) for name in (BARE, OURS, COUNTING)],
        checks=tuple(checks) if bound else (),
    )
