"""`farthing context`: figures from files, and what is said about files that cannot be taken."""

import gzip
import json
from pathlib import Path

import pytest

ROW = (
    'policy', 'cost_usd', 'over_optimum', 'mean_history_tokens', 'peak_history_tokens',
    'rewrites', 'invalid_prompts',
)  # fmt: skip
POLICIES = [
    'full', 'full_uncached', 'window', 'hysteresis', 'summary', 'clear_tools', 'auto', 'optimum'
]  # fmt: skip


def session(turns: int) -> dict:
    call = {'id': 'c', 'function': {'name': 'look', 'arguments': '{"order": 4711}'}}
    return {
        'messages': [
            {'role': 'system', 'content': 'You help. ' * 400},
            *(
                message
                for turn in range(turns)
                for message in (
                    {'role': 'user', 'content': f'Question {turn}: ' + 'what about it? ' * 20},
                    {'role': 'assistant', 'content': None, 'tool_calls': [call]},
                    {'role': 'tool', 'tool_call_id': 'c', 'content': 'a long row of facts ' * 60},
                    {'role': 'assistant', 'content': 'So it is. ' * 30},
                )
            ),
        ]
    }


def written(name: str, *rows: object, packed: bool = False) -> str:
    text = '\n'.join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    Path(name).write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return name


def simulated(run, *arguments: str) -> dict:
    done = run('context', 'simulate', '--model', 'claude-sonnet-4-6', *arguments)
    assert (0, '') == (done.exit_code, done.stderr)
    return json.loads(done.stdout)


def test_each_policy_has_a_price_and_none_is_below_the_optimum(run) -> None:
    traces = written('traces.jsonl.gz', session(20), session(30), packed=True)
    tools = written('tools.json', [{'name': 'look'}])
    said = simulated(run, '--traces', traces, '--tools', tools, '--format', 'json')

    assert POLICIES == [one['policy'] for one in said['policies']]
    assert all([*ROW] == [*one] for one in said['policies'])
    assert all(one['over_optimum'] >= 1 for one in said['policies'])
    assert [0] * 8 == [one['invalid_prompts'] for one in said['policies']]
    assert 1 == said['policies'][-1]['over_optimum']
    costs = {one['policy']: float(one['cost_usd']) for one in said['policies']}
    assert costs['auto'] < costs['hysteresis'] < costs['full_uncached']
    assert (2, 100) == (said['sessions'], said['calls'])
    assert said['tokens'].startswith('estimated: ')


def test_lines_that_are_joined_say_their_system_text_once(run) -> None:
    traces = written('traces.jsonl', *[session(5)] * 4)
    apart = simulated(run, '--traces', traces, '--policies', 'full', '--format', 'json')
    joined = simulated(
        run, '--traces', traces, '--policies', 'full', '--join', '4', '--format', 'json'
    )
    whole = simulated(
        run, '--traces', written('whole.jsonl', session(20)), '--policies', 'full',
        '--format', 'json',
    )  # fmt: skip

    assert (4, 1) == (apart['sessions'], joined['sessions'])
    peaks = [said['policies'][0]['peak_history_tokens'] for said in (apart, joined, whole)]
    assert peaks[0] < peaks[1]
    assert abs(peaks[1] - peaks[2]) < 100  # the numbers of questions differ


def test_auto_drops_nothing_from_prompts_that_are_shorter_than_it_is_told(run) -> None:
    traces = written('traces.jsonl', session(20))
    found = simulated(
        run, '--traces', traces, '--policies', 'full,auto', '--at-tokens', '1000000',
        '--format', 'json',
    )  # fmt: skip
    full, auto = found['policies']

    assert 1_000_000 == found['at_tokens']
    assert (0, full['cost_usd']) == (auto['rewrites'], auto['cost_usd'])


