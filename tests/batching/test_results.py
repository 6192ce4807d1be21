"""What results may be wrong with, and what is done about it: through both simulated providers."""

from decimal import Decimal

import pytest

from farthing import Ledger
from farthing.attribution import Attribution
from farthing.batching.deadline import Deadline
from farthing.batching.jobs import Terms
from farthing.batching.orphans import Patience
from farthing.batching.retrying import Retries
from farthing.cli.batch import _unfinished
from farthing.io.batch_desk import Desk
from farthing.io.batch_files import admit, answers, read
from farthing.run.batches import Settings
from farthing_sim.schedule import BatchRules

from .conftest import check_books, line

NOBODY = Attribution()
QUICK = Settings(
    patience=Patience(settle_s=60, looks=2), retries=Retries(attempts=3, pause_s=600), backoff_s=30
)


class Clock:
    """The time of a test: ours, and the simulator's with it."""

    def __init__(self, sim) -> None:
        self.sim = sim
        self.s = 1_795_000_000.0
        sim.clock.set(self.s)

    def __call__(self) -> float:
        return self.s

    def advance(self, seconds: float) -> None:
        self.s += seconds
        self.sim.clock.advance(seconds)


@pytest.fixture
def clock(sim):
    return Clock(sim)


@pytest.fixture
def desk(path, clock) -> Desk:
    return Desk(str(path), settings=QUICK, now=clock)


@pytest.fixture
def begun(desk, requests):
    """A job of some requests that are stored, and not sent yet."""

    def begin(lines, **terms):
        job = desk.begun('job', Terms(**terms))
        with requests(lines).open('rb') as file:
            admit(desk, job, read(file, desk.providers, NOBODY))
        return job

    return begin


def finish(desk, clock, job, *, step_s: float = 60, ticks: int = 40) -> None:
    for _ in range(ticks):
        if desk.tick(job.id).idle:
            return
        clock.advance(step_s)
    raise AssertionError(desk.status(job.id))


def statuses(desk) -> list[int]:
    return [one['status'] for one in answers(desk, 'job')]


def create(provider: str) -> str:
    return f'{provider}_batches.create'


@pytest.mark.parametrize('fate', ['missing', 'expired', 'canceled', 500, 529, 429])
def test_what_was_not_answered_is_sent_again(fate, provider, sim, desk, clock, begun, path) -> None:
    sim.fault(on=create(provider), lines={'1': fate})
    job = begun([line(provider, number) for number in range(4)])
    finish(desk, clock, job)

    assert [200] * 4 == statuses(desk)
    attempts = sorted(one['attempts'] for one in answers(desk, 'job'))
    # A cancellation is nobody's fault, and uses up no attempt.
    assert [1, 1, 1, 1 if fate == 'canceled' else 2] == attempts
    if fate != 'missing':
        check_books(sim, path, 4)


def test_a_blank_line_is_an_error_and_is_sent_again(sim, desk, clock, begun) -> None:
    """https://community.openai.com/tag/batch: some lines of completed batches have status 0."""
    sim.fault(on=create('openai'), lines={'2': 'blank'})
    finish(desk, clock, begun([line('openai', number) for number in range(4)]))

    assert [200] * 4 == statuses(desk)


def test_an_invalid_request_is_not_sent_again(provider, sim, desk, clock, begun, path) -> None:
    sim.fault(on=create(provider), lines={'1': 400}, message='no such parameter')
    finish(desk, clock, begun([line(provider, number) for number in range(4)]))

    assert [200, 200, 200, 400] == sorted(statuses(desk))
    found = [one for one in answers(desk, 'job') if one['status'] == 400]
    assert 'no such parameter' in found[0]['body']['error']['message']
    assert '0' == found[0]['cost_usd']
    check_books(sim, path, 3)


def test_low_funds_pause_the_request_and_blame_nobody(sim, desk, clock, begun) -> None:
    """https://github.com/bespokelabsai/curator/issues/296."""
    told = 'Your credit balance is too low to access the API.'
    sim.fault(on=create('anthropic'), lines={'*': 400}, message=told)
    job = begun([line('anthropic', number) for number in range(3)])
    for _ in range(3):
        desk.tick(job.id)
    assert 3 == desk.status(job.id).waiting

    finish(desk, clock, job, step_s=120)
    assert [200] * 3 == statuses(desk)
    assert {1} == {one['attempts'] for one in answers(desk, 'job')}


def test_a_line_that_comes_twice_is_paid_once(provider, sim, desk, clock, begun, path) -> None:
    sim.fault(on=create(provider), lines={'1': 'duplicate'})
    finish(desk, clock, begun([line(provider, number) for number in range(4)]))

    assert [200] * 4 == statuses(desk)
    check_books(sim, path, 4)
    assert [True] == [note.endswith(': 1 results came twice') for note in desk.status('job').notes]


