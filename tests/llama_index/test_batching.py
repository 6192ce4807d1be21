"""LlamaIndex code through batches: the same outputs, each request paid once."""

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from farthing.errors import InputError
from llama_index_farthing import BatchRunner, batchable


class Note(BaseModel):
    """A note about a topic."""

    title: str
    words: int


def look_up(topic: str) -> str:
    """Look a topic up."""
    return topic.upper()


@pytest.fixture
def runner(ledger):
    def make(name='job', **options):
        return BatchRunner(name, **{'ledger': ledger, 'poll': 0.02, 'idle': 0.05} | options)

    return make


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


@pytest.mark.filterwarnings('ignore:The .output_format. parameter:DeprecationWarning')
async def test_two_models_structured_output_and_tools_give_what_they_give_without_batches(
    anthropic, openai, runner, sim, posted, installed
) -> None:
    first, second = anthropic(), openai()
    tools = [FunctionTool.from_defaults(look_up)]

    async def work(topic: str):
        note = await first.astructured_predict(Note, PromptTemplate('Note on {topic}'), topic=topic)
        answer = await second.achat_with_tools(tools, user_msg=f'look up the topic {note.title}')
        calls = second.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        return note, answer.message.content, [call.tool_kwargs for call in calls]

    topics = [f'topic {number}' for number in range(5)]
    plain = [await work(topic) for topic in topics]
    sync_entries = len(posted())
    sim.reset()

    outcomes = await collected(await runner(tenant='acme').submit(work, topics))

    assert plain == [outcomes[index].output for index in range(len(topics))]
    batched = posted()[sync_entries:]
    assert 10 == len(batched) == len(sim.charges())
    assert {('batch', 'acme')} == {(one.mode, one.attribution.tenant) for one in batched}


async def test_an_llm_completes_texts_and_answers_messages(anthropic, runner, sim) -> None:
    question = [ChatMessage(role=MessageRole.USER, content='Write 5 words')]
    job = await runner().submit(anthropic(), ['Write 4 words', question])
    outcomes = await collected(job)

    assert 4 == len(outcomes[0].output.text.split())
    assert 5 == len(outcomes[1].output.message.content.split())
    assert 1 == len({one['batch_id'] for one in sim.charges()})


def test_blocking_code_runs_in_threads(openai, runner, sim) -> None:
    outputs = runner(threads=True).run(
        openai(), [f'Write {number} words' for number in range(3, 15)], progress=False
    )

    assert list(range(3, 15)) == [len(one.text.split()) for one in outputs]
    assert 1 == len({one['batch_id'] for one in sim.charges()})


async def test_code_that_waits_is_let_go_where_more_inputs_come_than_fit(
    anthropic, runner, sim, posted, installed
) -> None:
    job = await runner(window=2).submit(anthropic(), [f'Write {n} words' for n in range(3, 10)])
    outcomes = await collected(job)
    installed.sweep()

    assert [None] * 7 == [outcomes[index].error for index in range(7)]
    assert 7 == len(posted()) == len(sim.charges())


async def test_a_batchable_llm_waits_for_a_batch_wherever_it_is_called(
    anthropic, runner, sim
) -> None:
    one = runner()
    llm = batchable(anthropic(), one)

    answer = await llm.acomplete('Write 6 words')
    one.close()

    assert 6 == len(answer.text.split())
    assert [True] == [charge['batch_id'] is not None for charge in sim.charges()]
    with pytest.raises(InputError, match='expected an LLM'):
        batchable(print, one)
