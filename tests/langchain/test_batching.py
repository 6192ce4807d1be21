"""Chains through batches: the same outputs, each request paid once at the batch price."""

import asyncio
import time
from collections import Counter
from decimal import Decimal
from itertools import count

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from pydantic import BaseModel

from farthing.attribution import attributed
from farthing.errors import BatchError, BatchLimit, InputError
from farthing.io.tap import tap
from farthing.money import pico
from langchain_farthing import batchable


class Note(BaseModel):
    """A note about a topic."""

    title: str
    words: int


@tool
def lookup(topic: str) -> str:
    """Look up a topic."""
    return topic.upper()


@pytest.fixture
def chain(claude, gpt):
    """Two models of two providers, structured output, a tool and a parser."""
    return (
        ChatPromptTemplate.from_template('Note on {topic}')
        | claude().with_structured_output(Note)
        | (lambda note: {'title': note.title, 'words': note.words})
        | ChatPromptTemplate.from_template('lookup the topic of {title}, {words} words')
        | gpt().bind_tools([lookup])
        | (lambda message: (message.content, [call['args'] for call in message.tool_calls]))
    )


@pytest.fixture
def inputs():
    return [{'topic': f'topic {number}'} for number in range(8)]


def billed(sim) -> Counter[str]:
    """What was charged, by the model, in batches and outside."""
    return Counter((one['model'], one['batch_id'] is not None) for one in sim.charges())


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


async def test_a_chain_of_two_models_gives_what_it_gives_without_batches(
    chain, inputs, runner, sim, entries
) -> None:
    plain = chain.batch(inputs)
    sim.reset()

    job = await runner(tenant='acme', task='notes').submit(chain, inputs)
    outcomes = await collected(job)

    assert plain == [outcomes[index].output for index in range(len(inputs))]
    assert {1} == {one.attempts for one in outcomes.values()}
    posted = entries()
    assert 16 == len(posted)
    assert {('batch', 'acme', 'notes', 'exact')} == {
        (e.mode, e.attribution.tenant, e.attribution.task, e.quote.status) for e in posted
    }
    assert sum(one.cost_usd for one in outcomes.values()) == sum(e.cost_usd for e in posted)
    assert {('claude-sonnet-4-6', True): 8, ('gpt-5-mini', True): 8} == billed(sim)


async def test_a_callback_handler_links_to_the_entries_and_posts_none(
    chain, inputs, runner, handler, entries
) -> None:
    job = await runner().submit(chain, inputs, config={'callbacks': [handler]})
    await collected(job)

    posted = entries()
    assert {'batch'} == {entry.mode for entry in posted}
    assert 16 == len(posted)
    assert all(entry.run_id for entry in posted)
    assert sum(entry.cost_usd for entry in posted) == handler.spend.cost_usd


async def test_a_finished_job_is_run_again_from_the_journal_for_nothing(
    chain, inputs, runner, sim, entries
) -> None:
    first = await collected(await runner().submit(chain, inputs))
    charged = billed(sim)

    again = await collected(await runner().submit(chain, inputs, job='job.1'))

    assert {i: one.output for i, one in first.items()} == {
        i: one.output for i, one in again.items()
    }
    assert charged == billed(sim)
    assert 16 == len(entries())


async def test_code_that_waits_is_let_go_and_run_again_where_more_inputs_come_than_fit(
    chain, inputs, runner, sim, handler, entries
) -> None:
    plain = chain.batch(inputs)
    sim.reset()

    job = await runner(window=3).submit(chain, inputs, config={'callbacks': [handler]})
    outcomes = await collected(job)
    handler.sweep()

    assert plain == [outcomes[index].output for index in range(len(inputs))]
    posted = entries()
    assert 16 == len(posted)
    assert (16, sum(e.cost_usd for e in posted)) == (handler.spend.calls, handler.spend.cost_usd)
    assert {('claude-sonnet-4-6', True): 8, ('gpt-5-mini', True): 8} == billed(sim)


