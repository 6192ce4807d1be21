"""The tables of batch jobs, and how their rows become values and back.

A line is one item in one submission: planned before anything is sent, settled once when its
result comes. So each line is paid for at most once, whatever is read how often.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from farthing.attribution import NOBODY, Attribution
from farthing.batching.chunking import Target
from farthing.batching.deadline import Deadline
from farthing.batching.jobs import Draft, Item, Job, Submission, Terms

TABLES = (
    """CREATE TABLE batch_job (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL, created REAL NOT NULL,
        deadline REAL, reserve REAL NOT NULL, max_cost INTEGER,
        dedupe INTEGER NOT NULL, reuse INTEGER NOT NULL,
        state TEXT NOT NULL, reason TEXT, UNIQUE (name, number)
    ) STRICT""",
    """CREATE TABLE batch_lease (
        job TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE batch_item (
        id INTEGER PRIMARY KEY, job TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL,
        input INTEGER NOT NULL, round INTEGER NOT NULL,
        provider TEXT NOT NULL, base TEXT NOT NULL, path TEXT NOT NULL, account TEXT NOT NULL,
        api TEXT NOT NULL, headers TEXT NOT NULL, model TEXT NOT NULL,
        size INTEGER NOT NULL, tokens INTEGER NOT NULL, output_tokens INTEGER, predicted INTEGER,
        who TEXT, run_id TEXT, parent_run_id TEXT, prefix TEXT,
        state TEXT NOT NULL, attempt INTEGER NOT NULL, not_before REAL NOT NULL,
        outcome TEXT, entry TEXT,
        UNIQUE (job, key)
    ) STRICT""",
    'CREATE INDEX batch_item_state ON batch_item (job, state)',
    'CREATE INDEX batch_item_input ON batch_item (job, input)',
    'CREATE INDEX batch_item_digest ON batch_item (digest) WHERE outcome IS NOT NULL',
    """CREATE TABLE batch_submission (
        label TEXT PRIMARY KEY, job TEXT NOT NULL,
        provider TEXT NOT NULL, base TEXT NOT NULL, path TEXT NOT NULL, account TEXT NOT NULL,
        headers TEXT NOT NULL, model TEXT,
        state TEXT NOT NULL, changed REAL NOT NULL, requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL, sent REAL, file TEXT, batch TEXT, looks INTEGER NOT NULL,
        candidates TEXT NOT NULL, foreigners TEXT NOT NULL, outputs TEXT NOT NULL,
        cancelling INTEGER NOT NULL, reason TEXT
    ) STRICT""",
    'CREATE INDEX batch_submission_job ON batch_submission (job, state)',
    """CREATE UNIQUE INDEX batch_submission_batch ON batch_submission (provider, batch)
        WHERE batch IS NOT NULL""",
    """CREATE TABLE batch_line (
        label TEXT NOT NULL, item INTEGER NOT NULL, attempt INTEGER NOT NULL,
        outcome TEXT, entry TEXT, cost INTEGER,
        PRIMARY KEY (label, item)
    ) STRICT, WITHOUT ROWID""",
    'CREATE INDEX batch_line_item ON batch_line (item)',
    """CREATE TABLE batch_queue (
        provider TEXT NOT NULL, base TEXT NOT NULL, account TEXT NOT NULL, model TEXT NOT NULL,
        tokens INTEGER NOT NULL, PRIMARY KEY (provider, base, account, model)
    ) STRICT, WITHOUT ROWID""",
)

JOB = 'id, name, number, created, deadline, reserve, max_cost, dedupe, reuse, state, reason'
_DRAFT = (
    'key', 'digest', 'input', 'round', 'provider', 'base', 'path', 'account', 'api', 'headers',
    'model', 'size', 'tokens', 'output_tokens', 'predicted', 'who', 'run_id', 'parent_run_id',
    'prefix',
)  # fmt: skip
DRAFT = ', '.join(_DRAFT)
ITEM = f'id, job, {DRAFT}, state, attempt, outcome, entry'
WAITING = 'id, size, tokens, predicted, provider, base, path, account, headers, model'
_SUBMISSION = (
    'label', 'job', 'provider', 'base', 'path', 'account', 'headers', 'model', 'state', 'changed',
    'requests', 'tokens', 'sent', 'file', 'batch', 'looks', 'candidates', 'foreigners', 'outputs',
    'cancelling', 'reason',
)  # fmt: skip
SUBMISSION = ', '.join(_SUBMISSION)
SUBMISSION_WIDTH = len(_SUBMISSION)


def job(row: tuple[Any, ...]) -> Job:
    """A job of its row, in the order of `JOB`."""
    id_, name, number, created, deadline, reserve, max_cost, dedupe, reuse, state, reason = row
    return Job(
        id=id_,
        name=name,
        number=number,
        created_s=created,
        terms=Terms(
            deadline=Deadline(at_s=deadline, reserve_s=reserve),
            max_cost=max_cost,
            dedupe=bool(dedupe),
            reuse=bool(reuse),
        ),
        state=state,
        reason=reason,
    )


def draft_row(draft: Draft) -> tuple[Any, ...]:
    """The row of a draft, in the order of `DRAFT`."""
    return (
        draft.key,
        draft.digest,
        draft.input,
        draft.round,
        draft.provider,
        draft.base,
        draft.path,
        draft.account,
        draft.api,
        _dumps(dict(draft.headers)),
        draft.model,
        draft.size,
        draft.tokens,
        draft.output_tokens,
        draft.predicted,
        _who_text(draft.who),
        draft.run_id,
        draft.parent_run_id,
        _dumps(draft.prefix) if draft.prefix else None,
    )


def item(row: tuple[Any, ...]) -> Item:
    """An item of its row, in the order of `ITEM`."""
    id_, job_id, *middle, state, attempt, outcome, entry = row
    fields: dict[str, Any] = dict(zip(_DRAFT, middle, strict=True))
    fields['headers'] = MappingProxyType(orjson.loads(fields['headers']))
    fields['who'] = _who(fields['who'])
    fields['prefix'] = tuple(orjson.loads(fields['prefix'])) if fields['prefix'] else ()
    return Item(
        id=id_,
        job=job_id,
        draft=Draft(**fields),
        state=state,
        attempt=attempt,
        outcome=outcome,
        entry=entry,
    )


def target(row: tuple[str, ...]) -> Target:
    """Where an item goes, of the last columns of `WAITING`."""
    provider, base, path, account, headers, model = row
    return Target.of(
        provider=provider,
        base=base,
        path=path,
        account=account,
        headers=orjson.loads(headers),
        model=model,
    )


def submission_row(one: Submission) -> tuple[Any, ...]:
    """The row of a submission, in the order of `SUBMISSION`."""
    target = one.target
    return (
        one.label,
        one.job,
        target.provider,
        target.base,
        target.path,
        target.account,
        headers_text(target),
        target.model,
        one.state,
        one.changed_s,
        one.requests,
        one.tokens,
        one.sent_s,
        one.file,
        one.batch,
        one.looks,
        _dumps(one.candidates),
        _dumps(one.foreign),
        _dumps(one.outputs),
        one.cancelling,
        one.reason,
    )


def submission(row: tuple[Any, ...]) -> Submission:
    """A submission of its row."""
    fields: dict[str, Any] = dict(zip(_SUBMISSION, row, strict=True))
    target = Target(
        **{name: fields.pop(name) for name in ('provider', 'base', 'path', 'account', 'model')},
        headers=tuple(sorted(orjson.loads(fields.pop('headers')).items())),
    )
    return Submission(
        target=target,
        changed_s=fields.pop('changed'),
        sent_s=fields.pop('sent'),
        foreign=tuple(orjson.loads(fields.pop('foreigners'))),
        candidates=tuple(orjson.loads(fields.pop('candidates'))),
        outputs=tuple(orjson.loads(fields.pop('outputs'))),
        cancelling=bool(fields.pop('cancelling')),
        **fields,
    )


def headers_text(target: Target) -> str:
    """The headers of a target, as an item's row holds them."""
    return _dumps(dict(target.headers))


def _who_text(who: Attribution) -> str | None:
    if who == NOBODY:
        return None
    return _dumps([who.tenant, who.task, who.session, who.purpose, dict(who.tags)])


def _who(text: str | None) -> Attribution:
    if text is None:
        return NOBODY
    tenant, task, session, purpose, tags = orjson.loads(text)
    return Attribution(
        tenant=tenant, task=task, session=session, purpose=purpose, tags=MappingProxyType(tags)
    )


def _dumps(value: Mapping[str, Any] | list[Any] | tuple[Any, ...]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
