"""The ledger: immutable entries behind a spool, in one SQLite file, and exact sums over them."""

from farthing.ledger.keys import NAMES as KEYS
from farthing.ledger.keys import ROLLUP as ROLLUP_KEYS
from farthing.ledger.keys import check as check_key
from farthing.ledger.ledger import Ledger
from farthing.ledger.spool import LedgerWarning
from farthing.ledger.values import Booked, Report, Row, Sums, Verdict

__all__ = [
    'KEYS',
    'ROLLUP_KEYS',
    'Booked',
    'Ledger',
    'LedgerWarning',
    'Report',
    'Row',
    'Sums',
    'Verdict',
    'check_key',
]