async def test_a_job_that_was_left_goes_on_under_its_name(
    chain, inputs, runner, sim, entries
) -> None:
    """C11: what was answered is not paid again when the code of the user has failed."""
    job = await runner().submit(chain, inputs)
    async for _ in job.results():
        break
    await job.close()
    with pytest.raises(BatchError, match=r"submit it again with job='job\.1'"):
        await collected(job)

    outcomes = await collected(await runner().submit(chain, inputs))

    assert len(inputs) == len(outcomes)
    assert 'job.1' == job.id
    assert {('claude-sonnet-4-6', True): 8, ('gpt-5-mini', True): 8} == billed(sim)


async def test_another_process_collects_by_ticks_what_one_has_sent(claude, runner, sim) -> None:
    """For cron and task queues, which run no code of the user's."""
    job = await runner().submit(claude(), ['one', 'two'])
    await job.close()
    other = runner()
    other.desk.providers.learn(
        'anthropic', f'{sim.anthropic_url}/v1', {'x-api-key': 'sk-simulated'}
    )

    assert not other.tick().busy
    assert (2, True) == ((tick := other.tick()).done, tick.idle)
    outcomes = await collected(await other.submit(claude(), ['one', 'two']))
    assert [None, None] == [outcomes[n].error for n in range(2)]
    assert 2 == len(sim.charges())


async def test_code_that_asks_something_else_when_it_runs_again_is_warned_of(
    claude, runner, sim, caplog
) -> None:
    times = count()
    chain = RunnableLambda(lambda topic: f'{topic} {next(times)}') | claude()
    outcomes = await collected(await runner(window=2).submit(chain, ['one', 'two', 'three']))

    unused = len(sim.charges()) - len(outcomes)
    assert unused
    assert f'{unused} requests were sent that the code of their inputs did not' in caplog.text


async def test_an_input_that_raises_fails_alone(claude, runner) -> None:
    def check(topic: str) -> str:
        if topic == 'bad':
            raise ValueError('a bad topic')
        return topic

    chain = RunnableLambda(check) | claude() | StrOutputParser()
    job = await runner().submit(chain, ['one', 'bad', 'two'])
    outcomes = await collected(job)

    assert 'a bad topic' == str(outcomes[1].error)
    assert outcomes[1].cost_usd == 0
    assert outcomes[0].output
    assert outcomes[2].output


async def test_a_refused_request_fails_with_the_frameworks_own_error_and_once(
    claude, runner, sim
) -> None:
    sim.fault(on='anthropic_batches.create', lines={'1': 400}, message='no such thing')
    job = await runner().submit(claude(max_retries=4), ['one', 'two', 'three'])
    outcomes = await collected(job)

    assert 'AnthropicInvalidRequestError' == type(outcomes[1].error).__name__
    assert 'no such thing' in str(outcomes[1].error)
    assert [None, None] == [outcomes[0].error, outcomes[2].error]
    assert 1 == len({one['batch_id'] for one in sim.charges()})


async def test_fallbacks_see_the_error_and_go_into_the_next_round(claude, gpt, runner, sim) -> None:
    sim.fault(on='anthropic_batches.create', lines={'*': 400}, message='refused')
    job = await runner().submit(claude().with_fallbacks([gpt()]), ['one', 'two'])
    outcomes = await collected(job)

    assert [None, None] == [outcomes[0].error, outcomes[1].error]
    assert {('gpt-5-mini', True): 2} == billed(sim)


async def test_branches_side_by_side_share_a_round(claude, gpt, runner, sim) -> None:
    both = RunnableParallel(left=claude() | StrOutputParser(), right=gpt() | StrOutputParser())
    job = await runner(window=2).submit(both, ['one', 'two', 'three'])
    outcomes = await collected(job)

    assert all(set(one.output) == {'left', 'right'} for one in outcomes.values())
    assert {('claude-sonnet-4-6', True): 3, ('gpt-5-mini', True): 3} == billed(sim)


