"""The SQLite schema, as numbered steps: step n leads from version n to version n + 1.

A step is never changed once released; a new one is added. `entry`, `decision`, `outcome` and
`loss` only grow. Repeated texts are numbers of `dim`, where 0 stands for unknown. `daily`
and `monthly` sum `entry` and are written in the same transaction.
"""

from farthing.ledger import batch_rows, learned
from farthing.ledger.record import COUNTS, DIMENSIONS, TEXTS

APPLICATION_ID = 0x46525448  # `FRTH`: tells a ledger from any other SQLite file

ROLLUP_KEYS = ('tenant', 'task', 'model', 'call_type', 'tier', 'status', 'endpoint')
DAY_US = 86_400_000_000

# The day of an entry, downwards also before 1970: SQLite's division goes towards zero.
DAY = f'(time / {DAY_US} - (time % {DAY_US} < 0))'
# The first day of the month of a day.
MONTH = "(strftime('%s', day * 86400, 'unixepoch', 'start of month') / 86400)"


def _known(what: str) -> str:
    """The sum of what is known; SQLite's `sum` over unknown values alone is NULL."""
    return f'coalesce(sum({what}), 0)'


# Sums over rows of `entry`. Money is summed in two parts that Python joins: SQLite's `sum` raises
# at 9.22 M USD, and its `total` is a float.
SUMS = {
    'calls': _known('calls'),
    'errors': _known('errors'),
    **{
        name: _known(name)
        for name in (
            'input_tokens',
            'cache_read_tokens',
            'cache_write_tokens',
            'cache_write_5m_tokens',
            'cache_write_1h_tokens',
            'cache_write_30m_tokens',
            'output_tokens',
            'reasoning_tokens',
        )
    },
    'reasoning_said': 'count(reasoning_tokens)',
    'cost_high': _known('cost / 1000000'),
    'cost_low': _known('cost % 1000000'),
    'list_cost_high': _known('list_cost / 1000000'),
    'list_cost_low': _known('list_cost % 1000000'),
    'unpriced': _known('unpriced'),
    'assumed': _known('assumed'),
    'estimated': _known('estimated'),
}

_ENTRY = f"""
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL,      -- when the call left, in us since 1970; also in its corrections
    corrects TEXT,              -- a correction: the id of the entry; every sum holds a difference
    corrected_at INTEGER,
    correction_reason TEXT,
    {', '.join(f'{name} TEXT' for name in TEXTS)},
    {', '.join(f'{name} INTEGER NOT NULL REFERENCES dim(id)' for name, _ in DIMENSIONS)},
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    assumed INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    {', '.join(f'{name} INTEGER' for name in COUNTS)},
    cost INTEGER,               -- 1e-12 USD
    list_cost INTEGER,
    new_cost INTEGER,           -- a correction: what the call costs by now
    new_list_cost INTEGER,
    latency_us INTEGER,
    first_token_us INTEGER,
    lines TEXT,                 -- [[id of dim `line`, quantity, amount], ...]
    assumed_terms TEXT,
    tool_uses TEXT,
    tags TEXT,
    prefix TEXT
) STRICT
"""


def rollup_table(name: str) -> str:
    """A table of sums by day and the rollup's keys, in SQL."""
    return f"""
    CREATE TABLE {name} (
        day INTEGER NOT NULL,   -- days since 1970 in UTC; in `monthly` the month's first
        {', '.join(f'{key} INTEGER NOT NULL' for key in ROLLUP_KEYS)},
        {', '.join(f'{sum_} INTEGER NOT NULL' for sum_ in SUMS)},
        PRIMARY KEY (day, {', '.join(ROLLUP_KEYS)})
    ) STRICT, WITHOUT ROWID
    """


_GROWING = ('entry', 'decision', 'outcome', 'loss')

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE dim (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT, UNIQUE (kind, value)
        ) STRICT""",
        "INSERT INTO dim VALUES (0, '', NULL)",
        _ENTRY,
        'CREATE INDEX entry_time ON entry (time)',
        'CREATE INDEX entry_session ON entry (session) WHERE session IS NOT NULL',
        'CREATE INDEX entry_corrects ON entry (corrects) WHERE corrects IS NOT NULL',
        rollup_table('daily'),
        rollup_table('monthly'),
        """CREATE TABLE decision (
            id TEXT PRIMARY KEY, entry_id TEXT NOT NULL, time INTEGER NOT NULL,
            lever TEXT NOT NULL, policy TEXT NOT NULL, version TEXT NOT NULL,
            chosen TEXT NOT NULL, reason TEXT NOT NULL,
            predicted_cost INTEGER, counterfactual_cost INTEGER, facts TEXT
        ) STRICT""",
        'CREATE INDEX decision_entry ON decision (entry_id)',
        """CREATE TABLE outcome (
            id TEXT PRIMARY KEY, run_id TEXT NOT NULL, time INTEGER NOT NULL,
            score TEXT NOT NULL, source TEXT NOT NULL
        ) STRICT""",
        'CREATE INDEX outcome_run ON outcome (run_id)',
        """CREATE TABLE loss (
            id TEXT PRIMARY KEY, time INTEGER NOT NULL, calls INTEGER NOT NULL, reason TEXT NOT NULL
        ) STRICT""",
        'CREATE TABLE spool (name TEXT PRIMARY KEY, offset INTEGER NOT NULL) STRICT',
        *(
            f'CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} '
            "BEGIN SELECT raise(ABORT, 'a ledger only grows: post a correction'); END"
            for table in _GROWING
            for verb in ('UPDATE', 'DELETE')
        ),
    ),
    learned.TABLES,
    batch_rows.TABLES,
)
