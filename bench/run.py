"""All benchmarks: `python -m bench.run [--quick] [TABLE ...]`; exit code 1 if a bound is missed.

Each table is measured in a process of its own, so that no table pays for what another imported.
"""

import argparse
import subprocess
import sys
from importlib import import_module

from bench.timing import Table
from rich.console import Console
from rich.table import Table as Grid

TABLES = (
    'in_langchain',
    'in_llama_index',
    'pricing',
    'importing',
    'draining',
    'batching',
    'whole',
    'reporting',
    'caching_plan',
    'caching_score',
    'caching_real',
    'context',
    'context_against',
    'context_real',
    'deciding',
    'routing',
    'routing_sessions',
)
MISSED = 1


def main() -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('tables', nargs='*', metavar='TABLE', help=', '.join(TABLES))
    parser.add_argument('--quick', action='store_true', help='fewer rounds: for a first look')
    given = parser.parse_args()
    if unknown := {*given.tables} - {*TABLES}:
        parser.error(f'there is no table {sorted(unknown)}: expected some of {", ".join(TABLES)}')
    if len(given.tables) == 1:
        return _one(given.tables[0], quick=given.quick)
    options = ['--quick'] if given.quick else []
    codes = [
        subprocess.run([sys.executable, '-m', 'bench.run', table, *options], check=False).returncode
        for table in given.tables or TABLES
    ]
    return max(codes)


def _one(name: str, *, quick: bool) -> int:
    tables: list[Table] = import_module(f'bench.{name}').measure(quick=quick)
    for table in tables:
        _show(table)
    return 0 if all(check.holds for table in tables for check in table.checks) else MISSED


def _show(table: Table) -> None:
    console = Console(width=120, highlight=False)
    grid = Grid(*table.columns, title=table.title, title_justify='left')
    for column in grid.columns[1:]:
        column.justify = 'right'
    for row in table.rows:
        grid.add_row(*row)
    console.print(grid)
    for check in table.checks:
        word = '[green]pass[/]' if check.holds else '[red]FAIL[/]'
        side = 'at least' if check.least else 'at most'
        console.print(
            f'  {word}  {check.what}: {check.value:.4g} {check.unit} '
            f'({side} {check.bound:g} {check.unit})'
        )
    console.print()


if __name__ == '__main__':
    sys.exit(main())
