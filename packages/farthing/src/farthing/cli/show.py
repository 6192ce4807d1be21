"""Figures as a table, as CSV or as JSON. Money is rounded here and nowhere else."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from farthing.money import plain

_DIGITS = 10  # of the largest amount in a column: more is read as noise
_LEAST_DECIMALS = 2
_UNKNOWN = '-'


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: The row's key, and the header in CSV.
        title: The header in a table.
        kind: How values are shown; `count` and `money` stand to the right.
    """

    name: str
    title: str
    kind: Literal['text', 'count', 'money'] = 'text'


Row = Mapping[str, Any]


def as_json(value: object) -> None:
    """Print `value` as JSON: money as decimal strings, times in ISO 8601."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plainly))


def json_line(value: object) -> str:
    """`value` as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=_plainly)


def as_csv(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows as CSV; unknown is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    writer.writerow(column.name for column in columns)
    for row in rows:
        writer.writerow(_field(row.get(column.name)) for column in columns)
    click.echo(out.getvalue(), nl=False)


def as_table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    total: Row | None = None,
    title: str | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Print rows as a table, the total in a last row, notes below."""
    table = Table(title=title, title_justify='left', header_style='bold')
    shown = [*rows, total] if total else rows
    cells = [_column(column, [row.get(column.name) for row in shown]) for column in columns]
    for column, texts in zip(columns, cells, strict=True):
        if column.kind == 'text':
            table.add_column(column.title, overflow='fold')
        else:
            # A figure that is cut looks like another figure: its column never shrinks.
            width = max(map(len, texts), default=0)
            table.add_column(column.title, justify='right', no_wrap=True, min_width=width)
    for at, line in enumerate(zip(*cells, strict=True)):
        last = total is not None and at == len(rows)
        if last:
            table.add_section()
        table.add_row(*map(Text, line), style='bold' if last else None)
    print_out(table, *notes)


def print_out(*things: object, err: bool = False) -> None:
    """Print tables and lines. A table is as wide as it must be, and in a pipe as it would be."""
    console = Console(stderr=err, highlight=False)
    wide = console.options.update(max_width=10_000)
    sizes = [console.measure(one, options=wide) for one in things if isinstance(one, Table)]
    for size in sizes:
        least = size.minimum if console.is_terminal else size.maximum
        console.width = max(console.width, least)
    for one in things:
        console.print(one, markup=False, soft_wrap=not isinstance(one, Table))


def money(amount: Decimal, decimals: int = 12) -> str:
    """An amount as people read it; an amount too small to show is not shown as nothing."""
    least = Decimal(1).scaleb(-decimals)
    if amount and abs(amount) < least / 2:
        return f'<${least:f}'
    sign = '-' if amount < 0 else ''
    return f'{sign}${abs(amount):,.{decimals}f}'


def brief(amount: Decimal) -> str:
    """One amount for a sentence: exact as far as ten digits go."""
    return money(amount, _decimals([amount]))


def clean(text: str) -> str:
    """`text` without characters that could steer a terminal."""
    return ''.join(c if c.isprintable() else '\N{REPLACEMENT CHARACTER}' for c in text)


def _column(column: Column, values: list[Any]) -> list[str]:
    if column.kind == 'money':
        decimals = _decimals([value for value in values if value is not None])
        return [_UNKNOWN if value is None else money(value, decimals) for value in values]
    return [_cell(value) for value in values]


def _cell(value: Any) -> str:
    if value is None:
        return _UNKNOWN
    if isinstance(value, int) and not isinstance(value, bool):
        return f'{value:,}'
    if isinstance(value, datetime):
        return value.strftime('%Y-%m-%d %H:%M:%S')
    return clean(str(value))


def _decimals(amounts: Sequence[Decimal]) -> int:
    """As many decimals as all amounts need, while the largest keeps within `_DIGITS` digits."""
    needed = max((len(plain(one).partition('.')[2]) for one in amounts), default=0)
    largest = max((abs(one) for one in amounts), default=Decimal(0))
    room = _DIGITS - len(str(int(largest))) if largest >= 1 else _DIGITS
    return max(_LEAST_DECIMALS, min(needed, room))


def _field(value: Any) -> Any:
    return '' if value is None else value if isinstance(value, int) else _plainly(value)


def _plainly(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