async def test_a_model_that_streams_is_answered_in_one_piece(make, runner, sim) -> None:
    streaming = make(streaming=True)
    plain = make().invoke('Write 9 words')
    sim.reset()

    outcomes = await collected(await runner().submit(streaming, ['Write 9 words']))

    assert outcomes[0].error is None, outcomes[0].error
    assert plain.text == outcomes[0].output.text
    assert (
        plain.usage_metadata['output_tokens']
        == (outcomes[0].output.usage_metadata['output_tokens'])
    )


@pytest.mark.parametrize('window', [1, 1_000])
async def test_equal_requests_are_sent_once_where_that_is_asked_for(
    window, claude, runner, sim, ledger
) -> None:
    job = await runner(dedupe=True, window=window).submit(claude(), ['same'] * 4)
    outcomes = await collected(job)

    assert 1 == len({one.output.text for one in outcomes.values()})
    assert 1 == len(sim.charges())
    # Three were not sent, each of which would have cost what the first did.
    cost = sum(one.cost_usd for one in outcomes.values())
    ledger.flush()
    with ledger.batches() as view:
        noted = view._db.execute(
            "SELECT count(*), sum(counterfactual_cost) FROM decision WHERE policy = 'dedupe'"
        ).fetchone()
    assert (3, 3 * pico(cost)) == noted


async def test_equal_requests_are_sent_each_where_nobody_asks(claude, runner, sim) -> None:
    await collected(await runner().submit(claude(), ['same'] * 4))

    assert 4 == len(sim.charges())


async def test_answers_of_an_earlier_job_are_taken_where_that_is_asked_for(
    claude, runner, sim
) -> None:
    await collected(await runner().submit(claude(), ['one']))
    await collected(await runner(reuse=True).submit(claude(), ['one', 'two']))

    assert 2 == len(sim.charges())


async def test_a_job_that_asks_the_same_again_is_not_answered_with_its_own_answer(
    claude, runner, sim
) -> None:
    votes = RunnableLambda(lambda topic: topic) | claude() | (lambda _: 'one') | claude()
    await collected(await runner(reuse=True).submit(votes, ['one']))

    assert 2 == len(sim.charges())


async def test_nothing_is_sent_beyond_the_limit(chain, inputs, runner, sim) -> None:
    with pytest.raises(BatchLimit, match=r'its limit is 0\.001 USD'):
        await runner(max_cost_usd='0.001').submit(chain, inputs)
    assert [] == sim.charges()

    outcomes = await collected(await runner(max_cost_usd=5).submit(chain, inputs))
    assert len(inputs) == len(outcomes)


async def test_the_estimate_sends_nothing_and_is_above_the_bill(
    claude, runner, sim, entries
) -> None:
    one = runner()
    estimate = await one.estimate(claude(), ['one', 'two'])
    assert [] == sim.charges()
    assert (2, 0) == (estimate.requests, estimate.unpriced)
    # The batch price is half the synchronous one.
    assert 2 * estimate.batch == estimate.sync

    await collected(await one.submit(claude(), ['one', 'two']))
    assert sum(entry.cost_usd for entry in entries()) <= estimate.batch_usd


async def test_the_estimate_counts_the_limit_of_each_choice(gpt, runner) -> None:
    estimate = await runner().estimate(gpt(n=4, max_tokens=100), ['Write 90 words'])

    # Four choices of 100 tokens, at 1 USD a million in a batch; the input is a few tokens.
    assert Decimal('0.0004') < estimate.batch_usd < Decimal('0.00041')


def test_code_without_a_loop_is_run_with_outputs_in_order(chain, inputs, runner) -> None:
    assert chain.batch(inputs) == runner().run(chain, inputs, progress=False)


def test_an_error_that_is_raised_tells_how_to_have_the_other_outputs(claude, runner, sim) -> None:
    def check(message):
        if 'bad' in message.text:
            raise ValueError('a bad topic')
        return message.text

    chain, inputs = claude() | check, ['one', 'bad']
    with pytest.raises(ValueError, match='a bad topic') as raised:
        runner().run(chain, inputs, progress=False)
    assert "`run(..., job='job.1')` pays for none of them again" in raised.value.__notes__[0]

    again = runner().run(chain, inputs, job='job.1', return_exceptions=True, progress=False)
    assert [False, True] == [isinstance(one, ValueError) for one in again]
    assert 2 == len(sim.charges())


