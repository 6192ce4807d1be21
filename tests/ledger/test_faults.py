"""Killed processes, full disks, locked, damaged, old and new files: told or counted."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from farthing.entry import Outcome
from farthing.errors import InputError, LedgerBusy, LedgerCorrupt, LedgerError, LedgerVersion
from farthing.ledger import Ledger, LedgerWarning
from farthing.ledger.schema import MIGRATIONS
from farthing.ledger.sqlite import SQLite

from .samples import START, correction, decision, entry

HERE = Path(__file__).parent

POSTING = """
import sys
sys.path.insert(0, sys.argv[3])
from samples import entry
from farthing.ledger import Ledger
ledger = Ledger.open(sys.argv[1], interval_s=0.02)
number = int(sys.argv[2]) * 1_000_000
while True:
    ledger.post(entry(number))
    print(number, flush=True)  # acknowledged
    number += 1
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, '-c', code, *map(str, arguments)],
        # Coverage would write as this process's user, which READING gives up.
        env={name: value for name, value in os.environ.items() if 'COVERAGE' not in name},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def posting(path: Path, number: int) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, '-c', POSTING, str(path), str(number), str(HERE)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == 'win32', reason='no SIGKILL here')
def test_kill_9_of_four_posting_processes_loses_no_acknowledged_entry(path) -> None:
    processes = [posting(path, number) for number in range(4)]
    for process in processes:
        process.stdout.readline()  # it has begun
    time.sleep(1.5)
    acknowledged = set()
    for process in processes:
        process.send_signal(signal.SIGKILL)
        lines = process.communicate()[0].splitlines(keepends=True)
        acknowledged |= {f'anthropic:msg_{line.strip()}' for line in lines if line.endswith('\n')}

    with Ledger.open(path, create=False) as ledger:
        kept = [booked.entry.id for booked in ledger.entries()]
        verdict = ledger.verify()
        ledger.flush()

    assert len(acknowledged) > 1_000
    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept)) == ledger.report().total.calls
    assert verdict.differences == ()
    assert [] == list(ledger.folder.glob('*.spool'))


def test_a_spool_that_is_drained_again_adds_nothing(path) -> None:
    with Ledger.open(path, interval_s=600) as ledger:
        for number in range(100):
            ledger.post(entry(number))
        (spool,) = ledger.folder.glob('*.spool')
        copy = spool.read_bytes()
    (ledger.folder / 'again.spool').write_bytes(copy)
    (ledger.folder / 'once-more.spool').write_bytes(copy)

    report = ledger.report(by='tenant')

    assert 100 == report.total.calls
    assert ledger.verify().ok


DRAINING = """
import sys
from farthing.ledger import Ledger
Ledger.open(sys.argv[1]).flush()
"""


def test_processes_that_drain_at_once_store_each_entry_once(path) -> None:
    with Ledger.open(path, interval_s=600) as ledger:
        for number in range(20_000):
            ledger.post(entry(number))
        command = [sys.executable, '-c', DRAINING, str(path)]
        drainers = [subprocess.Popen(command) for _ in range(3)]  # noqa: S603 - our own code
        assert [0, 0, 0] == [drainer.wait(60) for drainer in drainers]

        assert 20_000 == ledger.report().total.calls
        assert ledger.verify().ok


def test_a_torn_last_line_of_a_dead_process_was_never_acknowledged(ledger) -> None:
    ledger.post(entry(1))
    ledger.close()
    (ledger.folder / '1-dead.spool').write_bytes(b'["e1","anthropic:msg_2",17')

    report = ledger.report()

    assert (1, 0) == (report.total.calls, report.lost)
    assert [] == list(ledger.folder.glob('*.spool'))


