"""What a caller asks of an LLM passes through a router unchanged: every way, every kind.

Each call is one call of the LLM that serves, under its name, and is posted once. Where the decided
route fails, the default one answers in the same way.
"""

import asyncio
import sqlite3
from base64 import b64decode
from itertools import permutations
from pathlib import Path
from typing import Any

import orjson
import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ImageBlock,
    TextBlock,
)
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import BaseModel
from tests.annotator import Marking

import farthing
from farthing.errors import InputError, RoutingError
from farthing.io.tap import tap
from farthing.run.grading import exact_match
from llama_index_farthing import (
    Cascade,
    Embedding,
    LLMClassifier,
    RouterLLM,
    Rules,
    Trained,
    cached,
)

# LlamaIndex's own: its agents look at every attribute, its Anthropic asks in an older form.
pytestmark = [
    pytest.mark.filterwarnings('ignore:is_running called from within a step:DeprecationWarning'),
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


class Naming(MockLLM):
    """Answers with the name of a route."""

    def complete(self, prompt, **options):
        return super().complete('light')

    async def acomplete(self, prompt, **options):
        return await super().acomplete('light')


class Place(BaseModel):
    """Where a parcel is."""

    city: str
    days: int


def track(parcel: int) -> str:
    """Track a parcel."""
    return f'parcel {parcel} is on its way'


PIXEL = b64decode(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
)
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
async def test_agents(agent, streaming, make, leg, installed, posted, billed, fails) -> None:
    given = {'tools': TOOLS, 'llm': make(leg), 'system_prompt': 'Be kind.', 'streaming': streaming}
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


# What fails in the way of a call: the default route answers, and the ledger says why.

CHOICES = {'light': 'simple requests', 'standard': 'all others'}


@pytest.mark.parametrize(
    ('fault', 'kind'),
    [
        ({'delay_s': 3}, 'TimeoutError'),
        ({'status': 429}, 'RateLimitError'),
        ({}, 'RoutingError'),  # prose is the name of no route
    ],
)
@pytest.mark.parametrize('way', [chat, astream_chat, structured])
async def test_a_classifier_that_fails_means_the_default_route(
    way, fault, kind, make, anthropic, sim, decisions
) -> None:
    sim.fault(**fault)
    asks = LLMClassifier(model=anthropic('claude-haiku-4-5', max_retries=0), choices=CHOICES)
    assert await way(make(policy=asks, ask_within_s=0.5 if 'delay_s' in fault else 30))

    answers = [one for one in decisions() if one['purpose'] == 'user']
    ((model, chosen, failed),) = [
        (one['model'], one['chosen'], one['facts']['failed']) for one in answers
    ]
    assert ('claude-sonnet-4-6', 'standard', f'llm_classifier: {kind}') == (model, chosen, failed)


@pytest.mark.parametrize('way', [chat, achat, stream_chat, astream_chat, tools, structured])
@pytest.mark.parametrize('status', [429, 500])
async def test_a_route_that_fails_is_followed_by_the_default(
    way, status, make, leg, sim, decisions
) -> None:
    sim.fault(status=status)
    assert await way(make(leg))

    light, standard = NAMES[leg]
    failed, served = decisions()
    assert (light, 'error', 'failed') == (
        failed['model'], failed['status'], failed['facts']['attempt']
    )  # fmt: skip
    assert (standard, 'ok', 'standard') == (
        served['model'], served['status'], served['facts']['served']
    )  # fmt: skip
    assert ['light'] == [*served['facts']['fallback_of']]


@pytest.mark.parametrize('way', [stream_chat, astream_chat, stream_complete, stream_tools])
async def test_a_stream_that_breaks_after_its_first_piece_is_an_error(
    way, make, leg, sim, decisions
) -> None:
    sim.fault(drop_after_events=8)
    with pytest.raises(Exception, match=r'peer closed|incomplete|connection'):
        await way(make(leg))

    (one,) = decisions()
    assert (NAMES[leg][0], 'error', 'light') == (one['model'], one['status'], one['chosen'])
    assert 'failed' == one['facts']['attempt']


def test_a_damaged_artefact_means_the_default_route(make, tmp_path, decisions) -> None:
    (tmp_path / 'router.json').write_text('{"format": ')
    make(policy=Trained.load(tmp_path / 'router.json')).chat(SAID)

    (one,) = decisions()
    assert ('claude-sonnet-4-6', 'default', 'trained: ArtefactError') == (
        one['model'], one['policy'], one['facts']['failed']
    )  # fmt: skip


def test_a_request_that_is_wrong_is_not_sent_to_another_route(make, leg, sim, decisions) -> None:
    sim.fault(status=400)
    with pytest.raises(Exception, match='400'):
        make(leg).chat(SAID)

    assert [NAMES[leg][0]] == [one['model'] for one in decisions()]


def test_retries_of_the_sdk_are_entries_of_the_one_call(make, anthropic, sim, decisions) -> None:
    sim.fault(status=529)
    routes = {'light': anthropic('claude-haiku-4-5', max_retries=1), 'standard': anthropic()}
    make(routes=routes).chat(SAID)

    assert [('claude-haiku-4-5', 'error', 'light'), ('claude-haiku-4-5', 'ok', 'light')] == [
        (one['model'], one['status'], one['chosen']) for one in decisions()
    ]


# What a router adds to an LLM.


def test_the_default_serves_in_shadow_mode_and_the_wish_is_written_down(make, decisions) -> None:
    make(mode='shadow').chat(SAID)

    (one,) = decisions()
    assert ('claude-sonnet-4-6', 'light', 'standard') == (
        one['model'], one['chosen'], one['facts']['served']
    )  # fmt: skip


async def test_a_classifier_routes_and_is_billed_as_routing(make, anthropic, decisions) -> None:
    choices = {'light': 'parcels', 'standard': 'orders'}
    asks = LLMClassifier(model=Naming(), choices=choices)
    llm = make(policy=asks)
    llm.chat(SAID)
    await llm.achat(SAID)

    found = decisions()
    assert ['routing', 'user', 'routing', 'user'] == [one['purpose'] for one in found]
    assert ['claude-haiku-4-5'] * 2 == [one['model'] for one in found if one['purpose'] == 'user']


@pytest.mark.parametrize('way', [*PLAIN, *COMPLETIONS, *WITH_TOOLS, structured, stream_structured])
async def test_a_draft_that_is_accepted_is_the_answer(way, make, decisions) -> None:
    accepts = Cascade(weak='light', strong='standard', checks=(lambda *_: None,), version='1')
    answer = await way(make(policy=accepts))

    assert answer
    (one,) = decisions()
    assert ('claude-haiku-4-5', 'cascade') == (one['model'], one['policy'])


async def test_a_held_back_draft_is_one_piece_of_a_stream(make) -> None:
    accepts = Cascade(weak='light', strong='standard', checks=(lambda *_: None,), version='1')
    (piece,) = make(policy=accepts).stream_chat(SAID)

    assert piece.delta == piece.message.content
    assert piece.delta


@pytest.mark.parametrize('way', [chat, astream_chat, structured])
async def test_a_draft_that_is_refused_is_billed_too(way, make, decisions) -> None:
    refuses = Cascade(weak='light', strong='standard', checks=(lambda *_: 'no',), version='1')
    await way(make(policy=refuses))

    assert [('claude-haiku-4-5', 'draft'), ('claude-sonnet-4-6', None)] == [
        (one['model'], one['facts'].get('attempt')) for one in decisions()
    ]


@pytest.mark.parametrize('named', ['standard', 'claude-sonnet-4-6'])
async def test_a_route_is_forced_by_an_option_or_a_tag(named, make, decisions) -> None:
    llm = make(mode='shadow', default='light')
    llm.chat(SAID, model=named)
    with instrument_tags({'farthing_route': named}):
        await FunctionAgent(tools=TOOLS, llm=llm).run('Where is it?')

    assert {('claude-sonnet-4-6', 'forced')} == {
        (one['model'], one['policy']) for one in decisions()
    }
    with pytest.raises(RoutingError, match="no route or model of a route is named 'other'"):
        llm.chat(SAID, model='other')


def test_feedback_is_an_outcome_of_the_run(make, ledger, posted, tmp_path) -> None:
    llm = make()
    answers = [llm.chat(SAID), list(llm.stream_chat(SAID))[-1], llm.complete(ASKED)]
    for answer in answers:
        llm.feedback(answer, 0.5)
    ledger.flush()

    runs = [one.run_id for one in posted()]
    assert runs == [one.additional_kwargs['farthing_run_id'] for one in answers]
    with sqlite3.connect(tmp_path / 'ledger.db') as db:
        assert 3 == db.execute('SELECT count(*) FROM outcome').fetchone()[0]
    with pytest.raises(RoutingError, match='does not tell its run'):
        llm.feedback(MockLLM().chat(SAID), 1)


def test_the_metadata_are_what_all_routes_share(make, anthropic, openai) -> None:
    light, standard = openai('gpt-4o'), anthropic('claude-sonnet-4-6', max_tokens=512)
    found = make(routes={'light': light, 'standard': standard}).metadata
    with_mock = make(routes={'light': MockLLM(), 'standard': standard}).metadata

    assert (128_000, 512, True, 'claude-sonnet-4-6') == (
        found.context_window, found.num_output, found.is_function_calling_model, found.model_name
    )  # fmt: skip
    assert not with_mock.is_function_calling_model


def test_tools_go_to_a_route_that_takes_them(make, anthropic, decisions) -> None:
    llm = make(routes={'light': MockLLM(), 'standard': anthropic()})
    llm.chat_with_tools(TOOLS, user_msg=ASKED)

    (one,) = decisions()
    assert ('claude-sonnet-4-6', 'light') == (one['model'], next(iter(one['facts']['refused'])))


def test_images_go_to_a_route_that_sees(make, decisions) -> None:
    image = ImageBlock(image=PIXEL, image_mimetype='image/png')
    said = [ChatMessage(role='user', blocks=[TextBlock(text='My parcel?'), image])]
    make(facts={'light': {'abilities': frozenset({'tools'})}}).chat(said)
    make().chat(said)

    assert ['claude-sonnet-4-6', 'claude-haiku-4-5'] == [one['model'] for one in decisions()]


@pytest.mark.parametrize(('first', 'second'), [*permutations(NAMES, 2)])
def test_a_conversation_goes_on_with_another_providers_model(first, second, request, make) -> None:
    llms = {name: request.getfixturevalue(name)() for name in (first, second)}
    llm = make(routes=llms, default=first, policy=())
    said = [*SAID[:1], ChatMessage(role='user', blocks=[TextBlock(text=ASKED), CachePoint(
        cache_control=CacheControl(type='ephemeral'))])]  # fmt: skip
    answer = llm.chat_with_tools(TOOLS, chat_history=said)
    (call,) = llm.get_tool_calls_from_response(answer)
    own = {'tool_call_id': call.tool_id}
    told = ChatMessage(role='tool', content='on its way', additional_kwargs=own)
    over = [*said, answer.message, told]
    before = [one.model_dump() for one in over]

    assert llm.chat_with_tools(TOOLS, chat_history=over, model=second).message.content
    assert before == [one.model_dump() for one in over]


@pytest.mark.parametrize('around', ['routes', 'router'])
async def test_routes_may_be_cached(around, make, anthropic, ledger, decisions) -> None:
    marking = Marking()
    if around == 'routes':
        routes = {
            name: cached(anthropic(model), annotator=marking)
            for name, model in zip(('light', 'standard'), NAMES['anthropic'], strict=True)
        }
        llm = make(routes=routes)
    else:
        llm = cached(make(), annotator=marking)
    answer = await FunctionAgent(tools=TOOLS, llm=llm).run(ASKED)

    assert str(answer)
    assert ['claude-haiku-4-5'] * 2 == [model for *_, model in marking.asked]
    assert [('claude-haiku-4-5', 'light')] * 2 == [
        (one['model'], one['chosen']) for one in decisions()
    ]


def test_a_sample_is_replayed_and_graded_in_shadow_mode(make, ledger, posted) -> None:
    llm = make(mode='shadow', grader=exact_match, shadow_share=1)
    with farthing.attributed(tenant='acme', task='support'):
        llm.chat(SAID)
        list(llm.stream_chat_with_tools(TOOLS, user_msg=ASKED))
    llm.wait()
    ledger.flush()

    assert [('support', 'light', 'standard')] * 2 == [
        (pair.task, pair.weak, pair.strong) for pair in ledger.pairs()
    ]
    assert ['claude-haiku-4-5', 'claude-haiku-4-5'] == [
        one.model_requested for one in posted() if one.attribution.purpose == 'shadow'
    ]


@pytest.mark.parametrize('way', [stream_chat, astream_chat, stream_complete, stream_tools])
async def test_a_stream_that_breaks_before_its_first_piece_begins_again_elsewhere(
    way, make, leg, sim, decisions
) -> None:
    sim.fault(drop_after_events=0)
    assert await way(make(leg))

    light, standard = NAMES[leg]
    assert [(light, 'failed'), (standard, None)] == [
        (one['model'], one['facts'].get('attempt')) for one in decisions()
    ]


def test_an_argument_that_cannot_be_taken_is_refused_at_once(make, anthropic) -> None:
    with pytest.raises(InputError, match='`routes` is empty'):
        make(routes={})
    with pytest.raises(InputError, match="route 'light' is str: expected an LLM"):
        make(routes={'light': 'haiku'})
    with pytest.raises(InputError, match=r"`facts` names \['other'\]"):
        make(facts={'other': {}})
    with pytest.raises(RoutingError, match="`default` is 'other'"):
        make(default='other')
    with pytest.raises(ValueError, match='shadow_shre'):
        make(shadow_shre=1)


@pytest.mark.parametrize('streaming', [True, False])
async def test_a_query_engine(streaming, make, embeddings, installed, decisions) -> None:
    index = VectorStoreIndex.from_documents([Document(text='Home.')], embed_model=embeddings)
    engine = index.as_query_engine(llm=make(), streaming=streaming)
    answer, late = engine.query(ASKED), await engine.aquery(ASKED)
    if streaming:
        assert ''.join(answer.response_gen)
        assert [piece async for piece in late.async_response_gen()]

    assert [('claude-haiku-4-5', 'light')] * 2 == [
        (one['model'], one['chosen']) for one in decisions() if 'embedding' not in one['model']
    ]


async def test_concurrent_calls_keep_their_routes_and_tenants(make, decisions, posted) -> None:
    llm = make()

    async def one(number: int) -> str:
        with farthing.attributed(tenant=f't{number}'):
            said = [ChatMessage(f'My {"parcel" if number % 2 else "order"} {number}?')]
            if number % 3:
                return (await llm.achat(said)).additional_kwargs['farthing_run_id']
            pieces = [piece async for piece in await llm.astream_chat(said)]
            return pieces[-1].additional_kwargs['farthing_run_id']

    runs = await asyncio.gather(*map(one, range(12)))

    assert {
        (run, f't{n}', NAMES['anthropic'][0 if n % 2 else 1]) for n, run in enumerate(runs)
    } == {(one.run_id, one.attribution.tenant, one.model_requested) for one in posted()}
    assert 12 == len([one for one in decisions() if one['chosen']])


def test_a_stream_that_is_left_is_cancelled_and_says_what_was_decided(make, decisions) -> None:
    stream = make().stream_chat(SAID)
    next(stream)
    stream.close()

    (one,) = decisions()
    assert ('claude-haiku-4-5', 'cancelled', 'light') == (
        one['model'], one['status'], one['chosen']
    )  # fmt: skip


def test_nothing_of_a_route_is_written_out_with_the_router(make) -> None:
    llm = make()

    assert 'api_key' not in repr(llm)
    assert 'routes' not in llm.to_dict()


def test_examples_route_and_their_embedding_is_billed_as_routing(
    make, embeddings, decisions
) -> None:
    examples = {'light': [ASKED], 'standard': ['Write a poem on the sea.']}
    make(policy=Embedding(examples, embeddings)).chat(SAID)

    asked, served = decisions()[-2:]
    assert ('text-embedding-3-small', 'routing') == (asked['model'], asked['purpose'])
    assert ('claude-haiku-4-5', 'embedding') == (served['model'], served['policy'])
