"""Spools of many entries, as dead processes leave them: what a drain finds."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from farthing import Attribution, Call, Entry, PriceBook, Terms, Usage
from farthing.ledger.answered import answered_line
from farthing.ledger.record import entry_line

DAYS = 30
_LAST = datetime(2026, 11, 22, tzinfo=UTC)
_MODELS = (
    ('anthropic', 'claude-sonnet-4-6', 'anthropic_messages', 'api.anthropic.com'),
    ('anthropic', 'claude-haiku-4-5', 'anthropic_messages', 'api.anthropic.com'),
    ('openai', 'gpt-5-mini', 'openai_chat', 'api.openai.com'),
    ('openai', 'gpt-4o', 'openai_responses', 'api.openai.com'),
)
_TEMPLATES = 20_000


def spooled(folder: Path, count: int) -> Path:
    """A folder with one spool of `count` entries of 200 tenants (Pareto), 10 tasks, 4 models."""
    return _spool(folder, count, entry_line)


def told(folder: Path, count: int) -> Path:
    """The same entries as LangChain tells of them, still to be read and priced."""
    return _spool(folder, count, _told)


def _spool(folder: Path, count: int, line_of: Callable[[Entry], bytes]) -> Path:
    """Twenty thousand are made; further ones repeat them under ids of their own."""
    folder.mkdir(parents=True)
    lines = [line_of(entry) for entry in _entries(min(count, _TEMPLATES))]
    with Path(folder, '1-bench.spool').open('wb') as file:
        for start in range(0, count, _TEMPLATES):
            again = f'"call-{start // _TEMPLATES}-'.encode()
            wanted = lines[: count - start]
            file.writelines(line.replace(b'"call-0-', again, 2) for line in wanted)
    return folder


def _told(entry: Entry) -> bytes:
    usage, served = entry.usage, entry.model_served
    assert usage is not None
    run = Finished(entry.id, entry.attribution, entry.time, entry.provider, served)
    words = {
        'input_tokens': usage.input_tokens,
        'output_tokens': usage.output_tokens,
        'total_tokens': usage.input_tokens + usage.output_tokens,
        'input_token_details': {'cache_read': usage.cache_read_tokens},
    }
    said = {'model_name': served, 'model_provider': entry.provider}
    return answered_line(run, 'langchain_usage_metadata', 'reported', words, said)


@dataclass(frozen=True)
class Finished:
    """A framework's call of a second."""

    id: str
    who: Attribution
    time: datetime
    provider: str
    model: str | None
    parent_id: None = None
    call_type: Literal['chat'] = 'chat'

    def age_us(self) -> int:
        """In microseconds."""
        return 1_000_000

    def first_token_us(self) -> None:
        """It streamed none."""


def _entries(count: int) -> Iterator[Entry]:
    random_ = random.Random(20261123)
    book = PriceBook.load()
    terms = Terms(tier='standard', batch=False, region='global')
    for number in range(count):
        provider, model, api, endpoint = random_.choice(_MODELS)
        time = _LAST - timedelta(seconds=random_.randrange(DAYS * 86_400))
        read, fresh = random_.choice((0, 2_000)), random_.randrange(50, 4_000)
        usage = Usage(
            input_tokens=read + fresh, output_tokens=random_.randrange(500), cache_read_tokens=read
        )
        quote = book.quote(usage, Call(provider=provider, model=model, at=time, terms=terms))
        yield Entry(
            id=f'call-0-{number:06}-{random_.getrandbits(64):016x}',
            time=time,
            provider=provider,
            model_requested=model,
            model_served=model,
            api=api,
            tier='standard',
            endpoint=endpoint,
            attribution=Attribution(
                tenant=f'tenant-{min(199, int(random_.paretovariate(0.7)) - 1)}',
                task=f'task-{random_.randrange(10)}',
            ),
            run_id=f'{random_.getrandbits(128):032x}',
            usage=usage,
            usage_source='reported',
            quote=quote,
            list_cost=quote.cost,
            latency_us=random_.randrange(200_000, 9_000_000),
        )
