"""`farthing price`: what a usage object costs, at any date."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from farthing.cli import BAD_INPUT, FOUND, options, show
from farthing.cli.cases import Priced, answer, answered, priced, unanswered
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.prices import PriceBook
from farthing.wire import APIS

_LINES = (
    Column(name='meter', title='meter'),
    Column(name='quantity', title='quantity', kind='count'),
    Column(name='rate_usd', title='price of one', kind='money'),
    Column(name='amount_usd', title='amount', kind='money'),
    Column(name='rules', title='rules'),
)
_NAMED = 10  # broken lines that are named


@click.command('price')
@click.option('--provider', help='Who bills: anthropic, openai, google, azure, aws-bedrock ...')
@click.option('--api', type=click.Choice(APIS), help='In whose words the usage is.')
@click.option('--model', help='As the provider names it.')
@click.option(
    '--at', metavar='DATE', default='today', show_default=True, help='When it was called.'
)
@click.option('--usage-json', metavar='F', help='A file, `-` for stdin, or the JSON itself.')
@click.option(
    '--context',
    metavar='JSON',
    help='Conditions: service_tier, batch, inference_geo, speed, region, base_url.',
)
@click.option('--cases', metavar='FILE', help='A file of cases, one JSON object a line, or `-`.')
@options.prices_option
@options.format_option
def command(
    provider: str | None,
    api: str | None,
    model: str | None,
    at: str,
    usage_json: str | None,
    context: str | None,
    cases: str | None,
    overlay: str | None,
    form: str,
) -> int:
    r"""Price one usage object, or a file of cases, as the provider sent it.

    The answer is `exact`, `assumed` (a condition that decides the price is not known: it says
    which) or `unpriced` (then there is no cost, and it says why). Nothing unknown costs 0.

    Unless the usage or the context says `batch`, the call was synchronous.

    A case is {"id", "provider", "api", "model", "date", "usage", "context"}; each is answered by
    one line {"id", "status", "cost_usd", "tokens", "lines", "assumed", "reason", "model",
    "book"}. A line that is no case is answered too, the rest goes on, and the exit code is 2.

    \b
    Examples:
      farthing price --provider openai --api openai_chat --model gpt-4o-mini --at 2026-06-01 \
          --usage-json '{"prompt_tokens": 1000, "completion_tokens": 100}'
      farthing price --provider anthropic --api anthropic_messages --model claude-sonnet-4-5 \
          --at 2026-06-01 --usage-json usage.json --context '{"batch": true}'
      farthing price --cases cases.jsonl > prices.jsonl
    """
    book = options.book(overlay)
    if cases is not None:
        if given := [n for n, v in (('--usage-json', usage_json), ('--model', model)) if v]:
            raise InputError(f'`--cases` and `{given[0]}` were given: expected one of them')
        return _all(book, cases)
    named = {'provider': provider, 'api': api, 'model': model, 'usage-json': usage_json}
    if missing := [f'--{name}' for name, value in named.items() if not value]:
        raise InputError(f'{", ".join(missing)} is missing: give it, or a file with `--cases`')
    found = priced(
        book,
        provider=provider or '',
        api=api or '',
        model=model or '',
        at=options.moment(at, datetime.now(UTC)),
        whole_day=options.is_date(at),
        usage=_object('--usage-json', _text(usage_json or '')),
        context=_object('--context', _text(context)) if context else {},
    )
    _shown(found, form)
    return FOUND if found.cost is None else 0


def _all(book: PriceBook, cases: str) -> int:
    now, broken = datetime.now(UTC), []
    for number, line in _lines(cases):
        try:
            case = json.loads(line)
        except (ValueError, RecursionError) as error:
            said, is_case = unanswered(None, f'line {number} is no JSON: {error}'), False
        else:
            said, is_case = answered(book, case, now)
        if not is_case:
            broken.append(number)
        click.echo(show.json_line(said))
    if broken:
        listed = ', '.join(map(str, broken[:_NAMED])) + (' ...' if broken[_NAMED:] else '')
        click.echo(
            f'farthing price: {len(broken)} lines of {cases!r} are no cases (lines {listed}): '
            'their answers say what was expected',
            err=True,
        )
    return BAD_INPUT if broken else 0


def _shown(found: Priced, form: str) -> None:
    said = answer(found)
    rows = [{**line, 'rules': ' '.join(line['rules'])} for line in said['lines']]
    if form == 'json':
        show.as_json(said)
    elif form == 'csv':
        show.as_csv(_LINES, rows)
    elif found.cost is None:
        show.print_out(f'unpriced: {found.reason}')
    else:
        total = {'meter': found.status, 'quantity': '', 'amount_usd': said['cost_usd'], 'rules': ''}
        notes = [f'{said["model"]}, price book {said["book"]}']
        notes += [f'Assumed: {", ".join(found.assumed)}.'] if found.assumed else []
        show.as_table(_LINES, rows, total={**total, 'rate_usd': None}, notes=notes)


def _lines(source: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    return (
        (number, line) for number, line in enumerate(_read(source).split('\n'), 1) if line.strip()
    )


def _text(source: str) -> str:
    """The JSON itself, or what the file holds."""
    return source if source.lstrip()[:1] in {'{', '['} else _read(source)


def _read(source: str) -> str:
    try:
        return sys.stdin.read() if source == '-' else Path(source).read_text('utf-8')
    except UnicodeDecodeError as error:
        raise InputError(f'{source!r} is no text in UTF-8: {error}') from error
    except OSError as error:
        raise InputError(
            f'{source!r} cannot be read ({error.strerror}): expected a file, `-` or JSON'
        ) from error


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f'`{option}` is no JSON: {error}') from error
    if not isinstance(value, dict):
        raise InputError(f'`{option}` is {value!r:.60}: expected a JSON object')
    return value
