"""The driver of context control, without any framework: its store, its races, its books."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farthing import Ledger
from farthing.attribution import Attribution
from farthing.context import Part, PeriodicSummary, State, TrimWhenCold, Window, dump
from farthing.ledger.sessions import Name, Result, Sessions, Stored
from farthing.meter import choices
from farthing.meter.choices import Answer, Choice, chosen, offer, withdraw
from farthing.meter.shared import meter
from farthing.prices.quote import UNSAID
from farthing.run.context import ContextDriver
from farthing.run.remaining import Remaining
from farthing.run.savings import reported, whole
from farthing.run.talk import Answered, Prepared, Talk
from farthing.usage import Usage
from farthing.wire.prompt import Shape
from farthing.wire.reading import Reading

START_S = 1_800_000_000
ANN = Attribution(tenant='acme', session='one')
NAME = Name(key=b'k' * 16, session=b's' * 16)
NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = float(START_S)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / 'farthing.db') as opened:
        yield opened


@pytest.fixture
def driver(ledger, clock):
    def made(*policies) -> ContextDriver:
        return ContextDriver(meter(ledger), policies, name='test', now=clock)

    return made


def talk(turns: int, **changes: Any) -> Talk:
    parts = [
        Part(kind=kind, text=f'{word} {turn}: ' + 'and the parcels? ' * 30)
        for turn in range(turns)
        for kind, word in (('user', 'Question'), ('assistant', 'Answer'))
    ]
    given = {'provider': 'anthropic', 'model': 'claude-sonnet-4-6', 'who': ANN}
    return Talk(parts=tuple(parts[:-1]), **given | changes)


def written(_: Any) -> Answered:
    return Answered('They spoke of parcels and of what becomes of them.', 1_000)


def answer(usage: Usage) -> Answer:
    return Answer(
        time=NOW,
        first_token_us=1,
        reading=Reading(usage=usage, model='claude-sonnet-4-6', terms=UNSAID),
        ok=True,
        official=True,
        provider='anthropic',
        model='claude-sonnet-4-6',
    )


def settled(one: ContextDriver, prepared: Prepared, usage: Usage) -> dict[str, Any]:
    """The facts of the decision about an answered call."""
    choice = one.choose(prepared)
    return dict(choice.about('entry', answer(usage)).facts)


SUMMARY = PeriodicSummary(every=2, keep_turns=1)


def test_a_process_that_dies_before_its_summary_is_there_loses_nothing(driver, clock) -> None:
    driver(SUMMARY).prepare(talk(2))
    died = driver(SUMMARY).prepare(talk(3))
    assert died.wanted is not None

    clock.now_s += 20
    waiting = driver(SUMMARY).prepare(talk(4))
    clock.now_s += 700
    again = driver(SUMMARY).prepare(talk(5))

    assert (7, None) == (len(waiting.view.kept), waiting.wanted)
    assert 9 == len(again.view.kept)
    assert again.wanted is not None


def test_a_process_ends_once_its_summary_is_there() -> None:
    code = (
        'import time; from farthing.run.background import Background; '
        'Background().start(lambda: (time.sleep(0.1), print("paid and stored")))'
    )

    done = subprocess.check_output([sys.executable, '-c', code], text=True)  # noqa: S603 - our own

    assert 'paid and stored\n' == done


def test_a_call_does_not_fail_where_no_thread_is_left_for_its_summary(driver, monkeypatch) -> None:
    one = driver(SUMMARY)
    one.prepare(talk(2))
    prepared = one.prepare(talk(3))

    def refused(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr('threading.Thread.start', refused)
    one.after(prepared, written)

    assert 1 == one.failures['summary']
    assert one.flush()


async def test_a_summariser_that_never_answers_is_given_up_and_asked_again_later(
    ledger, clock
) -> None:
    one = ContextDriver(meter(ledger), (SUMMARY,), name='test', now=clock, summary_timeout_s=0.01)

    async def silent(_: Any) -> Answered:
        return await asyncio.get_running_loop().create_future()

    await one.aprepare(talk(2))
    one.aafter(await one.aprepare(talk(3)), silent)
    assert await one.aflush()
    at_once = await one.aprepare(talk(4))
    clock.now_s += 60
    later = await one.aprepare(talk(5))

    assert {'summary': 1} == dict(one.failures)
    assert (7, None) == (len(at_once.view.kept), at_once.wanted)
    assert 9 == len(later.view.kept)
    assert later.wanted is not None


def test_a_process_that_dies_while_it_writes_leaves_the_old_state(tmp_path) -> None:
    store = Sessions(tmp_path / 'a.context.db')
    assert store.save(NAME, Stored(), b'old', NOW, new={'a': 'old text'})
    script = (
        'import os, sys\n'
        'from datetime import datetime, UTC\n'
        'from pathlib import Path\n'
        'from farthing.ledger import sessions\n'
        'class Dying(dict):\n'
        '    def items(self):\n'
        '        os._exit(9)\n'
        'store = sessions.Sessions(Path(sys.argv[1]))\n'
        "name = sessions.Name(key=b'k' * 16, session=b's' * 16)\n"
        "store.save(name, store.load(name), b'new', datetime.now(UTC), new=Dying(b='new'))\n"
    )
    died = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, '-c', script, str(store.path)], check=False
    )

    assert 9 == died.returncode
    assert Stored(version=1, state=b'old', texts={'a': 'old text'}) == store.load(NAME)


def test_whoever_is_slower_plans_again(driver) -> None:
    one, other = driver(Window(keep_turns=1, every=1)), driver(Window(keep_turns=1, every=1))

    class Racing(Sessions):
        """Lets another process be quicker, once."""

        raced = False

        def load(self, name: Name) -> Stored:
            found = super().load(name)
            if not self.raced:
                self.raced = True
                other.prepare(talk(4))
            return found

    one.states.sessions = Racing(one.states.sessions.path)
    prepared = one.prepare(talk(4))

    assert prepared.view == other.prepare(talk(4)).view
    assert not one.failures
    assert 3 == one.states.sessions.load(prepared.name).version


def test_a_summary_that_comes_when_another_was_taken_is_dropped(driver, clock) -> None:
    slow, quick = driver(SUMMARY), driver(SUMMARY)
    slow.prepare(talk(2))
    late = slow.prepare(talk(3))
    clock.now_s += 700
    quick.prepare(talk(4))
    quick.after(quick.prepare(talk(4)), written)
    assert quick.flush()
    before = quick.states.sessions.load(late.name)

    slow.after(late, lambda _: Answered('Something else that was said of parcels.', 1))
    assert slow.flush()

    assert before == quick.states.sessions.load(late.name)


def test_a_policy_that_was_measured_to_lose_money_is_switched_off(driver, ledger) -> None:
    one = driver(Window(keep_turns=1, every=1))
    before = one.prepare(talk(3))
    one.states.sessions.add('test', {'claude-sonnet-4-6': Result(calls=200, saved=-1)}, one.now())

    off = driver(Window(keep_turns=1, every=1)).prepare(talk(6))

    assert (False, True) == (before.off, off.off)
    # What was cut stays cut: to send it again would cost a rewrite more.
    assert before.view.kept == off.view.kept[: len(before.view.kept)]
    facts = settled(one, off, Usage(input_tokens=900, output_tokens=9))
    assert facts['off']


def test_too_few_calls_switch_nothing_off(driver) -> None:
    one = driver(Window(keep_turns=1, every=1))
    one.states.sessions.add('test', {'claude-sonnet-4-6': Result(calls=199, saved=-1)}, one.now())

    assert not one.prepare(talk(6)).off


def test_losses_of_the_calls_add_up_until_the_policy_is_off(driver, clock) -> None:
    one = driver(Window(keep_turns=1, every=1))
    for session in range(100):
        who = replace(ANN, session=f'{session}')
        # The third call trims, writes again what had been cached, and is the session's last.
        for turns, written_tokens in ((2, 300), (3, 600)):
            used = Usage(
                input_tokens=written_tokens, output_tokens=10, cache_write_tokens=written_tokens
            )
            settled(one, one.prepare(talk(turns, who=who)), used)
    one.flush()
    result = one.states.sessions.result('test', 'claude-sonnet-4-6', one.now())
    clock.now_s += 61

    assert 200 == result.calls
    assert result.saved < 0
    assert one.prepare(talk(4)).off


def test_a_summary_without_a_price_is_not_free_to_its_policy(driver) -> None:
    one = driver(SUMMARY)
    one.prepare(talk(2))
    prepared = one.prepare(talk(3))
    settled(one, prepared, Usage(input_tokens=500, output_tokens=5))

    one.after(prepared, lambda _: Answered('They spoke of parcels and of what becomes of them.'))
    one.flush()

    saved = one.states.sessions.result('test', 'claude-sonnet-4-6', one.now()).saved
    assert -prepared.wanted.request.cost == saved


def test_a_call_that_leaves_nothing_out_saves_nothing(driver) -> None:
    one = driver(Window())
    facts = settled(one, one.prepare(talk(2)), Usage(input_tokens=500, output_tokens=5))

    assert (0, 0) == (facts['saved'], facts['dropped_tokens'])


def test_the_cache_that_was_to_be_had_was_hit_or_missed(driver) -> None:
    one = driver(Window())
    first = settled(one, one.prepare(talk(2)), Usage(input_tokens=500, output_tokens=5))
    hit = Usage(input_tokens=800, output_tokens=5, cache_read_tokens=500, cache_write_tokens=300)
    second = settled(one, one.prepare(talk(3)), hit)
    missed = replace(hit, input_tokens=1_100, cache_read_tokens=0, cache_write_tokens=1_100)
    third = settled(one, one.prepare(talk(4)), missed)

    assert (None, 'hit', 'miss') == (first['cache'], second['cache'], third['cache'])


def test_what_was_written_for_an_hour_is_warm_for_an_hour(driver, clock) -> None:
    one = driver(TrimWhenCold(keep_turns=1))
    hour = Usage(
        input_tokens=900, output_tokens=5, cache_write_tokens=900, cache_write_1h_tokens=900
    )
    settled(one, one.prepare(talk(2)), hour)

    clock.now_s += 1_800
    assert 7 == len(one.prepare(talk(4)).view.kept)
    clock.now_s += 3_700
    assert 4 == len(one.prepare(talk(5)).view.kept)


def test_where_nothing_is_cached_what_is_dropped_pays_at_once(driver) -> None:
    one = driver(Window(keep_turns=1))
    for turns in range(1, 5):
        used = Usage(input_tokens=5_000, output_tokens=5)
        settled(one, one.prepare(talk(turns, who=replace(ANN, session=f'{turns}'))), used)

    cut = [len(one.prepare(talk(turns)).view.kept) for turns in (2, 3, 4, 5)]

    assert [3, 4, 4, 4] == cut


def test_the_whole_history_would_have_been_read_and_its_end_be_written() -> None:
    sent = Usage(
        input_tokens=1_000,
        output_tokens=50,
        cache_read_tokens=600,
        cache_write_tokens=390,
        cache_write_5m_tokens=390,
    )

    warm = whole(sent, full=5_000, before=4_500)
    cold = whole(sent, full=5_000, before=None)

    assert (5_000, 4_500, 490, 490) == (
        warm.input_tokens,
        warm.cache_read_tokens,
        warm.cache_write_tokens,
        warm.cache_write_5m_tokens,
    )
    assert (600, 4_390) == (cold.cache_read_tokens, cold.cache_write_tokens)
    plain = whole(Usage(input_tokens=1_000, output_tokens=50), full=5_000, before=1)
    assert Usage(input_tokens=5_000, output_tokens=50) == plain


@pytest.mark.parametrize(('pause_s', 'written_tokens'), [(20, 0), (400, 3_000)])
def test_where_only_the_system_text_is_cached_what_was_dropped_would_have_been_paid_in_full(
    driver, clock, pause_s, written_tokens
) -> None:
    one = driver(Window(keep_turns=1, every=1))
    one.prepare(talk(4))
    clock.now_s += pause_s
    cut = one.prepare(talk(5))
    used = Usage(
        input_tokens=10_000,
        output_tokens=5,
        cache_read_tokens=3_000 - written_tokens,
        cache_write_tokens=written_tokens,
        cache_write_5m_tokens=written_tokens,
    )

    dropped = cut.full_tokens * 10_000 // cut.view.tokens - 10_000
    assert dropped > 0
    assert 3_000_000 * dropped == settled(one, cut, used)['saved']


def test_a_history_that_the_user_changed_would_have_been_written_again_as_well(driver) -> None:
    one = driver(Window(keep_turns=1, every=1))
    one.prepare(talk(4))
    said = talk(5)
    changed = (said.parts[0], replace(said.parts[1], text='Something else.'), *said.parts[2:])
    cut = one.prepare(replace(said, parts=changed))
    used = Usage(
        input_tokens=2_000, output_tokens=5, cache_write_tokens=2_000, cache_write_5m_tokens=2_000
    )

    dropped = cut.full_tokens * 2_000 // cut.view.tokens - 2_000
    assert dropped > 0
    assert 3_750_000 * dropped == settled(one, cut, used)['saved']


def test_what_was_reported_beyond_a_memorys_messages_is_in_every_prompt() -> None:
    used = Usage(input_tokens=1_000, output_tokens=50)

    # All was seen, and 2,000 of our tokens are 1,000 of theirs.
    assert 5_000 == reported(10_000, used, sent=2_000, complete=True)
    # 600 of 1,000 were seen; the system text and the tools are the other 400.
    assert 3_400 == reported(3_000, used, sent=600, complete=False)
    # We counted too high.
    assert 5_000 == reported(10_000, used, sent=2_000, complete=False)


@pytest.mark.parametrize(
    ('words', 'picture', 'reported_tokens'),
    [
        (1_000, 1_600, 4_600 + 120),  # the picture was a small one
        (50, 0, 230 + 350),  # the prompt of a provider that adds its own to it
    ],
)
def test_what_is_no_text_teaches_nothing_about_texts(
    driver, words, picture, reported_tokens
) -> None:
    one = driver(Window())
    seen = Part(kind='user', text='What is this? ' * words, other_tokens=picture)
    before = one.models.tokens('anthropic', 'claude-sonnet-4-6').count(seen.text)

    prepared = one.prepare(replace(talk(1), parts=(seen,)))
    settled(one, prepared, Usage(input_tokens=reported_tokens, output_tokens=5))

    assert before == one.models.tokens('anthropic', 'claude-sonnet-4-6').count(seen.text)


def test_what_is_stored_is_forgotten_by_age_and_by_name(tmp_path) -> None:
    store = Sessions(tmp_path / 'a.context.db', retention=timedelta(days=30))
    names = [Name(key=bytes([n]) * 16, session=bytes([n // 2]) * 16) for n in range(4)]
    for days, name in enumerate(names):
        at = NOW + timedelta(days=days)
        store.save(name, Stored(), dump(State()), at, new={'a': 'a text'})

    assert 1 == store.purge(older_than=NOW + timedelta(days=1))
    assert 2 == store.purge(session=names[2].session)
    assert Stored() == store.load(names[2])
    late = Name(key=b'l' * 16, session=b'l' * 16)
    store.save(late, Stored(), b'', NOW + timedelta(days=40))
    assert Stored() == store.load(names[1])
    assert b'a text' not in store.path.read_bytes()


def test_a_state_whose_summary_is_gone_counts_as_none(driver) -> None:
    one = driver(SUMMARY)
    one.prepare(talk(2))
    one.after(one.prepare(talk(3)), written)
    assert one.flush()
    taken = one.prepare(talk(4))
    assert taken.summary is not None
    with closing(sqlite3.connect(one.states.sessions.path)) as db, db:
        db.execute('DELETE FROM summary')

    whole_again = one.prepare(talk(5))

    assert 9 == len(whole_again.view.kept)
    assert {'summary_lost': 1} == dict(one.failures)


def test_an_unpriced_model_is_sent_everything(driver) -> None:
    one = driver(Window(keep_turns=1, every=1))

    prepared = one.prepare(talk(6, model='nobody-knows'))

    assert 11 == len(prepared.view.kept)
    assert {'failed': 1} == dict(one.failures)
    assert one.choose(prepared) is None


def test_an_offered_choice_that_fits_two_sessions_is_neither_ones() -> None:
    shape = Shape('claude-sonnet-4-6', 3, 0)
    one, other = (Choice('context', shape, lambda *_: None) for _ in range(2))
    offer(one, 'Yes.')

    assert () == chosen(shape, lambda: 'No.')
    assert (one,) == chosen(shape, lambda: 'Yes.')
    offer(other, 'Yes.')
    assert () == chosen(shape, lambda: 'Yes.')
    withdraw(one)
    assert (other,) == chosen(shape, lambda: 'Yes.')
    withdraw(other)


def test_a_choice_whose_request_is_not_sent_meets_no_later_one(monkeypatch) -> None:
    shape = Shape('claude-sonnet-4-6', 3, 0)
    offer(Choice('context', shape, lambda *_: None), 'Yes.')
    monkeypatch.setattr(choices, '_FRESH_S', -1.0)  # any time later is too late

    assert () == chosen(shape, lambda: 'Yes.')
    monkeypatch.undo()
    assert () == chosen(shape, lambda: 'Yes.')


def test_lengths_of_earlier_sessions_say_how_long_this_one_will_go_on() -> None:
    one = Remaining(_Lengths({'one': 10, 'two': 20, **{f's{n}': 30 for n in range(19)}}), _now)

    assert one.expected(None, 25, NOW) is None  # 19 sessions only went on for so long
    assert 20 - 15 < one.expected(None, 15, NOW)
    assert (30 * 19 + 20) // 20 - 15 == one.expected(None, 15, NOW)


def _now(work) -> None:
    work()


class _Lengths:
    """A ledger of sessions of so many calls each."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self._lengths = lengths

    def report(self, **_: Any) -> Any:
        rows = [
            SimpleNamespace(keys={'task': None, 'session': name}, calls=calls)
            for name, calls in self._lengths.items()
        ]
        return SimpleNamespace(rows=rows)
