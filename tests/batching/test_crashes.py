"""Wherever a process dies, the next one finishes the job, and every request is paid once.

The points C1 to C12 are those at which a driver of batches can die: while it takes requests in
(C1), after the plan (C2), around upload (C3) and creation (C4 to C6), while it polls (C7), in the
middle of the results (C8), between journal and ledger (C9), after the ledger (C10), in the code
of the user (C11), and with another process at its side (C12).
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from farthing import Ledger
from farthing.io.batch_desk import Desk
from farthing.io.batch_files import answers

from . import dying_code
from .conftest import check_books, line
from .dying import QUICK, main

DYING = Path(__file__).with_name('dying.py')
INPUTS = 12

# What happens, on which side of it the process dies, which time, and the state that it leaves.
BOTH = {
    'C1 before the requests are kept': ('requests', 'before', 1, None),
    'C1 before they are in the ledger': ('requests', 'after', 1, None),
    'C1 while they are put into the ledger': ('commit', 'before', 2, None),
    'C1 after they are in the ledger': ('commit', 'after', 2, None),
    'C2 while the plan is stored': ('commit', 'before', 4, None),
    'C2 after the plan is stored': ('commit', 'after', 4, 'planned'),
    'C2 after the intent is stored': ('commit', 'after', 5, 'sending'),
    'C4 before the creation': ('create', 'before', 1, 'sending'),
    'C5 after the creation, without its answer': ('create', 'after', 1, 'sending'),
    'C7 before a poll': ('get', 'before', 1, 'submitted'),
    'C7 after a poll': ('get', 'after', 1, 'submitted'),
    'C8 before the first result': ('line', 'before', 1, 'ended'),
    'C8 in the middle of the results': ('line', 'before', 6, 'ended'),
    'C9 before the answers are journalled': ('journal', 'before', 1, 'ended'),
    'C9 after the answers are journalled': ('journal', 'after', 1, 'ended'),
}
OPENAI = {
    'C3 before the upload': ('upload', 'before', 1, 'sending'),
    'C3 after the upload, without its answer': ('upload', 'after', 1, 'sending'),
    'C3 after the file is stored': ('commit', 'after', 6, 'sending'),
}
# Transactions behind the creation differ by one, for the file of OpenAI is stored.
LATER = {
    'C6 before the answer is stored': ('before', 6, 'sending'),
    'C6 after the answer is stored': ('after', 6, 'submitted'),
    'C9 before the entries are stored': ('before', 9, 'ended'),
    'C10 after the entries are stored': ('after', 9, 'ended'),
    'C10 after the last state is stored': ('after', 10, 'ingested'),
}


def _points():
    for provider in ('anthropic', 'openai'):
        points = BOTH | (OPENAI if provider == 'openai' else {})
        for name, (side, nth, state) in LATER.items():
            points[name] = ('commit', side, nth + (provider == 'openai'), state)
        for name, point in points.items():
            yield pytest.param(provider, *point, id=f'{provider}: {name}')


def start(path: Path, requests: Path, *point: object) -> subprocess.Popen[str]:
    return run(str(DYING), path, requests, *point)


def run(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own scripts
        [sys.executable, *map(str, arguments)],
        cwd=DYING.parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, error = process.communicate(timeout=100)
    return process.returncode, out + error


@pytest.mark.parametrize(('provider', 'point', 'side', 'nth', 'state'), [*_points()])
def test_a_job_that_was_killed_is_finished_and_paid_once(
    provider, point, side, nth, state, sim, path, requests
) -> None:
    file = requests([line(provider, number) for number in range(INPUTS)])

    code, told = finish(start(path, file, point, side, nth))
    assert -9 == code, told
    assert state == _state(path)
    time.sleep(QUICK.lease_s)
    main(str(path), str(file))

    check_books(sim, path, INPUTS)
    found = list(answers(Desk(str(path)), 'crash'))
    assert [f'mine-{number}' for number in range(INPUTS)] == [one['custom_id'] for one in found]
    assert {200} == {one['status'] for one in found}


def _state(path: Path) -> str | None:
    """The state of the only submission; `None` where there is none."""
    with Desk(str(path)).ledger.batches() as view:
        found = [one.state for job in view.jobs() for one in view.submissions(job.id)]
    return found[0] if found else None


def test_a_process_that_died_in_the_code_of_the_user_has_paid_for_what_it_was_answered(
    provider, sim, path
) -> None:
    """C11."""
    code, told = finish(run('-m', dying_code.__name__, path, provider, 'dies'))
    assert -9 == code, told
    assert len(dying_code.INPUTS) == len(sim.charges())
    time.sleep(QUICK.lease_s)

    outputs = dying_code.main(str(path), provider)
    assert [2 * words + 1 for words in dying_code.INPUTS] == outputs
    check_books(sim, path, 2 * len(dying_code.INPUTS))


def test_two_processes_drive_one_job_and_it_is_paid_once(provider, sim, path, requests) -> None:
    """C12."""
    file = requests([line(provider, number) for number in range(INPUTS)])

    both = [start(path, file) for _ in range(2)]
    for process in both:
        code, told = finish(process)
        assert 0 == code, told

    check_books(sim, path, INPUTS)
    assert INPUTS == Desk(str(path)).status('crash').done


@pytest.mark.parametrize(
    ('point', 'side', 'doubted'),
    [('ask', 'after', 8), ('journal', 'before', 8), ('journal', 'after', 0)],
)
def test_what_was_asked_at_once_when_a_process_died_is_in_doubt_and_told(
    provider, point, side, doubted, sim, path, requests
) -> None:
    """Of those alone that were asked side by side: none where their answers are journalled."""
    file = requests([line(provider, number) for number in range(INPUTS)])

    code, told = finish(start(path, file, point, side, 1, 'late'))
    assert -9 == code, told
    time.sleep(QUICK.lease_s)
    main(str(path), str(file), late='late')

    assert [200] * INPUTS == [one['status'] for one in answers(Desk(str(path)), 'crash')]
    found = Desk(str(path)).status('crash')
    assert (doubted, 0, INPUTS) == (found.in_doubt, found.duplicates, found.done)
    with Ledger.open(path) as ledger:
        total = ledger.report().total
        posted = [one.entry for one in ledger.entries()]
        assert ledger.verify().ok
    assert (doubted, doubted) == (total.unpriced, total.errors)
    answered = [one for one in posted if one.status == 'ok']
    assert INPUTS == len(answered)
    # Each charge is an entry with its price, or one of those in doubt.
    assert INPUTS <= len(sim.charges()) <= INPUTS + doubted
    if point == 'journal':
        assert INPUTS + doubted == len(sim.charges())


def test_two_processes_ask_at_once_for_longer_than_a_lease_and_it_is_paid_once(
    provider, sim, path, requests
) -> None:
    """C12 near the deadline: what one is asking is not taken for lost by the other."""
    file = requests([line(provider, number) for number in range(4)])
    for _ in range(4):
        sim.fault(delay_s=3 * QUICK.lease_s)

    both = [start(path, file, '', '', 0, 'late') for _ in range(2)]
    for process in both:
        code, told = finish(process)
        assert 0 == code, told

    assert 4 == len(sim.charges())
    found = Desk(str(path)).status('crash')
    assert (0, 0, 4) == (found.in_doubt, found.duplicates, found.done)
