"""What a batch is asked for arrives as it was asked, and what is wrong fails alone."""

import json
import sqlite3

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda

from farthing.errors import BatchLimit, JournalError

MODELS = {'claude-sonnet-4-6': 64_000, 'gpt-5-mini': 128_000}


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


def bodies(folder) -> list[dict]:
    """The requests as the journal has them, which are the lines of the batches."""
    with sqlite3.connect(journal(folder)) as db:
        found = [json.loads(body) for (body,) in db.execute('SELECT body FROM request')]
    db.close()
    return found


def journal(folder):
    (path,) = folder.glob('*.journal')
    return path


def change(folder, statement: str) -> None:
    """Damage the journal as nobody of ours does."""
    with sqlite3.connect(journal(folder)) as db:
        db.execute(statement)
    db.close()


async def test_thinking_passes_through_unchanged(claude, runner, tmp_path) -> None:
    thinking = {'type': 'enabled', 'budget_tokens': 1_024}
    model = claude(max_tokens=2_000, thinking=thinking)
    outcomes = await collected(await runner().submit(model, ['one']))

    assert outcomes[0].error is None
    assert [(thinking, 2_000)] == [(b['thinking'], b['max_tokens']) for b in bodies(tmp_path)]


async def test_effort_and_the_limit_of_a_reasoning_model_pass_through(
    gpt, runner, tmp_path
) -> None:
    model = gpt(model='o4-mini', reasoning_effort='low', max_tokens=500)
    outcomes = await collected(await runner().submit(model, ['one']))

    assert outcomes[0].error is None
    (body,) = bodies(tmp_path)
    assert ('low', 500) == (body['reasoning_effort'], body['max_completion_tokens'])
    assert 'max_tokens' not in body


async def test_a_limit_that_asks_for_a_stream_elsewhere_is_taken_by_a_batch(
    claude, runner, tmp_path
) -> None:
    """The SDK of Anthropic refuses long answers that are not streamed, unless a timeout is set."""
    outcomes = await collected(await runner().submit(claude(max_tokens=64_000), ['Write 3 words']))

    assert outcomes[0].error is None
    assert [64_000] == [body['max_tokens'] for body in bodies(tmp_path)]
    assert ['stream' in body for body in bodies(tmp_path)] == [False]


BAD = {
    'a limit that no batch takes': (
        'anthropic', {'max_tokens': 0}, 'max_tokens: 0 is not allowed',
    ),
    'more output than Claude gives': (
        'anthropic', {'max_tokens': 64_001}, 'max_tokens: 64001 > 64000',
    ),
    'more output than GPT gives': (
        'openai', {'max_completion_tokens': 128_001}, 'too large: 128001',
    ),
    'more output than GPT gives in Responses': (
        'responses', {'max_output_tokens': 128_001}, 'too large: 128001',
    ),
    'a model that Anthropic has not': (
        'anthropic', {'model': 'claude-of-nobody'}, 'model: claude-of-nobody',
    ),
    'a model that OpenAI has not': (
        'openai', {'model': 'gpt-of-nobody'}, "'gpt-of-nobody' is not supported by the Batch API",
    ),
    'a tool that is no JSON': (
        'anthropic', {'tools': [{'name': 'x', 'input_schema': {'default': object()}}]}, 'JSON',
    ),
    'another tool that is no JSON': (
        'openai', {'tools': [{'type': 'function', 'function': {'x': object()}}]}, 'JSON',
    ),
}  # fmt: skip


