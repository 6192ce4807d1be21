"""Labelled queries from a CSV file."""

import csv
import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from farthing.errors import InputError
from farthing.routing.labels import Labels

PROMPT = 'prompt'


def labels(path: str, *, weak: str, strong: str, task: str | None) -> Labels:
    """The rows of a CSV (or gzipped CSV) with both scores; one without a score is refused.

    Args:
        path: The file; it has a column `prompt`.
        weak: Column of the weak model's scores.
        strong: Column of the strong model's scores.
        task: Column of task labels; an empty label is unknown.

    Raises:
        InputError: The file cannot be read, lacks a column, the two models are one, or a score is
            no number.
    """
    if weak == strong:
        raise InputError(f'`--weak` and `--strong` are both {weak!r}: expected two models')
    rows = list(_rows(path, (PROMPT, weak, strong, *_given(task))))
    return Labels(
        prompts=tuple(row[PROMPT] for _, row in rows),
        tasks=tuple(row[task] or None if task else None for _, row in rows),
        weak=tuple(_score(line, weak, row[weak]) for line, row in rows),
        strong=tuple(_score(line, strong, row[strong]) for line, row in rows),
    )


def queries(path: str, *, task: str | None) -> tuple[list[str], list[str | None]]:
    """The prompts and task labels of a CSV, without scores.

    Raises:
        InputError: The file cannot be read or lacks a column.
    """
    rows = [row for _, row in _rows(path, (PROMPT, *_given(task)))]
    return [row[PROMPT] for row in rows], [row[task] or None if task else None for row in rows]


def _given(task: str | None) -> tuple[str, ...]:
    return () if task is None else (task,)


def _rows(path: str, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with the line that it ends on."""
    csv.field_size_limit(sys.maxsize)
    try:
        with _opened(path) as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or ()
            if missing := [name for name in needed if name not in columns]:
                raise InputError(
                    f'{path} has no column {", ".join(map(repr, missing))}; '
                    f'it has {", ".join(map(repr, columns)) or "none"}'
                )
            for row in reader:
                if any(row[name] is None for name in needed):
                    raise InputError(f'{path} line {reader.line_num}: the row is too short')
                yield reader.line_num, row
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read as CSV: {error}') from error


def _opened(path: str) -> IO[str]:
    # Spreadsheets put a mark before UTF-8, which would be read as part of the first column's name.
    if Path(path).suffix == '.gz':
        return gzip.open(path, 'rt', encoding='utf-8-sig', newline='')
    return Path(path).open(encoding='utf-8-sig', newline='')


def _score(line: int, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f'line {line}: the score {column!r} is {text!r}, expected a number; leave out rows '
            'that were not scored'
        ) from error
