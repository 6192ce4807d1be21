"""Starting and ending the simulated providers."""

import json
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

import farthing_sim

COMMAND = Path(sysconfig.get_path('scripts')) / 'farthing-sim'
CHAT = {'model': 'gpt-4o', 'messages': [{'role': 'user', 'content': 'Hello'}]}
KEY = {'authorization': 'Bearer any'}


def test_the_command_prints_its_address_and_ends_quietly_when_interrupted():
    with subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, 'serve', '--port', '0'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip()
        answer = httpx.post(f'{url}/v1/chat/completions', json=CHAT, headers=KEY)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)

    assert 200 == answer.status_code
    assert (0, '', '') == (process.returncode, output, errors)


def test_a_taken_port_is_one_clear_line():
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(  # noqa: S603 - our own command
            [COMMAND, 'serve', '--port', port], capture_output=True, text=True, check=False
        )

    assert 1 == done.returncode
    assert done.stderr.startswith(f'farthing-sim: cannot listen on port {port}: ')
    assert 1 == done.stderr.count('\n')


def test_the_pytest_plugin_loads_no_web_server():
    program = 'import json, sys, farthing_sim.fixtures; print(json.dumps(list(sys.modules)))'
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', program], capture_output=True, text=True, check=True
    )

    assert not {'uvicorn', 'starlette', 'anyio'} & set(json.loads(done.stdout))


def test_ids_are_unique_across_servers_and_resets():
    ids = []
    for _ in range(2):
        with farthing_sim.serving() as sim, httpx.Client(base_url=sim.openai_url) as client:
            for _ in range(2):
                ids.append(client.post('/chat/completions', json=CHAT, headers=KEY).json()['id'])
                sim.reset()

    assert 4 == len(set(ids))


def test_a_seed_and_a_clock_make_the_bytes_the_same():
    answers = []
    for _ in range(2):
        with farthing_sim.serving(clock=lambda: 1_700_000_000.0, seed='s') as sim:
            answer = httpx.post(f'{sim.openai_url}/chat/completions', json=CHAT, headers=KEY)
            answers.append(answer.content)

    assert answers[0] == answers[1]
    assert 1_700_000_000 == json.loads(answers[0])['created']


@pytest.mark.parametrize(
    'path', ['/openai/deployments/gpt-4o/chat/completions', '/openai/v1/chat/completions']
)
def test_the_paths_of_azure_lead_to_the_same(sim, path):
    answer = httpx.post(
        f'{sim.url}{path}?api-version=2026-01-01', json=CHAT, headers={'api-key': 'any'}
    )

    assert 'gpt-4o' == answer.json()['model']


def test_a_test_moves_the_clock_from_python_and_over_http(sim):
    sim.clock.set(1_800_000_000)
    sim.clock.advance(60)
    moved = httpx.post(f'{sim.url}/__sim__/clock', json={'advance_s': 30})
    stopped = httpx.post(f'{sim.url}/__sim__/clock', json={'set_s': 1_900_000_000})
    answer = httpx.post(f'{sim.openai_url}/chat/completions', json=CHAT, headers=KEY)

    assert [1_800_000_090, 1_900_000_000] == [one.json()['time_s'] for one in (moved, stopped)]
    assert 1_900_000_000 == answer.json()['created'] == sim.log()[-1]['time_s']


@pytest.mark.parametrize('change', [{'advance_s': -1}, {'set_s': 'noon'}, [], {'advance_s': None}])
def test_a_clock_that_cannot_be_moved_so_says_what_it_expects(sim, change):
    answer = httpx.post(f'{sim.url}/__sim__/clock', json=change)

    assert 400 == answer.status_code
    assert 'advance_s' in answer.json()['error']


def test_a_reset_ends_the_test_clock_and_forgets_what_was_cached(sim):
    long = CHAT | {'messages': [{'role': 'user', 'content': 'word ' * 2_000}]}
    reads = []
    for _ in range(2):
        sim.clock.set(0)
        for _ in range(2):
            httpx.post(f'{sim.openai_url}/chat/completions', json=long, headers=KEY)
            usage = sim.log()[-1]['usage']
            reads.append(usage['prompt_tokens_details']['cached_tokens'] > 0)
        sim.reset()

    assert [False, True] * 2 == reads
    assert 1_700_000_000 < sim.clock()


@pytest.mark.parametrize('rules', [
    {'lookback': 0}, {'requests_per_min': 0}, {'hit_probability': 1.5}, {'hit_probability': -0.1},
])  # fmt: skip
def test_rules_that_no_cache_could_follow_are_refused(rules):
    with pytest.raises(ValueError, match='expected `lookback` and `requests_per_min`'):
        farthing_sim.CacheRules(**rules)


def test_the_command_takes_how_long_a_batch_lasts():
    lasting = [COMMAND, 'serve', '--batch-s']
    requests = [{'custom_id': '1', 'params': CHAT | {'max_tokens': 1}}]
    with subprocess.Popen([*lasting, '60'], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            batches = f'{process.stdout.readline().strip()}/v1/messages/batches'
            with httpx.Client(headers=KEY, timeout=60) as client:
                made = client.post(batches, json={'requests': requests}).json()
                looked = client.get(f'{batches}/{made["id"]}').json()
        finally:
            process.terminate()
    refused = subprocess.run([*lasting, '-1'], capture_output=True, text=True, check=False)  # noqa: S603 - our own command

    assert 'in_progress' == looked['processing_status']
    assert 2 == refused.returncode
    assert 'at least 0 s' in refused.stderr


@pytest.mark.parametrize('rules', [
    {'processing_s': -1}, {'expires_s': 0}, {'at_once': 0}, {'cancelling_s': -0.1},
])  # fmt: skip
def test_rules_that_no_batch_could_follow_are_refused(rules):
    with pytest.raises(ValueError, match='expected times of at least 0 s'):
        farthing_sim.BatchRules(**rules)