@pytest.mark.parametrize(('provider', 'options', 'told'), BAD.values(), ids=BAD)
async def test_what_is_wrong_with_a_request_fails_its_item_alone_and_once(
    provider, options, told, claude, gpt, runner, sim, entries
) -> None:
    sim.reset(models=MODELS)
    model = {
        'anthropic': claude, 'openai': gpt, 'responses': lambda: gpt(use_responses_api=True)
    }[provider]()  # fmt: skip
    chain = RunnableLambda(lambda text: model.bind(**options) if text == 'bad' else model)
    job = await runner().submit(chain | StrOutputParser(), ['one', 'bad', 'two'])
    outcomes = await collected(job)

    assert told in str(outcomes[1].error)
    assert 0 == outcomes[1].cost_usd
    assert outcomes[0].output
    assert outcomes[2].output
    assert 2 == len(sim.charges()) == len([one for one in entries() if one.status == 'ok'])
    assert 0 == job.status().unpriced


async def test_one_error_about_the_model_of_a_file_is_that_of_all_its_lines(
    gpt, runner, sim
) -> None:
    sim.reset(models=MODELS)
    outcomes = await collected(await runner().submit(gpt(model='gpt-x'), ['one', 'two', 'three']))

    assert 3 == len([one for one in outcomes.values() if 'gpt-x' in str(one.error)])
    assert 1 == sum(one['api'] == 'openai_batches.create' for one in sim.log())


async def test_a_damaged_answer_fails_its_item_alone_and_nothing_is_paid_again(
    claude, runner, sim, tmp_path
) -> None:
    chain, inputs = claude() | StrOutputParser(), ['one', 'two', 'three']
    first = await collected(await runner().submit(chain, inputs))
    change(tmp_path, "UPDATE answer SET body = x'00' WHERE rowid = 2")
    again = await collected(await runner().submit(chain, inputs, job='job.1'))

    damaged = [one for one in again.values() if one.error is not None]
    assert 1 == len(damaged)
    assert 'is damaged' in str(damaged[0].error)
    assert {one.output for one in again.values() if not one.error} < {
        one.output for one in first.values()
    }
    assert 3 == len(sim.charges())


async def test_a_damaged_request_is_kept_anew_when_its_code_runs_again(
    claude, runner, sim, tmp_path
) -> None:
    inputs = ['one', 'two', 'three']
    with pytest.raises(BatchLimit):
        await runner(max_cost_usd=0).submit(claude(), inputs)
    change(tmp_path, "UPDATE request SET body = x'00' WHERE rowid = 2")
    outcomes = await collected(await runner().submit(claude(), inputs))

    assert [None] * 3 == [one.error for one in outcomes.values()]
    assert 3 == len(sim.charges())


@pytest.mark.parametrize(
    ('damage', 'told'),
    [
        (lambda whole: b'not a journal at all' * 100, 'file is not a database'),
        (lambda whole: whole[:4_096], 'malformed'),
        (lambda whole: whole[:60] + (99).to_bytes(4, 'big') + whole[64:], 'has version 99'),
    ],
    ids=['garbage', 'truncated', 'another version'],
)
async def test_without_its_journal_a_job_fails_and_pays_nothing_again(
    damage, told, claude, runner, sim, tmp_path
) -> None:
    inputs = ['one', 'two']
    first = await collected(await runner().submit(claude(), inputs))
    path = journal(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    failed = await collected(await runner().submit(claude(), inputs, job='job.1'))
    assert [True, True] == [told in str(one.error) for one in failed.values()]
    with pytest.raises(JournalError, match=told):
        await runner('other').submit(claude(), inputs)

    path.write_bytes(whole)
    again = await collected(await runner().submit(claude(), inputs, job='job.1'))
    assert first[0].output.text == again[0].output.text
    assert 2 == len(sim.charges())


async def test_counts_that_contradict_themselves_fail_no_call_and_have_no_price(
    gpt, runner, sim, entries
) -> None:
    usage = {'prompt_tokens_details': {'cached_tokens': 1_000_000}}
    sim.fault(on='openai_batches.create', usage=usage)
    outcomes = await collected(await runner().submit(gpt(), ['Write 3 words']))

    assert outcomes[0].error is None
    assert 3 == len(outcomes[0].output.text.split())
    assert outcomes[0].cost_usd is None
    assert ['unpriced'] == [one.quote.status for one in entries()]
