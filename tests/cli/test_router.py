"""`farthing router`: from a CSV of labels to a router, its judgement and its watch."""

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from farthing.cli import main

from .conftest import Run

COLUMNS = ('prompt', 'task', 'haiku', 'opus')


def rows(count: int, seed: int, fails: float = 0.8) -> list[tuple[str, str, float, float]]:
    """Proofs, on which haiku fails `fails` of the time, and small talk; opus is always right."""
    chance = Random(seed)  # noqa: S311 - made-up labels
    found = []
    for number in range(count):
        hard = chance.random() < 0.5
        text = f'{"prove the lemma" if hard else "say hello to"} {chance.choice("abcdef")} {number}'
        right = float(chance.random() > (fails if hard else 0.02))
        found.append((text, 'maths' if hard else 'talk', right, 1.0))
    return found


def csv_file(name: str, found, columns=COLUMNS) -> str:
    with Path(name).open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([columns, *found])
    return name


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> bytes:
    """A router from 300 labels, half of the queries strong."""
    folder = tmp_path_factory.mktemp('router')
    labels = csv_file(str(folder / 'labels.csv'), rows(300, 1))
    arguments = (
        'router', 'calibrate', '--labels', labels, '--weak', 'haiku', '--strong', 'opus',
        '--task', 'task', '--strong-share', '0.5', '--out', str(folder / 'router.json'),
    )  # fmt: skip
    told = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert 0 == told.exit_code, told.output
    assert 'made from 300 labels; 50.0% of the queries go to opus.' in told.output
    return (folder / 'router.json').read_bytes()


@pytest.fixture
def router(run: Run, made: bytes) -> str:
    Path('router.json').write_bytes(made)
    return 'router.json'


def judge(run: Run, router: str, labels: str, *more: str):
    return run(
        'router', 'eval', '--policy', router, '--labels', labels, '--weak', 'haiku',
        '--strong', 'opus', '--task', 'task', *more,
    )  # fmt: skip


def test_eval_puts_the_policy_beside_what_it_must_beat(run, router):
    told = judge(run, router, csv_file('new.csv', rows(300, 2)), '--format', 'json')

    found = json.loads(told.output)
    by_name = {row['router']: row for row in found['rows']}
    assert ['policy', 'random', 'weak', 'strong', 'task_table', 'oracle'] == list(by_name)
    assert (0.5, 0.5, 0.8) == pytest.approx(
        tuple(by_name['random'][name] for name in ('apgr', 'cpt50', 'cpt80'))
    )
    policy = by_name['policy']
    assert 0.7 < policy['apgr'] <= by_name['oracle']['apgr']
    assert policy['ranges']['apgr'][0] < policy['apgr'] < policy['ranges']['apgr'][1]
    assert found['calibrated_share'] == pytest.approx(policy['strong_share'], abs=0.08)
    assert (0.0, None, 1.0, 0.0) == (
        by_name['weak']['strong_share'], by_name['weak']['saving_95'],
        by_name['strong']['strong_share'], by_name['strong']['saving_95'],
    )  # fmt: skip
    assert found['verdict'].startswith('use the policy')


def test_eval_as_a_table_says_what_was_left_out(run, router):
    more = [('write a poem', 'poetry', 1.0, 1.0)]

    told = judge(run, router, csv_file('new.csv', rows(300, 2) + more))

    assert 0 == told.exit_code
    assert 'task_table' in told.output
    assert '1 queries are of tasks that were never calibrated: left out.' in told.output


def test_models_within_two_points_need_no_router(run, router):
    told = judge(run, router, csv_file('near.csv', rows(300, 3, fails=0.01)), '--format', 'json')

    assert json.loads(told.output)['verdict'].startswith('no router: use haiku')


