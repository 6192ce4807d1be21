"""Models that are `cached`, in batches: marked where it pays, and paid once whatever the marks."""

import json
import sqlite3

import pytest
from langchain_core.prompts import ChatPromptTemplate

from farthing_sim.schedule import BatchRules
from langchain_farthing import cached

RULES = 'Rule: a parcel that is late is refunded. ' * 300
INPUTS = [{'topic': f'topic {number}'} for number in range(25)]


@pytest.fixture
def chain(claude, ledger):
    prompt = ChatPromptTemplate.from_messages([('system', RULES), ('user', 'Write 3 on {topic}')])
    return prompt | cached(claude(), ledger=ledger)


async def collected(job):
    return {outcome.index: outcome async for outcome in job.results()}


def marked(folder, job: str) -> int:
    """How many requests of a job were sent with a mark for an hour."""
    (path,) = folder.glob('*.journal')
    with sqlite3.connect(path) as db:
        rows = db.execute('SELECT body FROM request WHERE job = ?', (job,)).fetchall()
    db.close()
    return sum('"ttl": "1h"' in json.dumps(json.loads(body)) for (body,) in rows)


async def test_what_many_requests_share_is_marked_and_read_and_paid_once(
    chain, runner, sim, tmp_path, entries, ledger
) -> None:
    first = await collected(await runner().submit(chain, INPUTS))

    # The first one knows of no other; ten are answered together, and write what the rest read.
    assert 24 == marked(tmp_path, 'job.1')
    posted = entries()
    assert len(INPUTS) == len(posted)
    reads = [one for one in posted if one.usage.cache_read_tokens]
    assert 15 <= len(reads)
    assert {0} == {one.usage.cache_write_5m_tokens for one in posted}
    # Marks are chosen anew when the code runs again; what was paid is known all the same.
    again = await collected(await runner().submit(chain, INPUTS, job='job.1'))
    assert {n: one.output.text for n, one in first.items()} == {
        n: one.output.text for n, one in again.items()
    }
    assert len(INPUTS) == len(sim.charges())
    ledger.flush()
    with sqlite3.connect(tmp_path / 'farthing.db') as db:
        saved = dict(
            db.execute(
                'SELECT d.lever, sum(d.counterfactual_cost - e.cost) FROM decision d '
                'JOIN entry e ON e.id = d.entry_id GROUP BY d.lever'
            )
        )
    db.close()
    # Each lever's saving is its own: together they are no more than the whole.
    cost = sum(one.quote.cost for one in posted)
    assert cost == saved['batching']
    assert 0 < saved['caching'] < cost


async def test_batches_that_read_nothing_are_marked_no_more(chain, runner, sim, tmp_path) -> None:
    sim.reset(batches=BatchRules(at_once=1_000))
    await collected(await runner().submit(chain, INPUTS))
    await collected(await runner().submit(chain, INPUTS[:5]))

    assert (24, 0) == (marked(tmp_path, 'job.1'), marked(tmp_path, 'job.2'))
