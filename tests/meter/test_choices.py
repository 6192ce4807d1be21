"""What a lever decided about a request hangs on that request's entry, and on no other."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anthropic
import pytest

import farthing_sim
from farthing import Decision, Ledger
from farthing.io.tap import tap
from farthing.meter.choices import Answer, Choice, choose
from farthing.meter.shared import account
from farthing.wire.prompt import shape_of

ASKED = {'model': 'claude-sonnet-4-6', 'max_tokens': 50}


@pytest.fixture(scope='module')
def sim() -> Iterator[farthing_sim.Sim]:
    with farthing_sim.serving() as server:
        yield server


@pytest.fixture
def ledger(tmp_path: Path, sim: farthing_sim.Sim) -> Iterator[Ledger]:
    with Ledger.open(f'sqlite:///{tmp_path}/farthing.db') as opened:
        tap.endpoints.add(sim.anthropic_url)
        tap.install(account(opened))
        yield opened
        tap.uninstall()


class Learner:
    """A lever that writes down what it is told."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def choice(self, chosen: str) -> Choice:
        def settle(entry_id: str, answer: Answer) -> Decision:
            self.answers.append(answer)
            return Decision(
                entry_id=entry_id,
                time=datetime.now(UTC),
                lever='caching',
                policy='test',
                version='1',
                chosen=chosen,
                reason='a test',
            )

        body = {**ASKED, 'messages': said('')}
        return Choice('caching', shape_of(body), settle)


def said(text: str) -> list[dict[str, str]]:
    return [{'role': 'user', 'content': text}]


def chosen_by_entry(ledger: Ledger) -> dict[str, str | None]:
    rows = ledger.report(by=['id', 'chosen']).rows
    return {row.keys['id']: row.keys['chosen'] for row in rows}


def test_a_decision_hangs_on_the_entry_of_its_request_and_learns_of_the_answer(ledger, sim) -> None:
    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='k')
    lever = Learner()

    choose(lever.choice('mark'))
    decided = client.messages.create(messages=said('one'), **ASKED)
    plain = client.messages.create(messages=said('two'), **ASKED)

    found = {id_.partition('@')[0]: what for id_, what in chosen_by_entry(ledger).items()}
    assert {f'anthropic:{decided.id}': 'mark', f'anthropic:{plain.id}': None} == found
    (answer,) = lever.answers
    assert answer.ok
    assert decided.usage.input_tokens == answer.reading.usage.input_tokens


def test_each_attempt_of_a_request_has_its_decision(ledger, sim) -> None:
    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='k', max_retries=1)
    sim.fault(status=529)
    lever = Learner()

    choose(lever.choice('mark'))
    client.messages.create(messages=said('one'), **ASKED)

    assert [False, True] == [answer.ok for answer in lever.answers]
    assert ['mark', 'mark'] == list(chosen_by_entry(ledger).values())


async def test_tasks_side_by_side_keep_their_decisions_apart(ledger, sim) -> None:
    client = anthropic.AsyncAnthropic(base_url=sim.anthropic_url, api_key='k')
    lever = Learner()

    async def ask(text: str) -> tuple[str, str]:
        choose(lever.choice(text))
        answer = await client.messages.create(messages=said(text), **ASKED)
        return f'anthropic:{answer.id}', text

    asked = dict(await asyncio.gather(*(ask(f'question {n}') for n in range(8))))

    found = {id_.partition('@')[0]: what for id_, what in chosen_by_entry(ledger).items()}
    assert asked == found


def test_a_request_of_another_shape_is_not_what_was_decided_about(ledger, sim) -> None:
    client = anthropic.Anthropic(base_url=sim.anthropic_url, api_key='k')
    lever = Learner()

    choose(lever.choice('mark'))
    client.messages.create(
        messages=[*said('one'), {'role': 'assistant', 'content': 'yes'}, *said('two')], **ASKED
    )

    assert [None] == list(chosen_by_entry(ledger).values())
