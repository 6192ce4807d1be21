"""`farthing router eval` and `replay` on what the ledger holds."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from farthing import Attribution, Decision, Ledger, Outcome
from farthing.ledger.routed import shadow

from .conftest import NOON, Run, entry

USUAL = {'lever': 'routing', 'policy': 'rules', 'version': '1', 'reason': 'rule 1'}


def post_call(
    books: Ledger, number: int, route: str, *, task: str = 'chat', model: str = 'claude-sonnet-4-5'
) -> None:
    books.post(
        entry(
            number,
            run_id=f'run-{number}',
            model_requested=model,
            attribution=Attribution(tenant='acme', task=task),
        )
    )
    books.post_decision(Decision(entry_id=f'call-{number}', time=NOON, chosen=route, **USUAL))


def post_shadow(books: Ledger, number: int, scores: tuple[str, str] | None) -> None:
    """A shadow on `light` of call `number` on `heavy`; scores of the light and the heavy one."""
    who = Attribution(tenant='acme', task='chat', purpose='shadow')
    books.post(
        entry(number + 500, run_id=f'shadow-{number}', attribution=who, id=f'shadow-{number}')
    )
    books.post_decision(
        shadow(
            entry_id=f'shadow-{number}',
            time=NOON + timedelta(minutes=number),
            shadow_of=f'run-{number}',
            ran='light',
            weak='light',
            strong='heavy',
            default='heavy',
            models=('claude-haiku-4-5', 'claude-sonnet-4-5'),
            version='1',
        )
    )
    for run_id, score in zip((f'shadow-{number}', f'run-{number}'), scores or (), strict=False):
        books.post_outcome(Outcome(run_id=run_id, score=Decimal(score), source='exact', time=NOON))


def told(run: Run) -> str:
    found = run('router', 'eval')
    assert 0 == found.exit_code, found.stderr
    return ' '.join(found.output.split())


def test_eval_says_step_by_step_what_evidence_is_missing(run: Run) -> None:
    with Ledger.open('farthing.db') as books:
        books.post(entry(1))
    assert 'Missing: routed calls.' in told(run)

    with Ledger.open('farthing.db') as books:
        post_call(books, 2, 'heavy')
    assert 'Missing: shadow calls. 1 calls were routed' in told(run)

    with Ledger.open('farthing.db') as books:
        post_shadow(books, 2, None)
    assert 'Missing: grades.' in told(run)
    assert 'chat, light: not promoted, pairs missing: 236 or more; no graded pair' in told(run)

    with Ledger.open('farthing.db') as books:
        for number in range(10, 260):
            post_shadow(books, number, ('1', '1'))
    assert 'chat, light: promoted on 2026-12-03' in told(run)  # call 736, one an hour
    assert 'Missing' not in told(run)

    found = json.loads(run('router', 'eval', '--format', 'json').output)
    assert (1, []) == (found['routed_calls'], found['missing'])
    assert (250, 1) == tuple(found['evidence'][0][name] for name in ('pairs', 'ungraded'))


def test_a_grader_of_another_scale_is_one_line(run: Run) -> None:
    with Ledger.open('farthing.db') as books:
        post_shadow(books, 1, ('4', '5'))

    refused = run('router', 'eval')

    assert (2, 1) == (refused.exit_code, len(refused.stderr.splitlines()))
    assert 'expected 0 to 1' in refused.stderr
    assert 0 == run('router', 'eval', '--scale', '1', '5', '--margin', '0.1').exit_code


@pytest.fixture
def routed(run: Run) -> Run:
    """Two chats and a proof on `heavy`, a chat on `light`; the first chat was shadowed."""
    with Ledger.open('farthing.db') as books:
        post_call(books, 1, 'heavy')
        post_call(books, 2, 'heavy')
        post_call(books, 3, 'heavy', task='proof')
        post_call(books, 4, 'light', model='claude-haiku-4-5')
        post_shadow(books, 1, ('0.5', '1'))
    return run


def replayed(run: Run, *more: str):
    return run('router', 'replay', '--weak', 'light', '--strong', 'heavy', *more)


def test_replay_tells_what_another_policy_costs_and_scores(routed: Run) -> None:
    Path('rules.yaml').write_text('- {route: light, tasks: [chat]}\n')

    found = json.loads(replayed(routed, '--policy', 'rules.yaml', '--format', 'json').output)

    before, after = found['rows']
    assert ('recorded', 4, 3, 0, '0.018', 1, 1.0) == tuple(
        before[name]
        for name in (
            'decisions', 'calls', 'strong_calls', 'changed', 'cost_usd', 'graded', 'score',
        )
    )  # fmt: skip
    # Two chats move to Haiku 4.5, at 1 and 5 USD a million: 0.0015 each instead of 0.0045.
    assert ('rules', 4, 1, 2, '0.012', 2, 1, 0.5) == tuple(
        after[name]
        for name in (
            'decisions', 'calls', 'strong_calls', 'changed', 'cost_usd', 'estimated', 'graded',
            'score',
        )
    )  # fmt: skip


def test_replay_of_a_route_whose_model_nobody_has_seen_is_unpriced(routed: Run) -> None:
    Path('rules.yaml').write_text('- {route: light, tasks: [proof]}\n')

    found = replayed(routed, '--policy', 'rules.yaml', '--where', 'task=proof', '--format', 'json')

    after = json.loads(found.output)['rows'][1]
    assert (1, None, 1, None) == tuple(
        after[name] for name in ('calls', 'cost_usd', 'unpriced', 'score')
    )


def test_replay_as_a_table_leaves_out_what_nobody_knows(routed: Run) -> None:
    Path('rules.yaml').write_text('- {route: light, tasks: [chat]}\n')

    found = replayed(routed, '--policy', 'rules.yaml')

    assert 0 == found.exit_code
    assert 'recorded' in found.output


@pytest.mark.parametrize(
    ('rules', 'more', 'message'),
    [
        ('- {route: light, keywords: [hello]}', (), 'the policy looks at words'),
        ('- {route: light, shorter_than: 9}', (), 'the policy looks at words'),
        ('- {route: other, tasks: [chat]}', (), "the route 'other': expected light or heavy"),
        ('- {route: light, tasks: [chat]}', ('--where', 'task=none'), 'nothing to replay'),
        ('- {route: light, tasks: [chat]}', ('--where', 'no'), 'expected key=value'),
    ],
)
def test_rules_that_cannot_be_replayed_are_one_line(
    routed: Run, rules: str, more: tuple[str, ...], message: str
) -> None:
    Path('rules.yaml').write_text(rules + '\n')

    found = replayed(routed, '--policy', 'rules.yaml', *more)

    assert 2 == found.exit_code
    assert message in found.stderr
    assert 1 == len(found.stderr.splitlines())