def test_a_line_that_nobody_sent_is_given_to_nobody(provider, sim, desk, clock, begun) -> None:
    sim.fault(on=create(provider), lines={'1': 'unknown'})
    finish(desk, clock, begun([line(provider, number) for number in range(4)]))

    assert [200] * 4 == statuses(desk)
    assert '1 have names that were not sent' in desk.status('job').notes[0]


def test_a_creation_that_was_not_answered_is_found_and_not_made_again(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), drop_after_events=0, hidden_s=40)
    job = begun([line(provider, number) for number in range(4)])
    finish(desk, clock, job, step_s=20)

    assert [200] * 4 == statuses(desk)
    assert 1 == len({one['batch_id'] for one in sim.charges()})
    check_books(sim, path, 4)


def test_a_creation_that_never_arrived_is_made_again(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), status=503)
    job = begun([line(provider, number) for number in range(4)])
    desk.tick(job.id)
    desk.tick(job.id)
    assert 1 == desk.status(job.id).batches
    assert [] == sim.charges()

    finish(desk, clock, job, step_s=30)
    check_books(sim, path, 4)


def test_two_lost_batches_of_one_size_are_told_apart_by_their_results(
    sim, desk, clock, begun, path
) -> None:
    """Anthropic has no label: who else created a batch of as many requests is found out."""
    provider = 'anthropic'
    import anthropic  # noqa: PLC0415

    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='sk-simulated')
    sim.fault(on=create(provider), drop_after_events=0)
    job = begun([line(provider, number) for number in range(3)])
    desk.tick(job.id)
    other = client.messages.batches.create(requests=[line(provider, n) for n in range(50, 53)])
    finish(desk, clock, job, step_s=30)
    client.close()

    ours = {one['batch_id'] for one in sim.charges()} - {other.id}
    assert 1 == len(ours)
    with Ledger.open(path) as ledger:
        assert 3 == len(list(ledger.entries()))
    assert [200] * 3 == statuses(desk)


def test_a_full_queue_is_learned_from_and_uses_up_no_attempt(sim, desk, clock, begun, path) -> None:
    sim.fault(on=create('openai'), queue_full=True)
    finish(desk, clock, begun([line('openai', number) for number in range(8)]))

    assert [200] * 8 == statuses(desk)
    assert {1} == {one['attempts'] for one in answers(desk, 'job')}
    assert 2 <= len({one['batch_id'] for one in sim.charges()})
    check_books(sim, path, 8)


def test_a_file_that_holds_too_much_is_cut_in_two(sim, desk, clock, begun, path) -> None:
    """Of requests, of bytes, or of texts to embed, of which one request has many."""
    sim.reset(batches=BatchRules(openai_requests=3))
    clock.s = Clock(sim).s
    finish(desk, clock, begun([line('openai', number) for number in range(8)]))

    assert {1} == {one['attempts'] for one in answers(desk, 'job')}
    # 8 and 4 are too many.
    assert 4 == len({one['batch_id'] for one in sim.charges()})
    check_books(sim, path, 8)


def test_files_that_are_named_late_are_waited_for(sim, desk, clock, begun, path) -> None:
    """https://github.com/BerriAI/litellm/issues/33987."""
    sim.fault(on=create('openai'), output_late_s=100)
    finish(desk, clock, begun([line('openai', number) for number in range(4)]))

    assert {1} == {one['attempts'] for one in answers(desk, 'job')}
    check_books(sim, path, 4)


def test_a_batch_in_which_all_failed_has_no_file_of_answers(sim, desk, clock, begun) -> None:
    sim.fault(on=create('openai'), lines={'*': 400}, message='refused')
    finish(desk, clock, begun([line('openai', number) for number in range(4)]))

    assert [400] * 4 == statuses(desk)


def test_a_batch_that_expires_in_part_is_paid_for_that_part_and_the_rest_sent_again(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), stalls_after=2)
    finish(desk, clock, begun([line(provider, n) for n in range(5)]), step_s=7_200)

    assert [200] * 5 == statuses(desk)
    assert [1, 1, 2, 2, 2] == sorted(one['attempts'] for one in answers(desk, 'job'))
    check_books(sim, path, 5)


