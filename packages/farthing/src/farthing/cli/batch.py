"""`farthing batch`: jobs in providers' batches, begun, looked at, taken on, collected."""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import click
import orjson

from farthing.batching.states import WATCHED
from farthing.cli import FOUND, show
from farthing.cli.options import ledger_option
from farthing.cli.show import Column
from farthing.errors import InputError
from farthing.io import batch_files
from farthing.io.batch_desk import Desk, Status, seconds
from farthing.io.batching import Runner
from farthing.run.driving import Outcome

_COLUMNS = (
    Column(name='id', title='job'),
    Column(name='state', title='state'),
    Column(name='waiting', title='waiting', kind='count'),
    Column(name='sent', title='sent', kind='count'),
    Column(name='done', title='done', kind='count'),
    Column(name='batches', title='batches', kind='count'),
    Column(name='cost_usd', title='cost', kind='money'),
    Column(name='unpriced', title='unpriced', kind='count'),
    Column(name='in_doubt', title='in doubt', kind='count'),
    Column(name='duplicates', title='twice', kind='count'),
)
_format = click.option(
    '--format', 'form', type=click.Choice(['table', 'json']), default='table', show_default=True
)
_poll = click.option(
    '--poll', default='30s', show_default=True, help='How often the providers are asked.'
)
_job = click.argument('job')
_inputs = click.option('--inputs', metavar='F.jsonl', help='One input of the chain a line.')
_out = click.option('--out', metavar='F.jsonl', help='Wait, and write one outcome a line.')


@click.group('batch')
def command() -> None:
    r"""Many requests at half the price: jobs in providers' batches.

    A job goes on under its name, whatever became of the process that began it: each request is
    paid once. Prompts and answers are kept in a file beside the ledger until they are purged.

    \b
    Examples:
      farthing batch submit --requests requests.jsonl --name nightly --wait
      farthing batch submit package.module:chain --inputs inputs.jsonl --name nightly
      farthing batch resume nightly package.module:chain --inputs inputs.jsonl --out answers.jsonl
      farthing batch status nightly
      farthing batch results nightly > answers.jsonl
      farthing batch tick                              from cron: one step of every job
    """


@command.command('submit')
@click.argument('chain', required=False)
@click.option('--requests', 'file', metavar='F.jsonl', help="Lines as the providers' batches.")
@_inputs
@click.option('--name', required=True, help='Whose unfinished job it goes on with.')
@click.option('--deadline', help='When it is to be done, from now: 20h, 90m.')
@click.option('--max-cost-usd', help='Most that it may cost; checked before each round.')
@click.option('--dedupe', is_flag=True, help='Send equal requests once.')
@click.option('--reuse', is_flag=True, help='Take answers of earlier jobs to equal requests.')
@click.option('--tenant', help='Whose money it is.')
@click.option('--task', help='What it is for.')
@click.option('--estimate', 'only_estimate', is_flag=True, help='Tell the price, send nothing.')
@click.option('--wait', is_flag=True, help='Wait until it is done.')
@_out
@_poll
@ledger_option
def submit_command(
    chain: str | None,
    file: str | None,
    inputs: str | None,
    name: str,
    deadline: str | None,
    max_cost_usd: str | None,
    dedupe: bool,  # noqa: FBT001 - click hands over flags so
    reuse: bool,  # noqa: FBT001
    tenant: str | None,
    task: str | None,
    only_estimate: bool,  # noqa: FBT001
    wait: bool,  # noqa: FBT001
    out: str | None,
    poll: str,
    ledger: str | None,
) -> int:
    """Begin a job, or go on with the unfinished one of that name.

    Of a chain, an object with `ainvoke` or a function of one input, the first round is sent;
    `resume` does the rest, or `--out` waits for it. Of a file of requests everything is sent.
    """
    runner = Runner(
        name,
        ledger=ledger,
        deadline=deadline,
        max_cost_usd=max_cost_usd,
        dedupe=dedupe,
        reuse=reuse,
        tenant=tenant,
        task=task,
        poll=poll,
    )
    if file and not (chain or inputs):
        return _requests(runner, file, only_estimate=only_estimate, wait=wait or out is not None)
    if not (chain and inputs) or file:
        raise InputError('give a chain with `--inputs`, or `--requests` alone')
    return _chain(runner, chain, inputs, out, only_estimate=only_estimate, wait=wait)


