"""What a handler adds to a call of a LangChain chat model that answers at once."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import langfuse
import langfuse.langchain
from bench.fakes import CHUNKS, FakeChat
from bench.timing import US, Check, Contestant, Medians, Table, arace, race
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from farthing import Ledger
from langchain_farthing import LedgerCallbackHandler

BARE, OURS, USAGE = 'bare', 'farthing', 'UsageMetadataCallbackHandler'
LANGFUSE, OTEL = 'langfuse', 'OpenTelemetry GenAI'
_PROMPT = 'Where is my order 4711? It was to arrive on Monday.'


class Dropped(SpanExporter):
    """Takes spans and sends them nowhere."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


def measure(*, quick: bool) -> list[Table]:
    """Invoke, ainvoke and a stream of 50 chunks, with each handler in turn."""
    rounds = 60 if quick else 300
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(Path(folder, 'farthing.db')) as ledger,
    ):
        dropped = Dropped(), Dropped()
        make = _contestants(ledger, *dropped)
        invoke = make(lambda m, c: m.invoke(_PROMPT, config=c))
        ainvoke = make(lambda m, c: m.ainvoke(_PROMPT, config=c))
        kinds = {
            'invoke': race(_unpatched(invoke), rounds=rounds, calls=10),
            'ainvoke': arace(_unpatched(ainvoke), rounds=rounds, calls=5),
            'stream': race(make(_streamed), rounds=rounds, calls=2),
        }
        _check_work(ledger, dropped)
    return [_table(kinds, rounds)]


def _unpatched(contestants: list[Contestant]) -> list[Contestant]:
    """All but OpenTelemetry, which patches LangChain's classes at each of its turns.

    That undoes what the interpreter has learnt of everybody's code: a call of ours then took 104
    us where it takes 72. Its bound is on streams alone, so it runs there.
    """
    return [one for one in contestants if one.name != OTEL]


def _streamed(model: FakeChat, config) -> None:
    for _ in model.stream(_PROMPT, config=config):
        pass


def _contestants(ledger: Ledger, to_langfuse: Dropped, to_otel: Dropped):
    model = FakeChat()
    langfuse.Langfuse(
        public_key='pk-simulated',
        secret_key='sk-simulated',
        base_url='http://127.0.0.1:9',
        tracer_provider=TracerProvider(),
        span_exporter=to_langfuse,
    )
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(to_otel))
    handlers: dict[str, BaseCallbackHandler] = {
        OURS: LedgerCallbackHandler(ledger, tenant='acme', task='support'),
        USAGE: UsageMetadataCallbackHandler(),
        LANGFUSE: langfuse.langchain.CallbackHandler(),
    }

    @contextmanager
    def instrumented() -> Iterator[None]:
        instrumentor = LangChainInstrumentor()
        instrumentor.instrument(tracer_provider=provider)
        try:
            yield
        finally:
            instrumentor.uninstrument()

    def make(step: Callable[..., object]) -> list[Contestant]:
        def call(config) -> Callable[[], object]:
            return lambda: step(model, config)

        return [
            Contestant(name=BARE, call=call({})),
            *(Contestant(name=n, call=call({'callbacks': [h]})) for n, h in handlers.items()),
            Contestant(name=OTEL, call=call({}), around=instrumented),
        ]

    return make


def _check_work(ledger: Ledger, dropped: tuple[Dropped, Dropped]) -> None:
    """Nobody is fast by doing nothing."""
    langfuse.get_client().flush()
    total = ledger.report().total
    if not total.calls or total.unpriced or ledger.lost:
        raise SystemExit(f'expected a price for every call, got {total}')
    if not all(one.spans for one in dropped):
        raise SystemExit('a peer has made no spans: its time says nothing')


def _table(kinds: dict[str, Medians], rounds: int) -> Table:
    adds = {
        kind: {name: took - medians[BARE] for name, took in medians.items()}
        for kind, medians in kinds.items()
    }

    def cell(kind: str, name: str) -> str:
        if name not in kinds[kind]:
            return '-'
        took, added = kinds[kind][name] / US, adds[kind][name] / US
        return f'{took:.0f}' if name == BARE else f'{took:.0f} (+{added:.0f})'

    def check(kind: str, peer: str, bound: float) -> Check:
        ratio = adds[kind][OURS] / adds[kind][peer]
        return Check(what=f'added in {kind} / {peer}', value=ratio, bound=bound)

    return Table(
        title=f'LangChain, fake chat model: us a call, median of {rounds} rounds (and added); '
        f'stream of {CHUNKS} chunks',
        columns=('handler', *kinds),
        rows=[(name, *(cell(kind, name) for kind in kinds)) for name in kinds['stream']],
        checks=(
            check('invoke', LANGFUSE, 0.5),
            check('invoke', USAGE, 2),
            check('ainvoke', LANGFUSE, 0.35),
            check('ainvoke', USAGE, 0.35),
            check('stream', OTEL, 0.3),
        ),
    )