def test_what_is_unfinished_near_the_deadline_is_asked_at_once_and_nowhere_twice(
    provider, sim, desk, clock, begun
) -> None:
    sim.reset(batches=BatchRules(processing_s=100_000, cancelling_s=300))
    clock = Clock(sim)
    desk.now = clock
    sim.fault(on=create(provider), stalls_after=2, cancel_completes=1)
    deadline = Deadline(at_s=clock() + 7_200, reserve_s=1_800)
    job = begun([line(provider, number) for number in range(6)], deadline=deadline)
    finish(desk, clock, job, step_s=400)

    assert [200] * 6 == statuses(desk)
    assert clock() < deadline.at_s
    charges = sim.charges()
    assert 6 == len(charges)
    assert {True, False} == {one['batch_id'] is not None for one in charges}
    with Ledger.open(desk.ledger.url) as ledger:
        entries = [one.entry for one in ledger.entries() if one.entry.status == 'ok']
    in_batches = sum(one['batch_id'] is not None for one in charges)
    assert in_batches == sum(entry.mode == 'batch' for entry in entries)
    assert 6 - in_batches == sum(entry.mode == 'sync' for entry in entries)


def test_near_the_deadline_a_process_without_the_key_leaves_requests_to_one_that_has_it(
    provider, sim, desk, clock, begun, path, monkeypatch
) -> None:
    job = begun([line(provider, 0)], deadline=Deadline(at_s=clock()))
    monkeypatch.delenv(f'{provider.upper()}_API_KEY')
    keyless = Desk(str(path), settings=QUICK, now=clock).tick(job.id)
    assert (1, 0) == (keyless.waiting, keyless.done)
    assert 'no credentials' in keyless.troubles[0]

    finish(desk, clock, job)
    assert [200] == statuses(desk)


def test_a_damaged_request_fails_alone(provider, sim, desk, clock, begun) -> None:
    job = begun([line(provider, number) for number in range(4)])
    journal = desk.journal()
    with journal._told() as db:
        db.execute("UPDATE request SET body = x'00' WHERE name = 'mine-2'")
    journal.close()
    finish(desk, clock, job)

    found = {one['custom_id']: one['status'] for one in answers(desk, 'job')}
    assert {'mine-0': 200, 'mine-1': 200, 'mine-2': 400, 'mine-3': 200} == found
    assert 3 == len(sim.charges())


def test_a_damaged_answer_fails_alone(provider, sim, desk, clock, begun) -> None:
    finish(desk, clock, begun([line(provider, number) for number in range(3)]))
    journal = desk.journal()
    with journal._told() as db:
        db.execute("UPDATE answer SET body = x'00' WHERE rowid = 2")
    journal.close()

    found = list(answers(desk, 'job'))
    assert 1 == sum('damaged' in one.get('error', '') for one in found)
    assert 2 == sum(one['status'] == 200 for one in found)


def test_refused_credentials_hold_the_job(provider, sim, desk, begun) -> None:
    sim.fault(on=create(provider), status=401, message='invalid key')
    job = begun([line(provider, 0)])
    with pytest.raises(RuntimeError, match='refuses the credentials'):
        desk.tick(job.id)

    assert 'held' == desk.status(job.id).state
    assert [] == sim.charges()


def test_the_saving_is_beside_each_entry(provider, sim, desk, clock, begun, path) -> None:
    finish(desk, clock, begun([line(provider, 0)]))

    with desk.ledger.batches() as view:
        cost, counterfactual = view._db.execute(
            'SELECT e.cost, d.counterfactual_cost FROM decision d '
            'JOIN entry e ON e.id = d.entry_id WHERE d.lever = ?',
            ('batching',),
        ).fetchone()
    # Both providers sell a batch at half the price.
    assert counterfactual == 2 * cost


def test_the_journal_is_its_owners_alone(sim, desk, begun) -> None:
    begun([line('anthropic', 0)])

    assert 0o600 == desk.journal().path.stat().st_mode & 0o777


def test_the_ledger_holds_no_text_of_a_request(sim, desk, clock, begun, path) -> None:
    body = {'messages': [{'role': 'user', 'content': 'a very secret prompt'}]}
    finish(desk, clock, begun([line('anthropic', 0, **body)]))

    kept = b''.join(one.read_bytes() for one in path.parent.glob('farthing.db*') if one.is_file()
                    and not one.name.startswith('farthing.db.journal'))  # fmt: skip
    assert b'secret' not in kept
    assert b'sk-simulated' not in kept
    assert b'sk-simulated' not in desk.journal().path.read_bytes()


def test_costs_of_all_attempts_add_up(sim, desk, clock, begun) -> None:
    sim.fault(on=create('anthropic'), lines={'0': 'expired'})
    finish(desk, clock, begun([line('anthropic', 0)]))

    (found,) = answers(desk, 'job')
    assert 2 == found['attempts']
    assert Decimal(found['cost_usd']) > 0