@pytest.mark.parametrize('damage', [b'\0\0\0\0\n', b'{"a":1}\n', b'[]\n', b'["e1","x"]\n', b'7\n'])
def test_a_damaged_line_is_counted_as_lost_and_the_others_are_kept(ledger, damage) -> None:
    ledger.post(entry(1))
    (spool,) = ledger.folder.glob('*.spool')
    with spool.open('ab') as file:
        file.write(damage)
    ledger.post(entry(2))

    report = ledger.report(by='tenant')

    assert (2, 1) == (report.total.calls, report.lost)
    assert 'damaged line' in ledger.verify().notes[0]
    assert ledger.verify().ok


def test_a_record_of_a_newer_farthing_waits_for_one(ledger) -> None:
    ledger.post(entry(1))
    ledger.folder.mkdir(exist_ok=True)
    newer = ledger.folder / '0-newer.spool'
    newer.write_bytes(b'["e2","x"]\n')

    with pytest.raises(LedgerVersion, match='newer farthing'):
        ledger.report()
    newer.unlink()

    assert 1 == ledger.report().total.calls


FULL = """
import resource, sys, warnings
sys.path.insert(0, sys.argv[2])
from samples import entry
from farthing.ledger import Ledger
ledger = Ledger.open(sys.argv[1], interval_s=600)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    for number in range(100):
        ledger.post(entry(number))
assert ledger.lost > 50, ledger.lost
assert len(caught) == 1 and 'make room' in str(caught[0].message), caught
if sys.argv[3] == 'freed':
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    report = ledger.report()
    print(report.total.calls, report.lost)
"""


@pytest.mark.skipif(sys.platform == 'win32', reason='no limit on file sizes here')
@pytest.mark.parametrize('freed', [True, False])
def test_what_a_full_disk_refuses_is_kept_and_written_later_else_told_at_exit(path, freed) -> None:
    done = run(FULL, path, HERE, 'freed' if freed else 'full')

    assert 0 == done.returncode, done.stderr
    if freed:
        assert ('100 0\n', '') == (done.stdout, done.stderr)
    else:
        assert 'calls could not be recorded' in done.stderr
        with Ledger.open(path) as ledger:  # those before the limit are in the spool
            assert ledger.report().total.calls > 5


def test_more_than_memory_holds_is_lost_and_counted_in_the_ledger(ledger, monkeypatch) -> None:
    monkeypatch.setattr('farthing.ledger.spool._WAITING_LINES', 3)
    ledger.folder.write_text('a file where the folder should be')
    with pytest.warns(LedgerWarning, match='cannot be written'):
        ledger.post(entry(0))
    for number in range(1, 5):
        ledger.post(entry(number))
    assert 5 == ledger.lost
    ledger.folder.unlink()

    report = ledger.report()

    assert (3, 2) == (report.total.calls, report.lost)
    assert 0 == ledger.lost
    assert '2 calls lost' in ledger.verify().notes[0]


READING = """
import os, sys
from farthing.errors import LedgerError
from farthing.ledger import Ledger
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
ledger = Ledger.open(sys.argv[1], create=False, wait_s=0.2)
try:
    print(ledger.report().total.calls)
except LedgerError as error:
    print(type(error).__name__, error)
"""


def as_reader(path: Path) -> str:
    done = run(READING, path)
    assert '' == done.stderr
    return done.stdout


@pytest.fixture
def read_only(tmp_path_factory):
    """A folder that others may read and not write, reachable for them."""
    folder = tmp_path_factory.mktemp('readable')
    reachable = [p for p in (folder, *folder.parents) if p.stat().st_uid == os.geteuid()]
    modes = {p: p.stat().st_mode for p in reachable}
    for parent in reachable:
        if parent != Path('/'):
            parent.chmod(modes[parent] | 0o555)
    yield folder
    for parent in reachable:
        if parent != Path('/'):
            parent.chmod(modes[parent])


