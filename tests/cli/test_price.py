"""`farthing price`: single usages and files of cases, each by hand."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing import PriceBook
from farthing.cli.cases import answered
from farthing.wire import APIS

# Claude Sonnet 4.5 in USD a million: 3 in, 15 out, 0.30 read, 3.75 and 6 written.
SONNET = {
    'id': 'sonnet',
    'provider': 'anthropic',
    'api': 'anthropic_messages',
    'model': 'claude-sonnet-4-5',
    'date': '2026-06-01',
    'usage': {
        'input_tokens': 1_000,
        'cache_read_input_tokens': 2_000,
        'cache_creation_input_tokens': 1_000,
        'cache_creation': {'ephemeral_5m_input_tokens': 400, 'ephemeral_1h_input_tokens': 600},
        'output_tokens': 500,
        'service_tier': 'standard',
    },
}
# gpt-4o-mini in USD a million: 0.15 in, 0.075 read, 0.60 out.
MINI = {
    'id': 'mini',
    'provider': 'openai',
    'api': 'openai_chat',
    'model': 'gpt-4o-mini',
    'date': '2026-06-01',
    'usage': {
        'prompt_tokens': 1_000,
        'completion_tokens': 100,
        'prompt_tokens_details': {'cached_tokens': 400},
    },
    'context': {'service_tier': 'default', 'base_url': 'https://api.openai.com/v1'},
}
# Claude Sonnet 4.6: 3 in, 15 out; 1.1 times in the US.
GEO = {
    'id': 'geo',
    'provider': 'anthropic',
    'api': 'anthropic_messages',
    'model': 'claude-sonnet-4-6',
    'date': '2026-06-01',
    'usage': {'input_tokens': 1_000, 'output_tokens': 100},
    'context': {'batch': True, 'inference_geo': 'us', 'service_tier': 'batch'},
}
# Claude Opus 5: 5 in, 25 out; twice that in fast mode.
FAST = {
    **GEO,
    'id': 'fast',
    'model': 'claude-opus-5',
    'date': '2026-11-01',
    'usage': {'input_tokens': 1_000, 'output_tokens': 100, 'service_tier': 'standard'},
    'context': {'speed': 'fast', 'inference_geo': 'global'},
}


def answers(run, *cases: object) -> tuple[list[dict], int, str]:
    lines = (case if isinstance(case, str) else json.dumps(case) for case in cases)
    Path('cases.jsonl').write_text('\n'.join(lines), 'utf-8')
    done = run('price', '--cases', 'cases.jsonl')
    return [json.loads(line) for line in done.stdout.splitlines()], done.exit_code, done.stderr


def changed(case: dict, **changes: object) -> dict:
    return {**case, **changes}


@pytest.mark.parametrize(
    ('case', 'cost'),
    [
        # 1,000 x 3 + 2,000 x 0.30 + 400 x 3.75 + 600 x 6 + 500 x 15 = 16,200
        (SONNET, '0.0162'),
        # 600 x 0.15 + 400 x 0.075 + 100 x 0.60 = 180
        (MINI, '0.00018'),
        # (1,000 x 3 + 100 x 15) / 2 x 1.1 = 2,475
        (GEO, '0.002475'),
        # (1,000 x 5 + 100 x 25) x 2 = 15,000: speed is told beside the tier
        (FAST, '0.015'),
    ],
)
def test_a_case_with_all_its_facts_is_exact(run, case, cost) -> None:
    [answer], code, _ = answers(run, case)

    assert (case['id'], 'exact', cost) == (answer['id'], answer['status'], answer['cost_usd'])
    assert Decimal(cost) == sum(Decimal(line['amount_usd']) for line in answer['lines'])
    assert 0 == code


def test_tokens_are_inclusive_counts(run) -> None:
    [answer], _, _ = answers(run, SONNET)

    tokens = answer['tokens']
    assert 4_000 == tokens['input_tokens']
    assert (2_000, 1_000) == (tokens['cache_read_tokens'], tokens['cache_write_tokens'])
    assert (400, 600) == (tokens['cache_write_5m_tokens'], tokens['cache_write_1h_tokens'])


@pytest.mark.parametrize(
    ('case', 'assumed'),
    [
        (changed(MINI, context={}), 'tier'),
        (changed(MINI, context=None), 'tier'),
        (changed(MINI, context={'service_tier': 'default', 'moon': 'full'}), "context 'moon'"),
        (
            changed(SONNET, context={'batch': True}),
            'batch: usage says False, context says True',
        ),
        (
            changed(
                SONNET,
                usage={'input_tokens': 1, 'cache_creation_input_tokens': 9, 'output_tokens': 1},
            ),
            'cache_ttl',
        ),
    ],
)
def test_a_case_that_lacks_a_fact_says_which_one_was_assumed(run, case, assumed) -> None:
    [answer], code, _ = answers(run, case)

    assert 'assumed' == answer['status']
    assert assumed in answer['assumed']
    assert Decimal(answer['cost_usd']) > 0
    assert 0 == code


@pytest.mark.parametrize(
    ('case', 'reason'),
    [
        (changed(MINI, model='gpt-99'), "'gpt-99'"),
        (changed(MINI, provider='acme-ai'), "'acme-ai'"),
        (changed(MINI, api='openai_assistants'), "unknown api 'openai_assistants'"),
        (changed(MINI, date='2019-01-01'), '2024'),
        (changed(MINI, usage={'prompt_tokens': 1, 'completion_tokens': 'many'}), "'many'"),
        (changed(MINI, usage={'tokens': 7}), 'no `prompt_tokens`'),
        (changed(MINI, context={'service_tier': 'warp'}), 'warp'),
        (changed(MINI, context={'batch': 1}), 'expected true or false'),
        (
            changed(
                MINI,
                api='langchain_usage_metadata',
                usage={'input_tokens': 0, 'output_tokens': 5, 'total_tokens': 5},
            ),
            'lost the count',
        ),
    ],
)
def test_a_case_without_a_price_says_why_and_costs_nothing_known(run, case, reason) -> None:
    [answer], code, _ = answers(run, case)

    assert ('unpriced', None, []) == (answer['status'], answer['cost_usd'], answer['lines'])
    assert reason in answer['reason']
    assert 0 == code


def test_a_line_that_is_no_case_is_answered_and_the_rest_goes_on(run) -> None:
    broken = ('{"id": "cut', '[1]', changed(MINI, model=None), changed(MINI, date='someday'))

    found, code, told = answers(run, MINI, *broken, '', SONNET)

    assert ['exact', *['unpriced'] * 4, 'exact'] == [one['status'] for one in found]
    assert [None, None, 'mini', 'mini'] == [one['id'] for one in found[1:5]]
    assert all(one['reason'] and one['cost_usd'] is None for one in found[1:5])
    assert 2 == code
    assert '4 lines' in told
    assert '(lines 2, 3, 4, 5)' in told
    assert 1 == told.count('\n')


def test_what_is_billed_apart_is_priced_by_its_own_model(run) -> None:
    usage = {
        'input_tokens': 100,
        'output_tokens': 10,
        'service_tier': 'standard',
        'inference_geo': 'global',
        'iterations': [
            {'type': 'compaction', 'input_tokens': 1_000, 'output_tokens': 50},
            {'type': 'message', 'input_tokens': 100, 'output_tokens': 10},
        ],
    }
    [answer], _, _ = answers(run, changed(GEO, usage=usage, context=None))

    # 1,100 x 3 + 60 x 15 = 4,200
    assert ('exact', '0.0042') == (answer['status'], answer['cost_usd'])
    assert 1_100 == answer['tokens']['input_tokens']


def test_one_usage_is_priced_from_an_argument_a_file_or_stdin(run) -> None:
    words = json.dumps(MINI['usage'])
    Path('usage.json').write_text(words)
    context = json.dumps(MINI['context'])
    given = ('price', '--provider', 'openai', '--api', 'openai_chat', '--model', 'gpt-4o-mini')
    given = (*given, '--at', '2026-06-01', '--format', 'json', '--context', context)

    found = [
        run(*given, '--usage-json', words),
        run(*given, '--usage-json', 'usage.json'),
        run(*given, '--usage-json', '-', input=words),
    ]

    assert ['0.00018'] * 3 == [json.loads(done.stdout)['cost_usd'] for done in found]
    assert [0] * 3 == [done.exit_code for done in found]


def test_one_usage_as_a_table_shows_lines_and_total(run) -> None:
    given = ('--provider', 'openai', '--api', 'openai_chat', '--model', 'gpt-4o-mini')
    words = '{"prompt_tokens": 1000, "completion_tokens": 100}'

    priced = run('price', *given, '--at', '2026-06-01', '--usage-json', words)
    unpriced = run('price', *given[:-1], 'gpt-99', '--usage-json', words)

    # 1,000 x 0.15 + 100 x 0.60 = 210, at a tier that nobody told
    assert '$0.00021' in priced.stdout
    assert 'Assumed: tier' in priced.stdout
    assert 0 == priced.exit_code
    assert unpriced.stdout.startswith('unpriced:')
    assert 1 == unpriced.exit_code


_WORDS = st.sampled_from(
    [None, True, False, 0, 1, -1, 10**30, 2.5, '', 'flex', 'us', 'x' * 99, [], {}]
)
_USAGES = st.dictionaries(
    st.sampled_from(
        [
            'input_tokens', 'output_tokens', 'prompt_tokens', 'completion_tokens', 'total_tokens',
            'cache_read_input_tokens', 'cache_creation', 'iterations', 'service_tier', 'speed',
            'inference_geo', 'server_tool_use', 'prompt_tokens_details', 'promptTokenCount',
            'totalTokenCount', 'input_token_details', 'serviceTier',
        ]
    ),
    _WORDS | st.integers(0, 10**6) | st.lists(_WORDS | st.dictionaries(st.text(), _WORDS)),
)  # fmt: skip
_CONTEXTS = st.dictionaries(
    st.sampled_from(['service_tier', 'batch', 'speed', 'inference_geo', 'region', 'base_url', 'x']),
    _WORDS | st.just('http://[half'),
)
_CASES = st.fixed_dictionaries(
    {},
    optional={
        'id': _WORDS,
        'provider': st.sampled_from(['anthropic', 'openai', 'google', 'azure', 'aws', '', None, 7]),
        'api': st.sampled_from([*APIS, 'other', None]),
        'model': st.sampled_from(['claude-sonnet-4-6', 'gpt-4o-mini', 'ft:', '/', '\x00', None]),
        'date': st.sampled_from(['2026-06-01', '2026-06-01T10:00+02:00', '0001-01-01', 'x', None]),
        'usage': _USAGES | _WORDS,
        'context': _CONTEXTS | _WORDS,
    },
)


@settings(max_examples=400)
@given(_CASES | _WORDS)
def test_whatever_a_case_holds_it_is_answered_and_unknown_is_never_zero(case) -> None:
    answer, _ = answered(PriceBook.load(), case, datetime.now(UTC))

    cost, lines = answer['cost_usd'], answer['lines']
    assert (answer['status'] == 'unpriced') == (cost is None) == bool(answer['reason'])
    assert (answer['status'] == 'assumed') == bool(answer['assumed'] and cost is not None)
    assert sum(line['amount_usd'] for line in lines) == (cost or 0)
    if cost == 0:
        tokens = answer['tokens']
        assert not tokens['input_tokens'] + tokens['output_tokens']
    json.dumps(answer, default=str)