def test_sync_steps_wait_in_threads(claude, runner, sim) -> None:
    model = claude()
    step = RunnableLambda(lambda topic: model.invoke(topic).text)

    outputs = runner().run(step, [f'topic {n}' for n in range(40)], progress=False)

    assert 40 == len(outputs)
    assert 1 == len({one['batch_id'] for one in sim.charges()})


async def test_a_batchable_model_waits_for_a_batch_wherever_it_is_called(
    claude, runner, sim
) -> None:
    one = runner()
    model = batchable(claude(), one)

    answers = await model.abatch(['one', 'two', 'three'])
    one.close()

    assert 3 == len(answers)
    assert 1 == len({charge['batch_id'] for charge in sim.charges()})
    assert type(model).__name__ == 'ChatAnthropic'


def test_what_is_no_chat_model_is_not_made_batchable(claude, runner) -> None:
    with pytest.raises(InputError, match='expected a chat model'):
        batchable(claude() | StrOutputParser(), runner())


async def test_a_model_without_a_batch_of_ours_is_asked_as_ever(runner) -> None:
    model = GenericFakeChatModel(messages=iter(['hello']))
    outcomes = await collected(await runner().submit(model, ['one']))

    assert 'hello' == outcomes[0].output.text
    assert Decimal(0) == outcomes[0].cost_usd


def test_the_clients_are_left_as_they_were(claude, runner) -> None:
    runner().run(claude(), ['one'], progress=False)

    assert not tap.installed


async def test_code_that_reads_results_is_not_attributed_to_the_job(
    claude, runner, handler, entries
) -> None:
    with attributed(session='night'):
        chain = claude() | StrOutputParser() | claude()
        job = await runner(tenant='acme', window=1).submit(chain, ['one', 'two'])
    async for _ in job.results():
        await claude().ainvoke('Grade it', config={'callbacks': [handler]})

    # Two inputs of two requests each, and a call of the reader's own after each input.
    assert {('batch', 'acme', 'night'): 4, ('sync', None, None): 2} == Counter(
        (e.mode, e.attribution.tenant, e.attribution.session) for e in entries()
    )


async def test_what_another_process_collects_between_two_steps_is_handed_out(
    claude, runner, sim
) -> None:
    job = await runner(poll=1).submit(claude(), ['one', 'two'])
    # For the other one the lease has expired, as after a pause of the first.
    other = runner(now=lambda: time.time() + 100)
    other.desk.providers.learn(
        'anthropic', f'{sim.anthropic_url}/v1', {'x-api-key': 'sk-simulated'}
    )
    ticks = [await asyncio.to_thread(other.tick) for _ in range(2)]
    assert 2 == ticks[-1].done

    outcomes = await asyncio.wait_for(collected(job), 30)

    assert [None, None] == [outcomes[n].error for n in range(2)]


def test_a_block_that_raised_is_not_paid_for_again(claude, runner, sim) -> None:
    def fail() -> None:
        with runner().parked():
            claude().invoke('one')
            raise KeyError('a mistake in the code behind it')

    with pytest.raises(KeyError):
        fail()

    with runner().parked() as job:
        claude().invoke('one')

    assert ('job.1', 1) == (job.id, len(sim.charges()))


async def test_code_that_waits_for_what_is_never_sent_is_told(claude, runner, sim) -> None:
    chain = claude() | StrOutputParser()
    cancelled = await runner().submit(chain | claude(), ['one'])
    cancelled.cancel()
    with pytest.raises(BatchError, match=r'job\.1 is cancelled and sends nothing more, and 1 req'):
        await asyncio.wait_for(collected(cancelled), 30)

    await collected(await runner().submit(chain, ['one']))
    with pytest.raises(BatchError, match=r'job\.2 is finished and sends nothing more, and 1 req'):
        await asyncio.wait_for(runner().submit(chain, ['two'], job='job.2'), 30)