@pytest.mark.skipif(not hasattr(os, 'geteuid'), reason='no users here')
def test_a_ledger_that_may_only_be_read_is_reported_or_says_what_waits(read_only) -> None:
    path = read_only / 'farthing.db'
    with Ledger.open(path) as ledger:
        ledger.post(entry(1))
    if os.geteuid() != 0:
        for one in (path, ledger.folder, read_only):
            one.chmod(0o555)

    assert '1\n' == as_reader(path)

    if os.geteuid() == 0:
        with Ledger.open(path, interval_s=600) as ledger:
            ledger.post(entry(2))
            told = as_reader(path)
    assert told.startswith('LedgerError')
    assert 'allow' in told


@contextlib.contextmanager
def exclusively(path: Path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute('BEGIN EXCLUSIVE')
    try:
        yield
    finally:
        other.execute('ROLLBACK')
        other.close()


def test_a_locked_ledger_takes_posts_and_tells_readers(ledger, path) -> None:
    ledger.flush()
    with exclusively(path):
        ledger.post(entry(1))
        with pytest.raises(LedgerBusy, match='locked by another program'):
            ledger.report()

    assert 1 == ledger.report().total.calls


def test_a_locked_ledger_at_exit_leaves_the_spool_to_the_next_opener(path, capsys) -> None:
    Ledger.open(path).flush()
    with exclusively(path), Ledger.open(path, interval_s=600) as ledger:
        ledger.post(entry(1))
        ledger.close()

    assert 'posted entries wait in' in capsys.readouterr().err
    assert 1 == Ledger.open(path).report().total.calls


@pytest.mark.parametrize('content', [b'not a database, but long enough to be looked at' * 50])
def test_a_file_that_is_no_database_is_refused_and_posts_wait_in_the_spool(path, content) -> None:
    path.write_bytes(content)
    with Ledger.open(path, interval_s=600, wait_s=0.2) as ledger:
        ledger.post(entry(1))
        with pytest.raises(LedgerCorrupt, match='damaged or not a ledger'):
            ledger.report()
        assert content == path.read_bytes()
        path.unlink()

        assert 1 == ledger.report().total.calls


def test_another_programs_database_is_left_alone(ledger, path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute('CREATE TABLE notes (text)')
    before = path.read_bytes()

    with pytest.raises(LedgerCorrupt, match='another program'):
        ledger.flush()

    assert before == path.read_bytes()


def test_a_damaged_page_is_found(path) -> None:
    with Ledger.open(path) as ledger:
        for number in range(2_000):
            ledger.post(entry(number))
    with path.open('r+b') as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(20_000))

    try:
        differences = Ledger.open(path).verify().differences
    except LedgerCorrupt as error:
        differences = (str(error),)

    assert differences


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        ('UPDATE daily SET cost_low = cost_low + 1', 'the daily rollup has cost'),
        ('DELETE FROM monthly', 'the monthly rollup has calls 0'),
        ('DROP TRIGGER entry_update; UPDATE entry SET cost = cost + 1', 'add up to'),
        ("DROP TRIGGER entry_update; UPDATE entry SET corrects = 'x' WHERE corrects IS NOT NULL",
         'which is no entry'),
        ('DROP TRIGGER entry_update; UPDATE entry SET new_cost = 5, lines = NULL',
         'the corrections up to'),
        ('DROP TRIGGER entry_update; UPDATE entry SET tenant = 999', 'is not there'),
    ],
)  # fmt: skip
def test_verify_finds_what_was_tampered_with(ledger, path, change, found) -> None:
    ledger.post(entry(1))
    ledger.post_correction(correction(1, rate=1))
    ledger.flush()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.executescript(change)

    differences = ledger.verify().differences

    assert any(found in difference for difference in differences), differences


@pytest.mark.parametrize('table', ['entry', 'decision', 'outcome', 'loss'])
def test_what_is_in_a_ledger_is_never_changed(ledger, path, table) -> None:
    ledger.post(entry(1, run_id='r'))
    ledger.post_decision(decision())
    ledger.post_outcome(Outcome(run_id='r', score=Decimal(1), source='judge', time=START))
    ledger.lose('a test')
    ledger.flush()
    with contextlib.closing(sqlite3.connect(path)) as other:
        for statement in (f'UPDATE {table} SET id = id', f'DELETE FROM {table}'):  # noqa: S608
            with pytest.raises(sqlite3.IntegrityError, match='post a correction'):
                other.execute(statement)