@command.command('resume')
@_job
@click.argument('chain', required=False)
@_inputs
@_out
@_poll
@ledger_option
def resume_command(
    job: str, chain: str | None, inputs: str | None, out: str | None, poll: str, ledger: str | None
) -> int:
    """Go on with a job until it is done; a held one is open again.

    The chain and the inputs are those that it was begun with; without them, what was stored is
    sent and collected.
    """
    desk = Desk(ledger)
    with desk.ledger.batches() as view:
        found = view.job(job)
    if chain and inputs:
        terms = found.terms
        runner = Runner(found.name, ledger=ledger, terms=terms, poll=poll)
        return _chain(runner, chain, inputs, out, only_estimate=False, wait=True)
    if found.state == 'held':
        desk.set_state(found.id, 'open')
    _wait(desk, found.id, seconds(poll, 'poll'))
    return _told(desk, found.id)


@command.command('list')
@_format
@ledger_option
def list_command(form: str, ledger: str | None) -> None:
    """All jobs, the oldest first."""
    desk = Desk(ledger)
    _show([desk.status(job.id) for job in desk.jobs()], form)


@command.command('status')
@_job
@_format
@ledger_option
def status_command(job: str, form: str, ledger: str | None) -> int:
    """How far a job is; exit code 1 if it is held."""
    found = Desk(ledger).status(job)
    _show([found], form)
    return FOUND if found.state == 'held' else 0


@command.command('results')
@_job
@ledger_option
def results_command(job: str, ledger: str | None) -> None:
    """The answers of a job so far, one JSON object a line."""
    for one in batch_files.answers(Desk(ledger), job):
        click.echo(show.json_line(one))


@command.command('cancel')
@_job
@ledger_option
def cancel_command(job: str, ledger: str | None) -> int:
    """Give a job's batches up; what was answered until then is kept, and paid."""
    desk = Desk(ledger)
    found = desk.set_state(job, 'cancelled')
    _troubles(desk.tick(found.id).troubles)
    return _told(desk, found.id)


@command.command('reconcile')
@_job
@ledger_option
def reconcile_command(job: str, ledger: str | None) -> int:
    """Find batches whose creation was not answered, and collect results; send nothing."""
    desk = Desk(ledger)
    with desk.ledger.batches() as view:
        found = view.job(job).id
    _troubles(desk.tick(found, plan=False).troubles)
    return _told(desk, found)


@command.command('tick')
@click.argument('job', required=False)
@ledger_option
def tick_command(job: str | None, ledger: str | None) -> int:
    """Take one job, or each that is not over, one step on: for cron and task queues."""
    desk = Desk(ledger)
    names = [job] if job else [one.id for one in desk.jobs() if _unfinished(desk, one.id)]
    troubled = False
    for name in names:
        tick = desk.tick(name)
        troubled |= bool(tick.troubles)
        _troubles(tick.troubles)
        _finish(desk, name)
    _show([desk.status(name) for name in names], 'table')
    return FOUND if troubled else 0


@command.command('purge')
@click.option('--older-than', default='30d', show_default=True, help='Age of the jobs: 30d, 12h.')
@ledger_option
def purge_command(older_than: str, ledger: str | None) -> None:
    """Delete prompts and answers of jobs that are over; their entries stay."""
    gone = Desk(ledger).purge(older_than_s=seconds(older_than, 'older-than'))
    click.echo(f'{len(gone)} jobs purged: {", ".join(gone) or "none"}')


