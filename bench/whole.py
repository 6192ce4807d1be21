"""The whole cost under real models of LangChain, over HTTP to the simulated providers.

Processor time of this process, all threads: the drain is in it, waiting for the server is not.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time_ns

from bench.simulated import provider
from bench.timing import MS, Contestant, Medians, Table, race
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from farthing import Ledger
from farthing.io.tap import tap
from langchain_farthing import LedgerCallbackHandler

BARE, HANDLER, TAPPED = 'bare', 'handler', 'handler and tap'
_PROMPT = 'Where is my order 4711? It was to arrive on Monday. Answer in about fifty words.'


def measure(*, quick: bool) -> list[Table]:
    """Plain and streamed calls; the providers run in a process of their own."""
    rounds = 40 if quick else 150
    with (
        tempfile.TemporaryDirectory() as folder,
        provider() as url,
        Ledger.open(Path(folder, 'farthing.db')) as ledger,
    ):
        kinds = {
            f'{model.__class__.__name__}, {how}': race(
                _contestants(ledger, model, step), rounds=rounds, calls=2, clock=process_time_ns
            )
            for model in _models(url)
            for how, step in (('plain', _plain), ('streamed', _streamed))
        }
    names = (BARE, HANDLER, TAPPED)
    return [
        Table(
            title=f'Real models, simulated providers: ms of processor a call, median of {rounds}',
            columns=('', *names),
            rows=[(kind, *(_cell(took, name) for name in names)) for kind, took in kinds.items()],
        )
    ]


def _models(url: str) -> tuple[BaseChatModel, ...]:
    key = 'sk-simulated'
    return (
        ChatAnthropic(base_url=url, api_key=key, model='claude-sonnet-4-6', max_tokens=200),
        ChatOpenAI(base_url=f'{url}/v1', api_key=key, model='gpt-5-mini', stream_usage=True),
    )


def _plain(model: BaseChatModel, config) -> None:
    model.invoke(_PROMPT, config=config)


def _streamed(model: BaseChatModel, config) -> None:
    for _ in model.stream(_PROMPT, config=config):
        pass


def _contestants(
    ledger: Ledger, model: BaseChatModel, step: Callable[..., None]
) -> list[Contestant]:
    handler = LedgerCallbackHandler(ledger, tenant='acme', task='support', http_tap=False)
    config = {'callbacks': [handler]}

    @contextmanager
    def tapped() -> Iterator[None]:
        LedgerCallbackHandler(ledger)
        try:
            yield
        finally:
            tap.uninstall()

    return [
        Contestant(name=BARE, call=lambda: step(model, {})),
        Contestant(name=HANDLER, call=lambda: step(model, config)),
        Contestant(name=TAPPED, call=lambda: step(model, config), around=tapped),
    ]


def _cell(took: Medians, name: str) -> str:
    ms = f'{took[name] / MS:.2f}'
    if name == BARE:
        return ms
    added = took[name] - took[BARE]
    return f'{ms} ({added / MS:+.2f}, {added / took[BARE]:+.0%})'
