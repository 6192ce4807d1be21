"""What a caller asks of an LLM passes through a router unchanged: every way, every kind.

Each call is one call of the LLM that serves, under its name, and is posted once. Where the decided
route fails, the default one answers in the same way.
"""

import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel

import farthing
from farthing.errors import RoutingError
from farthing.io.tap import tap
from llama_index_farthing import LLMClassifier, RouterLLM, Rules, cached

# LlamaIndex's own: its agents look at every attribute, its Anthropic asks in an older form.
pytestmark = [
    pytest.mark.filterwarnings('ignore::pydantic.warnings.PydanticDeprecationWarning'),
    pytest.mark.filterwarnings('ignore:The .output_format. parameter:DeprecationWarning'),
]

LIGHT = Rules.of([{'route': 'light', 'keywords': ['parcel']}])
ASKED = 'Track my parcel 7, please.'
SAID = [ChatMessage(role='system', content='Be kind.'), ChatMessage(role='user', content=ASKED)]
NAMES = {
    'anthropic': ('claude-haiku-4-5', 'claude-sonnet-4-6'),
    'openai': ('gpt-5-nano', 'gpt-5-mini'),
    'responses': ('gpt-5-nano', 'gpt-5-mini'),
}


class Place(BaseModel):
    """Where a parcel is."""

    city: str
    days: int


def track(parcel: int) -> str:
    """Track a parcel."""
    return f'parcel {parcel} is on its way'


TOOLS = [FunctionTool.from_defaults(track)]
PROMPT = PromptTemplate(ASKED + ' {more}')


async def chat(llm):
    return llm.chat(SAID)


async def achat(llm):
    return await llm.achat(SAID)


async def stream_chat(llm):
    return list(llm.stream_chat(SAID))[-1]


async def astream_chat(llm):
    return [piece async for piece in await llm.astream_chat(SAID)][-1]


async def complete(llm):
    return llm.complete(ASKED)


async def acomplete(llm):
    return await llm.acomplete(ASKED)


async def stream_complete(llm):
    return list(llm.stream_complete(ASKED))[-1]


async def astream_complete(llm):
    return [piece async for piece in await llm.astream_complete(ASKED)][-1]


async def predict(llm):
    return llm.predict(PROMPT, more='Now.')


async def apredict(llm):
    return await llm.apredict(PROMPT, more='Now.')


async def stream_predict(llm):
    return ''.join(llm.stream(PROMPT, more='Now.'))


async def tools(llm):
    return llm.chat_with_tools(TOOLS, user_msg=ASKED)


async def atools(llm):
    return await llm.achat_with_tools(TOOLS, ChatMessage(ASKED), SAID[:1], tool_required=True)


async def stream_tools(llm):
    return list(llm.stream_chat_with_tools(TOOLS, user_msg=ASKED))[-1]


async def astream_tools(llm):
    return [one async for one in await llm.astream_chat_with_tools(TOOLS, chat_history=SAID)][-1]


async def structured(llm):
    return llm.structured_predict(Place, PROMPT, more='Now.')


async def astructured(llm):
    return await llm.astructured_predict(Place, PROMPT, more='Now.')


async def stream_structured(llm):
    return list(llm.stream_structured_predict(Place, PROMPT, more='Now.'))[-1]


async def astream_structured(llm):
    pieces = await llm.astream_structured_predict(Place, PROMPT, more='Now.')
    return [piece async for piece in pieces][-1]


async def as_structured(llm):
    return llm.as_structured_llm(Place).chat(SAID).raw


async def as_structured_async(llm):
    return (await llm.as_structured_llm(Place).achat(SAID)).raw


PLAIN = (chat, achat, stream_chat, astream_chat)
COMPLETIONS = (complete, acomplete, stream_complete, astream_complete)
PREDICTIONS = (predict, apredict, stream_predict)
WITH_TOOLS = (tools, atools, stream_tools, astream_tools)
STRUCTURED = (
    structured, astructured, stream_structured, astream_structured, as_structured,
    as_structured_async,
)  # fmt: skip


@pytest.fixture(params=NAMES)
def leg(request) -> str:
    return request.param


@pytest.fixture(params=['', 'fallback'])
def fails(request, sim) -> bool:
    if request.param:
        sim.fault(status=529)
    return bool(request.param)


@pytest.fixture
def make(sim, ledger, anthropic, openai, responses):
    llms = {'anthropic': anthropic, 'openai': openai, 'responses': responses}

    def make(leg: str = 'anthropic', **options: Any) -> RouterLLM:
        llm = llms[leg]
        light, standard = NAMES[leg]
        routes = {'light': llm(light, max_retries=0), 'standard': llm(standard)}
        given = {'routes': routes, 'policy': LIGHT, 'default': 'standard', 'mode': 'active'}
        return RouterLLM(**given | {'ledger': ledger} | options)

    for url in (sim.anthropic_url, sim.openai_url):
        tap.endpoints.add(url)
    yield make
    tap.uninstall()