def test_an_answer_that_the_results_lack_may_be_billed_and_its_cost_is_unknown(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), lines={'1': 'missing'})
    job = begun([line(provider, number) for number in range(3)], max_cost=10**12)
    finish(desk, clock, job)

    assert [200] * 3 == statuses(desk)
    assert [None] == [one['cost_usd'] for one in answers(desk, 'job') if one['attempts'] == 2]
    found = desk.status('job')
    assert (1, 0, 0) == (found.in_doubt, found.duplicates, found.unpriced)
    (note,) = found.notes
    assert '1 have no result; 3 were answered by its own count, and 2 answers were read' in note
    with Ledger.open(path) as ledger:
        assert 1 == ledger.report().total.unpriced


def test_an_answer_that_comes_late_is_booked_and_changes_no_result(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), lines={'1': 'late'}, late_s=1_000)
    job = begun([line(provider, number) for number in range(3)])
    finish(desk, clock, job)
    before = [(one['status'], one['body']) for one in answers(desk, 'job')]
    assert 1 == desk.status('job').in_doubt
    desk.set_state(job.id, 'finished')
    assert _unfinished(desk, job.id)  # `farthing batch tick` goes on looking

    watch(desk, clock, job)
    assert not _unfinished(desk, job.id)
    check_charges(sim, path)
    found = desk.status('job')
    assert (0, 1, 0) == (found.in_doubt, found.duplicates, found.unpriced)
    assert before == [(one['status'], one['body']) for one in answers(desk, 'job')]
    assert found.cost_usd == sum(Decimal(one['cost_usd']) for one in answers(desk, 'job'))
    assert 'came late' in found.notes[0]


def test_an_answer_that_comes_before_its_request_is_sent_again_is_taken(
    provider, sim, desk, clock, begun, path
) -> None:
    sim.fault(on=create(provider), lines={'1': 'late'}, late_s=30)
    finish(desk, clock, begun([line(provider, number) for number in range(3)]), step_s=20)

    assert {1} == {one['attempts'] for one in answers(desk, 'job')}
    check_books(sim, path, 3)
    assert () == desk.status('job').notes


def test_a_lost_batch_that_shows_up_too_late_is_booked_and_changes_no_result(
    provider, sim, desk, clock, begun, path, caplog
) -> None:
    sim.fault(on=create(provider), drop_after_events=0, hidden_s=1_000)
    job = begun([line(provider, number) for number in range(4)])
    finish(desk, clock, job)
    before = [(one['status'], one['body']) for one in answers(desk, 'job')]
    assert 'its requests are sent again' in desk.status('job').notes[0]

    watch(desk, clock, job)
    check_charges(sim, path)
    found = desk.status('job')
    assert (4, 0, 0) == (found.duplicates, found.in_doubt, found.batches)
    assert before == [(one['status'], one['body']) for one in answers(desk, 'job')]
    assert '4 requests were answered a second time' in caplog.text
    # Each pair of answers costs what two batched calls do, and saves one call at once.
    with desk.ledger.batches() as view:
        saved = view._db.execute(
            'SELECT sum(counterfactual_cost) - (SELECT sum(cost) FROM entry) FROM decision '
            "WHERE lever = 'batching'"
        ).fetchone()
    assert (0,) == saved


def test_a_lost_batch_that_still_runs_is_stopped(sim, desk, clock, begun, path) -> None:
    """OpenAI shows whose it is; Anthropic does not before it has ended."""
    sim.reset(batches=BatchRules(processing_s=2_000))
    clock.s = Clock(sim).s
    sim.fault(on=create('openai'), drop_after_events=0, hidden_s=1_200)
    job = begun([line('openai', number) for number in range(4)])
    finish(desk, clock, job, step_s=100)

    watch(desk, clock, job)
    check_charges(sim, path)
    # It was answering for 1,200 of its 2,000 s: two of four requests.
    assert 2 == desk.status('job').duplicates


def watch(desk, clock, job) -> None:
    """Let time pass, as cron does that ticks a job which is done."""
    for _ in range(12):
        clock.advance(400)
        desk.tick(job.id)
    assert desk.tick(job.id).idle


def check_charges(sim, path) -> None:
    """The ledger holds what the provider charged, each once, at its price."""
    with Ledger.open(path) as ledger:
        entries = [booked.entry for booked in ledger.entries()]
        assert 0 == ledger.report().total.unpriced
        assert ledger.verify().ok
    billed = sorted(one.id.removesuffix(':late') for one in entries if one.status == 'ok')
    charged = sorted(
        f'{one.provider}:{charge["batch_id"]}:{charge["custom_id"]}'
        for one in entries[:1]
        for charge in sim.charges()
    )
    assert charged == billed
