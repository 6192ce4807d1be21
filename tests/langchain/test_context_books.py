"""What the ledger tells of context control: decisions, savings, and what is stored beside it."""

import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from itertools import pairwise

import pytest
from click.testing import CliRunner
from tests.langchain.context import (
    START_S,
    SUMMARY,
    Chat,
    asked,
    common,
    question,
    summaries,
    texts,
    track_parcel,
)

from farthing.cli import main
from farthing.io.tap import tap
from langchain_farthing import ClearToolResults, LedgerCallbackHandler, PeriodicSummary, Window

SYSTEM = 'You are brief. ' * 700


@pytest.fixture
def sim(wire):
    wire.sim.clock.set(START_S)
    return wire.sim


@pytest.fixture
def chat(claude, ledger, handler, sim):
    def made(*policies, **options) -> Chat:
        return Chat(claude(), *policies, ledger=ledger, handler=handler, sim=sim, **options)

    return made


@pytest.fixture
def run(ledger):
    def invoke(*arguments: str):
        return CliRunner().invoke(
            main, [*arguments, '--ledger', ledger.url], catch_exceptions=False
        )

    return invoke


def decisions(ledger) -> list[dict]:
    """What context control decided, in the order of the calls."""
    ledger.flush()
    with closing(sqlite3.connect(ledger.url.removeprefix('sqlite:///'))) as db:
        rows = db.execute(
            "SELECT chosen, reason, facts FROM decision WHERE lever = 'context' ORDER BY rowid"
        )
        return [
            {'chosen': chosen, 'reason': reason, **json.loads(facts)}
            for chosen, reason, facts in rows
        ]


def test_each_call_says_what_was_decided_and_what_came_of_it(chat, ledger, sim) -> None:
    one = chat(Window(keep_turns=1, every=2), system=SYSTEM)

    one.say(*map(question, range(5)))

    made = decisions(ledger)
    assert ['whole', 'whole', 'whole', 'rewrite', 'cut'] == [one['chosen'] for one in made]
    trimmed = made[3]
    assert trimmed['dropped_tokens'] > 0
    assert trimmed['rewrite_cost'] > 0
    assert trimmed['saving'] > 0
    assert trimmed['break_even_calls'] == -(-trimmed['rewrite_cost'] // trimmed['saving'])
    assert 'kept 1 turns' == trimmed['reason']
    read = [entry['usage']['cache_read_input_tokens'] > 0 for entry in sim.log()]
    expected = [None, *('hit' if hit else 'miss' for hit in read[1:])]
    assert expected == [one['cache'] for one in made]


def test_without_the_tap_decisions_hang_on_what_langchain_tells(claude, ledger, sim) -> None:
    tap.uninstall()
    handler = LedgerCallbackHandler(ledger, http_tap=False)
    one = Chat(
        claude(), Window(keep_turns=1, every=2), ledger=ledger, handler=handler, sim=sim,
        system=SYSTEM,
    )  # fmt: skip

    one.say(*map(question, range(5)))

    made = decisions(ledger)
    assert ['whole', 'whole', 'whole', 'rewrite', 'cut'] == [each['chosen'] for each in made]
    read = [entry['usage']['cache_read_input_tokens'] for entry in sim.log()]
    assert read == [each['cache_read_tokens'] for each in made]
    assert [0, 0, 0] == [each['saved'] for each in made[:3]]
    assert made[4]['saved'] > 0


def test_a_prompt_goes_on_from_the_last_one_unless_it_says_that_it_rewrites(
    chat, ledger, wire
) -> None:
    policies = ClearToolResults(keep=1, at_least=400), Window(keep_turns=1, every=3)
    one = chat(*policies, tools=[track_parcel])

    one.say(*(f'Track parcel {n}, please' for n in range(9)))

    prompts = [texts(body) for body in wire.bodies]
    rewritten = [common(a, b) < len(a) for a, b in pairwise(prompts)]
    assert True in rewritten
    assert rewritten == [made['rewrite'] for made in decisions(ledger)[1:]]


def test_a_report_by_policy_nets_savings_and_summaries(chat, ledger, run, claude) -> None:
    haiku = claude(model='claude-haiku-4-5')
    chat(PeriodicSummary(every=2, keep_turns=1, model=haiku), thread='a').say(
        *map(question, range(6))
    )
    chat(Window(keep_turns=1, every=2), thread='b').say(*map(question, range(6)))

    rows = json.loads(run('report', '--by', 'context_policy', '--format', 'json').output)['rows']

    by_policy = {row['context_policy']: row for row in rows}
    summed = by_policy['PeriodicSummary(every=2, keep_turns=1)']
    assert (
        6 + len([one for one in decisions(ledger) if one['chosen'] == 'summary']) == summed['calls']
    )
    assert Decimal(summed['saved_usd']) < Decimal(
        by_policy['Window(keep_turns=1, every=2)']['saved_usd']
    )
    shown = run('report', '--by', 'context_policy').output
    assert 'saved' in shown
    assert 'saved' not in run('report', '--by', 'model').output


def test_a_summary_reads_the_prompt_that_is_cached_where_that_is_cheaper(
    chat, wire, entries, claude
) -> None:
    one = chat(PeriodicSummary(every=4, keep_turns=1, summary_tokens=60), system=SYSTEM)

    one.say(*map(question, range(8)))

    shared = summaries(wire)
    assert shared
    assert {'claude-sonnet-4-6'} == {body['model'] for body in shared}
    assert {question(0)} == {texts(body)[0] for body in shared}
    made = [entry for entry in entries() if entry.attribution.purpose == 'summary']
    for entry in made:
        assert entry.usage.cache_read_tokens > 0.8 * entry.usage.input_tokens
    assert texts(asked(wire)[-1])[1].startswith(SUMMARY)


def test_a_summary_is_the_tenants_whose_session_it_is_of(
    claude, ledger, sim, entries, handler
) -> None:
    told = LedgerCallbackHandler(ledger, tenant='acme', task='support')
    policy = PeriodicSummary(every=2, keep_turns=1, model=claude(model='claude-haiku-4-5'))
    one = Chat(claude(), policy, ledger=ledger, handler=told, sim=sim)

    one.say(*map(question, range(6)))

    assert {'user', 'summary'} == {entry.attribution.purpose for entry in entries()}
    whose = {
        (who.tenant, who.task, who.session) for who in (entry.attribution for entry in entries())
    }
    assert {('acme', 'support', 'one')} == whose


def test_a_session_is_purged_by_its_name(chat, run, ledger) -> None:
    for thread in ('a', 'b'):
        chat(Window(keep_turns=1, every=1), thread=thread).say(*map(question, range(3)))

    assert 'Deleted 1 conversations.\n' == run('context', 'purge', '--session', 'a').output
    assert 'Deleted 0 conversations.\n' == run('context', 'purge', '--session', 'a').output
    assert 'Deleted 0 conversations.\n' == run('context', 'purge', '--older-than', '30d').output
    assert 'Deleted 1 files.\n' == run('context', 'purge', '--all').output
    assert 'There is nothing to delete.\n' == run('context', 'purge', '--all').output
    refused = run('context', 'purge')
    assert 2 == refused.exit_code


def test_after_a_purge_the_session_begins_anew(chat, wire, run) -> None:
    one = chat(Window(keep_turns=1, every=3))
    one.say(*map(question, range(6)))
    run('context', 'purge', '--session', 'one')

    one.say(question(6))

    assert question(6) == texts(wire.bodies[-1])[-1]
    assert not one.driver.failures
