"""A report by tenant, task, model and call type, beside the same sums over the entries."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.entries import spooled
from bench.timing import Check, Table

from farthing import Ledger
from farthing.ledger import keys, planning, reporting

_BY = ('tenant', 'task', 'model', 'call_type')


def measure(*, quick: bool) -> list[Table]:
    """The report as a user asks for it, and a scan by the statement that reports scan with."""
    count, rounds = 1_000_000, 3 if quick else 7
    report_s: list[float] = []
    scan_s: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, 'farthing.db')
        spooled(Path(f'{path}.spool'), count)
        with Ledger.open(path) as ledger:
            ledger.flush()
            for _ in range(rounds):
                start = perf_counter()
                report = ledger.report(by=_BY)
                report_s.append(perf_counter() - start)
                start = perf_counter()
                scanned = _scan(path)
                scan_s.append(perf_counter() - start)
    if report.total.calls != count or len(report.rows) != scanned:
        raise SystemExit(
            f'{report.total.calls} calls in {len(report.rows)} groups, {scanned} scanned'
        )
    ours, peer = median(report_s), median(scan_s)
    return [
        Table(
            title=f'Report by {", ".join(_BY)}, {count:,} entries: median of {rounds} rounds',
            columns=('', 's', 'groups'),
            rows=[
                ('farthing, from the rollups', f'{ours:.3f}', str(len(report.rows))),
                ('a scan of the entries', f'{peer:.3f}', str(scanned)),
            ],
            checks=(
                Check(what='times as fast as the scan', value=peer / ours, bound=20, least=True),
                Check(what='report', value=ours, bound=0.3, unit='s'),
            ),
        )
    ]


def _scan(path: Path) -> int:
    """The groups of a scan."""
    query = keys.query(by=_BY)
    with closing(sqlite3.connect(path)) as db:
        sql, arguments = reporting.statement(db, query, planning.scan(query))
        return len(db.execute(sql, arguments).fetchall())
