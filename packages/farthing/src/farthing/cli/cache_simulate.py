"""`farthing cache simulate`: what caching policies would have cost on a file of requests."""

from array import array
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from farthing.caching.rates import Rates, rates
from farthing.caching.simulation import Score, Sent, simulate
from farthing.cli import options, show
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.money import usd
from farthing.prices import PriceBook
from farthing.wire.fields import loads
from farthing.wire.marking import MARKINGS

_COLUMNS = (
    Column(name='policy', title='policy'),
    Column(name='cost_usd', title='input cost', kind='money'),
    Column(name='cache_read_tokens', title='read', kind='count'),
    Column(name='cache_write_tokens', title='written', kind='count'),
    Column(name='score', title='score', kind='count'),
    Column(name='score_all', title='score of all', kind='count'),
)
_EXPECTED = 'expected {"chain", "at", "provider", "model", "payload"}'


@click.command('simulate')
@click.option('--requests', 'source', metavar='FILE', required=True, help='One request a line.')
@click.option(
    '--warmup',
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help='The first requests, which `score` leaves out.',
)
@click.option(
    '--at', metavar='DATE', default='today', show_default=True, help='The day of the prices.'
)
@options.prices_option
@options.format_option
def command(source: str, warmup: int, at: str, overlay: str | None, form: str) -> None:
    r"""Price a file of requests under six caching policies.

    A line is {"chain", "at", "provider", "model", "payload"}: the conversation, the start in
    seconds, and the body as it was or would be sent. Tokens are estimated from its characters,
    only input is priced, and nothing is sent anywhere.

    `none` pays all input plainly; `5m` and `1h` always mark the end of tools and system and the
    last block; `farthing` decides and learns as it goes; `informed` knows how gaps are spread;
    `oracle` knows every gap. The score is the share of the oracle's saving that a policy gets.

    \b
    Examples:
      farthing cache simulate --requests requests.jsonl
      farthing cache simulate --requests requests.jsonl --warmup 0 --format json
    """
    book, day = options.book(overlay), options.moment(at, datetime.now(UTC))
    lines = _Lines(Path(source), book, day)
    rows = [_row(score) for score in simulate(lines.read, warmup=warmup)]
    if form == 'json':
        show.as_json({'policies': rows})
    elif form == 'csv':
        show.as_csv(_COLUMNS, rows)
    else:
        shown = [
            {**row, 'score': _percent(row['score']), 'score_all': _percent(row['score_all'])}
            for row in rows
        ]
        show.as_table(_COLUMNS, shown, notes=[f'Prices of {day:%Y-%m-%d}; tokens are estimated.'])


class _Lines:
    """The requests of a file, in order of time; the file is opened anew for each reading.

    Of each line only its time and place are kept, sixteen bytes, so that a file that is not in
    order can be read in order.
    """

    def __init__(self, path: Path, book: PriceBook, day: datetime) -> None:
        self._path, self._book, self._day = path, book, day
        self._rates: dict[tuple[str, str], Rates | None] = {}
        self._order = self._sorted()

    def read(self) -> Iterator[Sent]:
        """The requests, earliest first."""
        with self._path.open('rb') as file:
            for place, number in self._order:
                file.seek(place)
                yield self._sent(number, _object(self._path, number, file.readline()))

    def _sorted(self) -> list[tuple[int, int]]:
        times, places, numbers = array('d'), array('q'), array('q')
        try:
            with self._path.open('rb') as file:
                place = 0
                for number, line in enumerate(file, 1):
                    if line.strip():
                        times.append(_time(self._path, number, line))
                        places.append(place)
                        numbers.append(number)
                    place += len(line)
        except OSError as error:
            raise InputError(
                f'{str(self._path)!r} cannot be read ({error.strerror}): expected a file of '
                'requests, one JSON object a line'
            ) from error
        order = sorted(range(len(times)), key=times.__getitem__)
        return [(places[at], numbers[at]) for at in order]

    def _sent(self, number: int, line: Mapping[str, Any]) -> Sent:
        provider, model, payload = line['provider'], line['model'], line['payload']
        api = _api(provider, payload)
        if api is None:
            raise _wrong(
                self._path,
                number,
                f'provider {provider!r} takes no cache marks that we '
                'know: expected anthropic, openai, azure, aws-bedrock or google-vertex',
            )
        prompt = MARKINGS[api].prompt(payload, provider=provider, model=model)
        if prompt.malformed is not None:
            raise _wrong(self._path, number, prompt.malformed)
        key = (provider, model)
        if key not in self._rates:
            self._rates[key] = rates(self._book, provider, model, self._day)
        found = self._rates[key]
        if found is None:
            raise _wrong(
                self._path,
                number,
                f'no price for model {model!r} of {provider!r}: add '
                'one in a file named by `--prices`',
            )
        return Sent(at=float(line['at']), prompt=prompt, rates=found)


def _object(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    found = loads(line)
    if found is None:
        raise _wrong(path, number, f'is no JSON object: {_EXPECTED}')
    kinds = {'chain': str | int, 'at': int | float, 'provider': str, 'model': str, 'payload': dict}
    for name, kind in kinds.items():
        value = found.get(name)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise _wrong(path, number, f'`{name}` is {value!r:.60}: {_EXPECTED}')
    return found


def _time(path: Path, number: int, line: bytes) -> float:
    return float(_object(path, number, line)['at'])


def _wrong(path: Path, number: int, what: str) -> InputError:
    return InputError(f'line {number} of {str(path)!r}: {what}')


def _api(provider: str, payload: Mapping[str, Any]) -> str | None:
    if provider in {'openai', 'azure'}:
        return 'openai_responses' if 'input' in payload else 'openai_chat'
    return 'anthropic_messages' if provider in _CLAUDE else None


_CLAUDE = frozenset({'anthropic', 'aws-bedrock', 'google-vertex'})


def _row(score: Score) -> dict[str, Any]:
    return {
        'policy': score.policy,
        'cost_usd': usd(score.cost),
        'cache_read_tokens': score.read_tokens,
        'cache_write_tokens': score.write_tokens,
        'score': _share(score.score),
        'score_all': _share(score.score_all),
    }


def _share(score: Fraction | None) -> float | None:
    return None if score is None else round(float(score), 6)


def _percent(score: float | None) -> str | None:
    return None if score is None else f'{score:.1%}'