def test_on_its_own_labels_a_router_is_judged_by_cross_validation(run, router):
    labels = csv_file('same.csv', rows(300, 1))

    told = judge(run, router, labels)
    found = json.loads(judge(run, router, labels, '--format', 'json').output)

    assert 'each is scored by routers chosen and fitted without it' in ' '.join(told.output.split())
    assert found['cross_validated']
    assert json.loads(Path(router).read_text())['apgr'] == found['rows'][0]['apgr']


def test_a_file_of_other_tasks_cannot_be_judged(run, router):
    told = judge(run, router, csv_file('new.csv', [('write a poem', 'poetry', 1.0, 1.0)] * 60))

    assert 2 == told.exit_code
    assert 'the router scores 0 of 60 queries: expected at least 50' in told.stderr


def test_drift_is_calm_on_the_same_kind_and_alarms_on_another(run, router):
    # Scores are not needed, and a packed file will do.
    with gzip.open('today.csv.gz', 'wt', newline='') as file:
        csv.writer(file).writerows([('prompt', 'task'), *(row[:2] for row in rows(500, 4))])
    other = csv_file('other.csv', [('x = [1, 2]\n' * 9, 'maths')] * 200, ('prompt', 'task'))

    calm = run('router', 'drift', '--policy', router, '--labels', 'today.csv.gz', '--task', 'task')
    found = run(
        'router', 'drift', '--policy', router, '--labels', other, '--task', 'task',
        '--format', 'json',
    )  # fmt: skip

    assert (0, 'alarm: none') == (calm.exit_code, calm.output.splitlines()[-1])
    assert 1 == found.exit_code
    assert 'lines is spread otherwise' in json.loads(found.output)['alarms']


def test_a_target_quality_sets_the_threshold(run):
    labels = csv_file('labels.csv', rows(300, 1))

    told = run(
        'router', 'calibrate', '--labels', labels, '--weak', 'haiku', '--strong', 'opus',
        '--task', 'task', '--target-quality', '0.8', '--out', 'router.json',
    )  # fmt: skip

    assert 0 == told.exit_code
    # Haiku alone keeps .6; a third of the calls, all proofs, brings .2 more than that.
    share = json.loads(Path('router.json').read_text())['reference']['strong_share']
    assert 0.26 == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('prompt,haiku\na,1\n', "no column 'opus'; it has 'prompt', 'haiku'"),
        ('prompt,haiku,opus\na,1,\n', "line 2: the score 'opus' is ''"),
        ('prompt,haiku,opus\na,1\n', 'line 2: the row is too short'),
        ('prompt,haiku,opus\na,1,nan\n', 'a score is not finite'),
        ('\ufeffprompt,haiku,opus\na,1,1\n', '1 labels are too few: expected at least 200'),
        ('prompt,haiku,opus\n' + 200 * 'a,1,1\n', 'labels are of 1 different prompts'),
        ('', 'it has none'),
    ],
)
def test_labels_that_cannot_be_taken_are_one_line(run, content, message):
    Path('labels.csv').write_text(content)

    told = run(
        'router', 'calibrate', '--labels', 'labels.csv', '--weak', 'haiku', '--strong', 'opus',
        '--out', 'router.json',
    )  # fmt: skip

    assert 2 == told.exit_code
    assert message in told.stderr
    assert 1 == len(told.stderr.splitlines())
    assert not Path('router.json').exists()


def test_a_damaged_router_is_one_line(run, router):
    Path(router).write_text('{')

    told = judge(run, router, csv_file('new.csv', rows(10, 2)))

    assert 2 == told.exit_code
    assert 'calibrate it anew' in told.stderr


def test_without_numpy_the_verb_says_what_to_install():
    code = (
        'import sys; sys.modules["numpy"] = None; from farthing.cli import main; '
        'sys.argv = ["farthing", "router", "drift"]; main()'
    )

    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )

    assert 2 == told.returncode
    assert 'need numpy: `pip install "farthing[router]"`' in told.stderr
    assert 1 == len(told.stderr.splitlines())


