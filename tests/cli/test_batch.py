"""`farthing batch` against the simulated providers."""

import json
from pathlib import Path

import pytest

import farthing_sim


@pytest.fixture
def sim(farthing_sim: farthing_sim.Sim, monkeypatch: pytest.MonkeyPatch) -> farthing_sim.Sim:
    farthing_sim.reset()
    monkeypatch.setenv('ANTHROPIC_API_KEY', 'sk-simulated')
    monkeypatch.setenv('ANTHROPIC_BASE_URL', farthing_sim.anthropic_url)
    return farthing_sim


@pytest.fixture
def file(run, tmp_path: Path) -> str:
    """Three requests of 60 tokens at most."""
    lines = [
        {
            'custom_id': f'mine-{number}',
            'params': {
                'model': 'claude-sonnet-4-5',
                'max_tokens': 60,
                'messages': [{'role': 'user', 'content': f'Write {number + 3} words'}],
            },
        }
        for number in range(3)
    ]
    (tmp_path / 'requests.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    return 'requests.jsonl'


def test_a_file_of_requests_is_sent_collected_and_purged(run, sim, file) -> None:
    sent = run('batch', 'submit', '--requests', file, '--name', 'nightly', '--tenant', 'acme')
    assert 0 == sent.exit_code, sent.output
    assert 'nightly.1: 3 requests' in sent.stderr

    assert 0 == run('batch', 'tick').exit_code
    status = json.loads(run('batch', 'status', 'nightly', '--format', 'json').output)[0]
    assert ('finished', 3, 0) == (status['state'], status['done'], status['batches'])

    found = [json.loads(line) for line in run('batch', 'results', 'nightly').output.splitlines()]
    assert ['mine-0', 'mine-1', 'mine-2'] == [one['custom_id'] for one in found]
    assert {200} == {one['status'] for one in found}
    assert '3' in run('report', '--by', 'tenant').output
    assert 3 == len(sim.charges())

    assert 'nightly.1' in run('batch', 'purge', '--older-than', '0s').output
    gone = json.loads(run('batch', 'results', 'nightly').output.splitlines()[0])
    assert 'purged' == gone['error']


def test_a_merged_request_has_the_name_of_its_first_line(run, sim, file, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (tmp_path / file).read_text().splitlines()]
    (tmp_path / file).write_text(
        '\n'.join(json.dumps(line | {'params': lines[0]['params']}) for line in lines)
    )
    run('batch', 'submit', '--requests', file, '--name', 'n', '--dedupe', '--wait')

    (found,) = map(json.loads, run('batch', 'results', 'n').output.splitlines())
    assert (0, 'mine-0') == (found['line'], found['custom_id'])


def test_waiting_for_a_job_ends_when_it_is_done(run, sim, file) -> None:
    done = run(
        'batch', 'submit', '--requests', file, '--name', 'n', '--wait', '--poll', '0.02s'
    )  # fmt: skip
    assert 0 == done.exit_code, done.output
    assert 'finished' in done.output


def test_the_estimate_sends_nothing(run, sim, file) -> None:
    told = run('batch', 'submit', '--requests', file, '--name', 'n', '--estimate')

    # Input is about 15 / 2.6 = 6 tokens each; 60 tokens of output at 7.5 USD a million are 0.00045.
    assert told.output.startswith('3 requests: at most 0.001')
    assert [] == sim.charges()


def test_a_job_above_its_limit_is_held_and_goes_on_with_a_higher_one(run, sim, file) -> None:
    arguments = ('batch', 'submit', '--requests', file, '--name', 'n')
    held = run(*arguments, '--max-cost-usd', '0.0001')
    assert 2 == held.exit_code
    assert 'its limit is 0.0001 USD' in held.stderr
    assert 1 == run('batch', 'status', 'n').exit_code

    assert 0 == run(*arguments, '--max-cost-usd', '1', '--wait', '--poll', '0.02s').exit_code
    assert 3 == len(sim.charges())


def test_a_cancelled_job_sends_nothing_more(run, sim, file) -> None:
    run('batch', 'submit', '--requests', file, '--name', 'n')
    told = run('batch', 'cancel', 'n')

    assert 0 == told.exit_code
    assert 'cancelled' in run('batch', 'list').output


def test_waiting_for_a_cancelled_job_ends(run, sim, file) -> None:
    run('batch', 'submit', '--requests', file, '--name', 'n', '--max-cost-usd', '0.0001')
    run('batch', 'cancel', 'n')

    assert 'cancelled' in run('batch', 'resume', 'n', '--poll', '0.02s').output
    assert [] == sim.charges()


def test_a_chain_is_submitted_and_resumed(run, sim, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / 'chains.py').write_text(
        'from langchain_anthropic import ChatAnthropic\n'
        "chain = ChatAnthropic(model='claude-sonnet-4-6', max_tokens=50)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'inputs.jsonl').write_text('"Write 3 words"\n"Write 4 words"\n')
    job = ('chains:chain', '--inputs', 'inputs.jsonl', '--poll', '0.02s')

    sent = run('batch', 'submit', *job, '--name', 'n')
    assert 0 == sent.exit_code, sent.output
    # From cron: it collects, and the chain's code has still to be given the answers.
    assert 'open' in run('batch', 'tick').output
    done = run('batch', 'resume', 'n', *job, '--out', 'out.jsonl')
    assert 0 == done.exit_code, done.output

    lines = [json.loads(line) for line in (tmp_path / 'out.jsonl').read_text().splitlines()]
    assert [0, 1] == sorted(one['index'] for one in lines)
    assert [None, None] == [one['error'] for one in lines]
    assert 2 == len(sim.charges())


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['submit', '--name', 'n'], 'give a chain with `--inputs`'),
        (['submit', 'nothing', '--inputs', 'i', '--name', 'n'], 'expected package.module:name'),
        (['status', 'nobody'], "there is no batch job 'nobody'"),
        (['purge', '--older-than', 'x'], 'expected a span such as 20h'),
    ],
)
def test_bad_input_is_one_line(run, sim, arguments, told) -> None:
    result = run('batch', *arguments)

    assert 2 == result.exit_code
    assert told in result.stderr
