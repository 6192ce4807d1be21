"""A ledger of a few entries that a reader can add up by hand, and the command line over it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farthing import Attribution, Entry, Ledger, Line, Quote, Usage
from farthing.cli import main
from farthing.io.tap import tap

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
Run = Callable[..., Result]


def entry(number: int, **changes) -> Entry:
    """A call of 1,000 tokens in and 100 out, at 3 and 15 USD a million: 0.0045 USD."""
    lines = (
        Line(meter='input', quantity=1_000, rate=3_000_000, amount=3 * 10**9, rules=('in',)),
        Line(meter='output', quantity=100, rate=15_000_000, amount=1_500_000_000, rules=('out',)),
    )
    fields = {
        'id': f'call-{number}',
        'time': NOON + timedelta(hours=number),
        'provider': 'anthropic',
        'model_requested': 'claude-sonnet-4-5',
        'api': 'anthropic_messages',
        'tier': 'standard',
        'endpoint': 'api.anthropic.com',
        'attribution': Attribution(tenant='acme', task='triage'),
        'usage': Usage(input_tokens=1_000, output_tokens=100),
        'usage_source': 'reported',
        'quote': Quote(status='exact', cost=4_500_000_000, lines=lines, book='test'),
        'list_cost': 4_500_000_000,
    }
    return Entry(**(fields | changes))


@pytest.fixture(autouse=True)
def _untapped() -> Iterator[None]:
    """A demo in this process leaves its handler's tap on, as a user's program does."""
    yield
    tap.uninstall()


UNPRICED = Quote(status='unpriced', cost=None, reason='no price for it', book='test')


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `farthing` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('FARTHING_LEDGER', raising=False)
    monkeypatch.delenv('FARTHING_PRICES', raising=False)

    def invoke(*arguments: str, **options) -> Result:
        return CliRunner().invoke(main, arguments, catch_exceptions=False, **options)

    return invoke


@pytest.fixture
def ledger(run: Run) -> str:
    """`farthing.db`: two calls of acme, one of globex in error, one without a price."""
    failed = Quote(status='exact', cost=0, book='test')
    with Ledger.open('farthing.db') as books:
        books.post(entry(1))
        books.post(entry(2))
        books.post(
            entry(
                3,
                attribution=Attribution(tenant='globex'),
                usage=None,
                usage_source=None,
                quote=failed,
                list_cost=0,
                status='error',
                error='http_529',
            )
        )
        books.post(entry(30, model_requested='claude-x', quote=UNPRICED, list_cost=None))
    return 'farthing.db'
