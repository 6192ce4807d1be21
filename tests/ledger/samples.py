"""Entries to post."""

from datetime import UTC, datetime, timedelta
from typing import Any

from farthing.attribution import Attribution
from farthing.entry import Correction, Decision, Entry
from farthing.prices.quote import Line, Quote
from farthing.usage import Usage

START = datetime(2026, 11, 1, tzinfo=UTC)
RATE = 3_000_000  # 3 USD per million tokens, in 1e-12 USD a token


def quote(tokens: int, *, rate: int = RATE, book: str = '2026-11-20') -> Quote:
    line = Line(
        meter='input', quantity=tokens, rate=rate, amount=tokens * rate, rules=('anthropic:input',)
    )
    return Quote(status='exact', cost=line.amount, lines=(line,), model='claude-x', book=book)


def entry(number: int, **fields: Any) -> Entry:
    """Entry `number`: ten tokens of input for each number, one minute later than the one before."""
    tokens = 10 * number
    who = {
        name: fields.pop(name) for name in ('tenant', 'task', 'session', 'tags') if name in fields
    }
    given = {
        'id': f'anthropic:msg_{number}',
        'time': START + timedelta(minutes=number),
        'provider': 'anthropic',
        'model_requested': 'claude-x',
        'model_served': 'claude-x-20261101',
        'api': 'anthropic_messages',
        'tier': 'standard',
        'endpoint': 'api.anthropic.com',
        'attribution': Attribution(**{'tenant': 'acme', 'task': 'triage', **who}),
        'usage': Usage(input_tokens=tokens, output_tokens=0),
        'usage_source': 'reported',
        'quote': quote(tokens),
        'list_cost': tokens * RATE,
        **fields,
    }
    return Entry(**given)


def correction(number: int, *, rate: int, book: str = '2026-11-23') -> Correction:
    new = quote(10 * number, rate=rate, book=book)
    return Correction(
        id=f'anthropic:msg_{number}@{book}',
        time=START + timedelta(days=20),
        corrects=f'anthropic:msg_{number}',
        reason='reprice',
        quote=new,
        list_cost=new.cost,
    )


def decision(lever: str = 'routing') -> Decision:
    return Decision(
        entry_id='anthropic:msg_1',
        time=START,
        lever=lever,
        policy='p',
        version='1',
        chosen='small',
        reason='short',
        facts={'words': 3},
    )