def test_calibration_says_when_no_router_is_needed(run):
    labels = csv_file('near.csv', rows(220, 3, fails=0.01))

    told = run(
        'router', 'calibrate', '--labels', labels, '--weak', 'haiku', '--strong', 'opus',
        '--out', 'router.json',
    )  # fmt: skip

    assert 'no router: use haiku' in told.output


@pytest.mark.parametrize(
    'target',
    [
        ('--strong-share', '1.5'),
        ('--target-cost', '0.1'),
        ('--target-quality', 'nan'),
        ('--price-ratio', 'nan'),
        ('--price-ratio', 'inf', '--target-cost', '0.5'),
        ('--weak', 'opus'),
    ],
)
def test_a_target_that_cannot_be_met_is_one_line(run, target):
    labels = csv_file('labels.csv', rows(200, 1))

    told = run(
        'router', 'calibrate', '--labels', labels, '--weak', 'haiku', '--strong', 'opus',
        *target, '--out', 'router.json',
    )  # fmt: skip

    assert 2 == told.exit_code
    assert 'expected' in told.stderr or 'below always-weak' in told.stderr


def session(turns: int, *, answer: str = 'Certainly, here is what you asked for. ' * 20) -> str:
    """A conversation as a line of JSON: long rules, and every other request a proof."""
    messages = [{'role': 'system', 'content': 'Answer briefly and kindly. ' * 1_500}]
    for number in range(turns):
        asked = 'prove the lemma' if number % 2 else 'say hello to'
        messages += [
            {'role': 'user', 'content': f'{asked} a {number}'},
            {'role': 'assistant', 'content': answer},
        ]
    return json.dumps({'messages': messages})


def simulated(run: Run, *more: str):
    return run(
        'router', 'simulate', '--sessions', 'talks.jsonl', '--weak', 'claude-haiku-4-5',
        '--strong', 'claude-opus-4-7', '--at', '2026-11-20', *more,
    )  # fmt: skip


def test_simulate_prices_sessions_with_both_caches(run):
    Path('talks.jsonl').write_text(f'{session(40)}\n{session(40)}\n')

    told = simulated(run, '--light-share', '0.5', '--format', 'json')

    found = json.loads(told.output)
    costs = {row['router']: float(row['cost_usd']) for row in found['routers']}
    on_weak = {row['router']: row['light_turns'] for row in found['routers']}
    assert (2, 80) == (found['sessions'], found['turns'])
    assert costs['always_weak'] < costs['cache_aware'] < costs['always_strong']
    assert costs['cache_aware'] <= costs['every_turn']
    assert (0, 80) == (on_weak['always_strong'], on_weak['always_weak'])
    assert found['turns_that_want_weak'] == on_weak['every_turn']


def test_simulated_costs_of_one_model_are_those_of_its_cache(run):
    Path('talks.jsonl').write_text(session(1, answer='x' * 4_000) + '\n')

    found = json.loads(simulated(run, '--light-share', '0', '--format', 'json').output)

    strong, weak, each, aware = (float(row['cost_usd']) for row in found['routers'])
    # One call: all is written, at 5 to 1 in every rate.
    assert strong == each == aware == pytest.approx(5 * weak)


def test_simulate_asks_a_policy_which_turns_want_the_weak_model(run, router):
    Path('talks.jsonl').write_text(session(10) + '\n')
    Path('rules.yaml').write_text('- {route: weak, keywords: [hello]}\n')

    ruled = simulated(run, '--policy', 'rules.yaml', '--format', 'json')

    assert 5 == json.loads(ruled.output)['turns_that_want_weak']


def test_simulate_takes_several_lines_as_one_session(run):
    Path('talks.jsonl').write_text(f'{session(3)}\n{session(3)}\n{session(3)}\n')

    told = simulated(run, '--light-share', '1', '--join', '2')

    assert '2 sessions, 9 turns, 9 of which want claude-haiku-4-5' in told.output