def _requests(runner: Runner, file: str, *, only_estimate: bool, wait: bool) -> int:
    desk = runner.desk
    with Path(file).open('rb') as lines:
        found = batch_files.read(lines, desk.providers, runner.who)
        if only_estimate:
            click.echo(str(batch_files.estimated(desk, found, datetime.now(UTC))))
            return 0
        job = runner.begun()
        count = batch_files.admit(desk, job, found)
    click.echo(f'{job.id}: {count} requests', err=True)
    _troubles(desk.tick(job.id).troubles)
    if wait:
        _wait(desk, job.id, runner.poll_s)
    return _told(desk, job.id)


def _chain(
    runner: Runner, chain: str, file: str, out: str | None, *, only_estimate: bool, wait: bool
) -> int:
    call, inputs = _loaded(chain), _values(file)

    async def work(target: IO[str]) -> int:
        if only_estimate:
            click.echo(str(await runner.estimate_calls(call, inputs)))
            return 0
        job = await runner.submit_calls(call, inputs)
        if not (wait or out):
            await job.close()
            return _told(runner.desk, job.id)
        async for outcome in job.results():
            target.write(show.json_line(_line(outcome)) + '\n')
        return 0

    with click.open_file(out or '-', 'w') as target:
        return asyncio.run(work(target))


def _loaded(name: str) -> Any:
    """The chain at `package.module:name`, as a function of one input.

    Raises:
        InputError: There is none.
    """
    module, colon, attribute = name.partition(':')
    if not colon:
        raise InputError(f'the chain is {name!r}: expected package.module:name')
    sys.path.insert(0, '')
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f'there is no chain {name!r}: {error}') from error
    return getattr(found, 'ainvoke', found)


def _values(file: str) -> Sequence[Any]:
    """The inputs of a file, one JSON value a line.

    Raises:
        InputError: A line is no JSON.
    """
    values = []
    for number, line in enumerate(Path(file).read_bytes().splitlines(), 1):
        if line.strip():
            try:
                values.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise InputError(f'line {number} of {file} is no JSON: {error}') from error
    return values


def _line(outcome: Outcome) -> dict[str, Any]:
    output = outcome.output
    dump = getattr(output, 'model_dump', None)
    error = outcome.error
    return {
        'index': outcome.index,
        'output': dump(mode='json') if dump else output,
        'error': None if error is None else f'{type(error).__name__}: {error}',
        'cost_usd': outcome.cost_usd,
        'attempts': outcome.attempts,
    }


def _wait(desk: Desk, job: str, poll_s: float) -> None:
    """Tick until nothing of the job is under way, or will be."""
    while True:
        tick = desk.tick(job)
        if tick.idle or tick.over:
            _finish(desk, job)
            return
        _troubles(tick.troubles)
        time.sleep(poll_s)


def _finish(desk: Desk, job: str) -> None:
    """A job of plain requests is finished when all are done.

    One of a chain is not: its code has still to be given the answers, and may ask more.
    """
    found = desk.status(job)
    idle = found.done and not (found.waiting or found.sent or found.batches)
    if found.state == 'open' and idle and batch_files.is_of_requests(desk, found.id):
        desk.set_state(found.id, 'finished')


def _unfinished(desk: Desk, job: str) -> bool:
    """Whether something may still change: also of a finished job, what was billed may come late."""
    found = desk.status(job)
    with desk.ledger.batches() as view:
        watched = view.submissions(job, *WATCHED)
    return found.state == 'open' or bool(found.batches or found.sent or watched)


def _told(desk: Desk, job: str) -> int:
    found = desk.status(job)
    _show([found], 'table')
    return FOUND if found.state == 'held' else 0


def _show(found: Sequence[Status], form: str) -> None:
    shown = [{name: getattr(one, name) for name in Status.__dataclass_fields__} for one in found]
    if form == 'json':
        show.as_json(shown)
        return
    notes = [f'{one.id} is {one.state}: {one.reason}' for one in found if one.reason]
    show.as_table(_COLUMNS, shown, notes=[*notes, *(note for one in found for note in one.notes)])


def _troubles(troubles: Sequence[str]) -> None:
    for one in troubles:
        click.echo(f'farthing batch: {one}; it is tried again with the next tick', err=True)
