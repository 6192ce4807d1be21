"""What a batch is asked for arrives as it was asked, and what is wrong fails alone."""

import json
import sqlite3

from langchain_core.runnables import RunnableLambda


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


def bodies(folder) -> list[dict]:
    """The requests as the journal has them, which are the lines of the batches."""
    (path,) = folder.glob('*.journal')
    with sqlite3.connect(path) as db:
        found = [json.loads(body) for (body,) in db.execute('SELECT body FROM request')]
    db.close()
    return found


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


async def test_a_limit_that_no_batch_takes_fails_alone(claude, runner, sim) -> None:
    model = claude()
    chain = RunnableLambda(lambda text: model.bind(max_tokens=0) if text == 'bad' else model)
    outcomes = await collected(await runner().submit(chain, ['one', 'bad', 'two']))

    assert 'max_tokens: 0 is not allowed' in str(outcomes[1].error)
    assert [None, None] == [outcomes[0].error, outcomes[2].error]
    assert 2 == len(sim.charges())