def test_a_table_says_that_lengths_are_estimates(run) -> None:
    traces = written('traces.jsonl', session(12))
    done = run('context', 'simulate', '--traces', traces, '--model', 'gpt-5-mini')

    assert 0 == done.exit_code
    assert 'Prices of openai; tokens are estimated: ' in done.stdout
    assert '1 sessions, 24 calls, 6 turns kept.' in done.stdout


@pytest.mark.parametrize(
    ('rows', 'arguments', 'said'),
    [
        (['{'], (), "'traces.jsonl' line 1 is no JSON"),
        ([{'id': 1}], (), "line 1 has ['id']: expected an object with `messages`"),
        ([], (), 'holds no session'),
        ([{'messages': [{'role': 'x'}]}], (), "session 1: message 1: the role is 'x'"),
        ([session(1)], ('--policies', 'magic'), "`--policies` has ['magic']: expected some of"),
        ([session(1)], ('--model', 'claude-x'), "no provider sells 'claude-x'"),
        ([session(1)], ('--tools', 'none.json'), "'none.json' cannot be read"),
    ],
)
def test_bad_input_is_one_line(run, rows, arguments, said: str) -> None:
    traces = written('traces.jsonl', *rows)
    model = () if '--model' in arguments else ('--model', 'claude-sonnet-4-6')
    done = run('context', 'simulate', '--traces', traces, *model, *arguments)

    assert 2 == done.exit_code
    assert said in done.stderr
    assert 1 == done.stderr.count('\n')


TURNS = [
    {'conv': 'a', 'id': '1', 'speaker': 'Ann', 'text': 'I hiked in the Dolomites.'},
    {'conv': 'a', 'id': '2', 'speaker': 'Bob', 'text': 'My invoice was wrong.'},
    {'conv': 'b', 'id': '1', 'text': 'The hike of somebody else.'},
]


def test_recall_is_the_share_of_the_evidence_that_is_found(run) -> None:
    turns = written('turns.jsonl', *TURNS)
    questions = written(
        'questions.jsonl',
        {'conv': 'a', 'question': 'Where did Ann hike?', 'evidence': ['1'], 'kind': 1},
        {'conv': 'a', 'question': 'Whose invoice?', 'evidence': ['2', '9'], 'kind': 2},
        {'conv': 'b', 'question': 'And then?', 'evidence': [], 'kind': 2},
    )

    def recall(*arguments: str) -> dict:
        done = run(
            'context', 'recall', '--turns', turns, '--questions', questions, *arguments,
            '--format', 'json',
        )  # fmt: skip
        assert (0, '') == (done.exit_code, done.stderr)
        return json.loads(done.stdout)

    said = recall('--budget', '14')
    assert 0.75 == said['mean_evidence_recall']  # all of one, half of the other
    assert ('bm25', 14, 2) == (said['retriever'], said['budget_tokens'], said['questions'])
    assert (1, 1) == (said['without_evidence'], said['unknown_evidence'])
    assert 1 == recall('--where', 'kind=1')['mean_evidence_recall']
    assert 0 == recall('--budget', '1')['mean_evidence_recall']


@pytest.mark.parametrize(
    ('question', 'arguments', 'said'),
    [
        ({'conv': 'z', 'question': '?', 'evidence': ['1']}, (), "no conversation 'z' to ask"),
        ({'conv': 'a', 'question': '?', 'evidence': []}, (), 'nothing can be found'),
        ({'conv': 'a'}, (), 'expected an object with `conv` and `question` and `evidence`'),
        (
            {'conv': 'a', 'question': '?', 'evidence': ['1']},
            ('--retriever', 'oracle'),
            "no ranker 'oracle'",
        ),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(run, question, arguments, said: str) -> None:
    turns, questions = written('turns.jsonl', *TURNS), written('questions.jsonl', question)
    done = run('context', 'recall', '--turns', turns, '--questions', questions, *arguments)

    assert 2 == done.exit_code
    assert said in done.stderr