KNOWN = len(MIGRATIONS)
STEP = (
    'CREATE TABLE further (x INTEGER) STRICT',
    "INSERT INTO dim (kind, value) VALUES ('k', 'v')",
)
BROKEN = ('CREATE TABLE half (x INTEGER) STRICT', 'CREATE TABLE entry (x INTEGER)')


def later(path: Path, *steps: tuple[str, ...]) -> Ledger:
    """A ledger of a farthing that knows further schema versions."""
    engine = SQLite(path, migrations=(*MIGRATIONS, *steps))
    return Ledger(engine, Path(f'{path}.spool'), interval_s=600)


def test_an_older_schema_is_migrated_on_opening_and_a_newer_one_refused(path) -> None:
    with Ledger.open(path) as ledger:
        ledger.post(entry(1))

    with later(path, STEP) as ledger:
        assert 1 == ledger.report().total.calls
        assert ledger.verify().ok
    with Ledger.open(path) as ledger:
        ledger.post(entry(2))
        with pytest.raises(
            LedgerVersion, match=rf'version {KNOWN + 1}, .* knows up to {KNOWN}.*update'
        ):
            ledger.report()

    with later(path, STEP) as ledger:
        assert 2 == ledger.report().total.calls


def test_a_migration_that_fails_leaves_the_older_schema_whole(path) -> None:
    with Ledger.open(path) as ledger:
        ledger.post(entry(1))

    with later(path, STEP, BROKEN) as ledger, pytest.raises(LedgerError):
        ledger.report()

    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = {name for (name,) in db.execute('SELECT name FROM sqlite_master')}
        assert (KNOWN,) == db.execute('PRAGMA user_version').fetchone()
    assert tables.isdisjoint({'further', 'half'})
    assert 1 == Ledger.open(path).report().total.calls


def test_a_ledger_that_is_not_there_is_not_made_for_a_reader(path) -> None:
    with pytest.raises(LedgerError, match='there is no ledger at'):
        Ledger.open(path, create=False)

    assert not path.exists()


@pytest.mark.parametrize(
    ('url', 'told'),
    [
        ('postgresql://me:secret@host/db', r"'host/db'"),
        ('sqlite://x', 'expected `sqlite:///relative.db`'),
        ('sqlite:///', 'expected'),
        (':memory:', 'expected'),
        ('sqlite:///x.db?mode=ro', 'without options'),
        (b'x.db', 'expected'),
        (7, 'expected'),
    ],
)
def test_an_address_that_cannot_be_taken_is_told(url, told) -> None:
    with pytest.raises(InputError, match=told) as raised:
        Ledger.open(url)

    assert 'secret' not in str(raised.value)


def test_the_address_comes_from_the_environment_else_it_is_farthing_db_here(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('FARTHING_LEDGER', raising=False)
    assert f'sqlite:///{tmp_path}/farthing.db' == Ledger.open().url
    assert f'sqlite:///{tmp_path}/a.db' == Ledger.open('sqlite:///a.db').url
    assert 'sqlite:////b/c.db' == Ledger.open('sqlite:////b/c.db').url
    monkeypatch.setenv('FARTHING_LEDGER', 'sqlite:///other.db')
    assert f'sqlite:///{tmp_path}/other.db' == Ledger.open().url


def test_a_durability_that_we_do_not_know_is_told(path) -> None:
    with pytest.raises(InputError, match="expected 'process' or 'fsync'"):
        Ledger.open(path, durability='none')


def test_fsync_durability_syncs_each_post(path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr('farthing.ledger.spool._sync', synced.append)
    with Ledger.open(path, durability='fsync', interval_s=600) as ledger:
        for number in range(3):
            ledger.post(entry(number))
        assert 3 == len(synced)
        assert 3 == ledger.report().total.calls