@pytest.mark.parametrize(
    ('line', 'more', 'message'),
    [
        ('', ('--light-share', '1'), 'holds no answer to a user'),
        ('{}', ('--light-share', '1'), 'expected an object with `messages`'),
        ('{"messages": 1}', ('--light-share', '1'), 'session 1: `messages` is a int'),
        (session(1), (), 'give either `--policy` or `--light-share`'),
        (session(1), ('--policy', 'none.json'), "the router 'none.json' cannot be read: No such"),
        (session(1), ('--policy', 'router.json'), 'was calibrated by task'),
        (session(1), ('--policy', 'none.yaml'), 'cannot be read'),
        (session(1), ('--light-share', '1', '--strong', 'gpt-x'), 'cannot be simulated: no price'),
        (session(1), ('--light-share', '2'), "Invalid value for '--light-share'"),
        (session(1), ('--light-share', '1', '--tools', 'none.json'), 'cannot be read'),
    ],
)
def test_what_cannot_be_simulated_is_one_line(run, router, line, more, message):
    Path('talks.jsonl').write_text(line + '\n')

    told = simulated(run, *more)

    assert 2 == told.exit_code
    assert message in told.stderr
    assert 1 == len(told.stderr.splitlines())


def test_rules_that_name_another_route_are_one_line(run):
    Path('talks.jsonl').write_text(session(1) + '\n')
    Path('rules.yaml').write_text('- {route: lihgt, keywords: [hello]}\n')

    told = simulated(run, '--policy', 'rules.yaml')

    assert (2, True) == (
        told.exit_code,
        "the route 'lihgt': expected weak or strong" in told.stderr,
    )


def test_replay_on_prompts_tells_share_and_score(run, router):
    labels = csv_file('new.csv', rows(300, 2))

    told = run(
        'router', 'replay', '--policy', router, '--labels', labels, '--weak', 'haiku',
        '--strong', 'opus', '--task', 'task', '--format', 'json',
    )  # fmt: skip

    [row] = json.loads(told.output)['rows']
    assert ('trained', 300, 300) == (row['decisions'], row['calls'], row['graded'])
    assert 100 < row['strong_calls'] < 200
    assert row['score'] > 0.9


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        ((), 'the policy looks at words, and the ledger holds none'),
        (('--task', 'task'), '`--task` is of no use without `--labels`'),
        (('--labels', 'none.csv'), 'none.csv cannot be read'),
    ],
)
def test_what_cannot_be_replayed_is_one_line(run, router, more, message):
    told = run('router', 'replay', '--policy', router, '--weak', 'haiku', '--strong', 'opus', *more)

    assert 2 == told.exit_code
    assert message in told.stderr
    assert 1 == len(told.stderr.splitlines())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--policy', 'router.json'), "'router.json' is of no use without `--labels`"),
        (('--plot', 'out.png'), "'out.png' is of no use without `--labels`"),
        (('--labels', 'new.csv'), '`--labels` needs `--policy`, `--weak` and `--strong`'),
        ((), 'there is no ledger at'),
        (('--margin', '0'), '`margin` is 0'),
        (('--scale', '1', '0'), 'expected above 0'),
    ],
)
def test_an_eval_without_what_it_needs_is_one_line(run, arguments, message):
    told = run('router', 'eval', *arguments)

    assert 2 == told.exit_code
    assert message in told.stderr
    assert 1 == len(told.stderr.splitlines())


def test_a_plot_without_matplotlib_says_what_to_install(run, router, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    monkeypatch.delitem(sys.modules, 'farthing.cli.plotting', raising=False)

    told = judge(run, router, csv_file('new.csv', rows(60, 2)), '--plot', 'out.png')

    assert 2 == told.exit_code
    assert '`--plot` needs matplotlib: `pip install "farthing[plot]"`' in told.stderr


def test_a_plot_is_drawn_where_matplotlib_is_there(run, router):
    pytest.importorskip('matplotlib')

    told = judge(run, router, csv_file('new.csv', rows(60, 2)), '--plot', 'out.png')

    assert 0 == told.exit_code
    assert Path('out.png').read_bytes().startswith(b'\x89PNG')