@pytest.fixture
def decisions(ledger, tmp_path: Path):
    """Each entry's model, status, purpose and routing decision, oldest first."""

    def read() -> list[dict[str, Any]]:
        ledger.flush()
        with sqlite3.connect(tmp_path / 'ledger.db') as db:
            rows = db.execute(
                'SELECT m.value, s.value, p.value, d.chosen, d.policy, d.reason, d.facts'
                ' FROM entry e JOIN dim m ON m.id = e.model_requested'
                ' JOIN dim s ON s.id = e.status JOIN dim p ON p.id = e.purpose'
                " LEFT JOIN decision d ON d.entry_id = e.id AND d.lever = 'routing'"
                ' ORDER BY e.seq'
            ).fetchall()
        names = ('model', 'status', 'purpose', 'chosen', 'policy', 'reason')
        return [
            dict(zip(names, row, strict=False)) | {'facts': orjson.loads(row[-1] or '{}')}
            for row in rows
        ]

    return read


@pytest.fixture
def check(decisions, posted, leg, billed):
    """Every attempt is one entry with its decision; the answer's is that of the served model."""

    def same(*, fails: bool, calls: int = 1) -> None:
        light, standard = NAMES[leg]
        served = [(standard if fails else light, 'ok', 'light')] * calls
        failed = [(light, 'error', 'light')] * fails
        found = [(one['model'], one['status'], one['chosen']) for one in decisions()]
        assert failed + served == found
        paid = [one for one in posted() if one.status == 'ok']
        assert {('acme', 'support', 'reported')} == {
            (one.attribution.tenant, one.attribution.task, one.usage_source) for one in paid
        }
        assert billed() == [(one.usage.input_tokens, one.usage.output_tokens) for one in paid]

    return same


@pytest.mark.parametrize('way', [*PLAIN, *COMPLETIONS, *PREDICTIONS])
async def test_answers_in_every_way(way, make, leg, check, fails) -> None:
    with farthing.attributed(tenant='acme', task='support'):
        answer = await way(make(leg))

    assert str(answer)
    check(fails=fails)
    if way in {*PLAIN, *COMPLETIONS}:
        served = 'standard' if fails else 'light'
        assert served == answer.additional_kwargs['farthing_route']


@pytest.mark.parametrize('way', WITH_TOOLS)
async def test_tools_in_every_way(way, make, leg, installed, check, fails) -> None:
    llm = make(leg)
    with farthing.attributed(tenant='acme', task='support'):
        answer = await way(llm)

    (call,) = llm.get_tool_calls_from_response(answer)
    assert ('track', {'parcel'}) == (call.tool_name, {*call.tool_kwargs})
    check(fails=fails)


@pytest.mark.parametrize('way', STRUCTURED)
async def test_structured_output_in_every_way(way, make, leg, installed, check, fails) -> None:
    with farthing.attributed(tenant='acme', task='support'):
        answer = await way(make(leg))

    assert {'city', 'days'} == {*answer.model_dump()}
    check(fails=fails)


@pytest.mark.parametrize('way', [stream_chat, atools, astream_structured])
async def test_a_router_records_its_calls_by_itself(way, make, leg, posted) -> None:
    await way(make(leg))

    (entry,) = posted()
    assert (NAMES[leg][0], 'ok', 'reported') == (
        entry.model_requested, entry.status, entry.usage_source
    )  # fmt: skip


@pytest.mark.parametrize('agent', [FunctionAgent, ReActAgent])
@pytest.mark.parametrize('streaming', [True, False])
async def test_agents(agent, streaming, make, leg, installed, posted, billed, sim, fails) -> None:
    given = {'tools': TOOLS, 'llm': make(leg), 'system_prompt': 'Be kind.', 'streaming': streaming}
    if agent is ReActAgent:
        sim.reply('Thought: I can answer.\nAnswer: It is on its way.')
    with farthing.attributed(tenant='acme', task='agent'):
        answer = await agent(**given).run(ASKED)

    light, standard = NAMES[leg]
    paid = [one for one in posted() if one.status == 'ok']
    assert str(answer)
    assert {standard if fails else light} == {one.model_requested for one in paid}
    assert (1 if agent is ReActAgent else 2) == len(paid)
    assert billed() == [(one.usage.input_tokens, one.usage.output_tokens) for one in paid]
    assert {('acme', 'agent')} == {(e.attribution.tenant, e.attribution.task) for e in paid}


@pytest.mark.parametrize('asynchronous', [False, True])
async def test_tools_are_called(asynchronous, make, leg, installed, posted) -> None:
    llm = make(leg)
    if asynchronous:
        answer = await llm.apredict_and_call(TOOLS, user_msg=ASKED)
    else:
        answer = llm.predict_and_call(TOOLS, user_msg=ASKED)

    assert 'is on its way' in answer.response
    assert 1 == len(posted())
