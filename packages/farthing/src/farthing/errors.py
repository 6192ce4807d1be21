"""Every error that farthing raises.

    FarthingError
    ├── UsageError      (ValueError)   token counts that contradict each other
    ├── PriceError      (ValueError)   price data that contradicts itself or cannot be read
    ├── EntryError      (ValueError)   an entry whose fields contradict each other
    ├── InputError      (ValueError)   a user's argument, file or environment variable
    ├── ContextError    (ValueError)   a history, or what a context policy made of it
    ├── RoutingError    (ValueError)   routes, policies or answers that cannot decide
    │   └── ArtefactError              a trained router's file is damaged or of another version
    ├── BatchError      (RuntimeError) a batch job that cannot go on, or a request it cannot take
    │   ├── BatchLimit                 the next round would pass the job's `max_cost_usd`
    │   └── JournalError               the file of requests and answers is damaged
    └── LedgerError     (OSError)      a ledger that cannot be opened, read or written
        ├── LedgerBusy                 another process holds it longer than we wait
        ├── LedgerCorrupt              its file is damaged or not a ledger
        └── LedgerVersion              its schema is newer than this farthing

A missing price is no error: its quote has the status `unpriced`.
"""


class FarthingError(Exception):
    """What all errors of farthing have in common: one clear line for the user."""


class UsageError(FarthingError, ValueError):
    """Token counts that contradict each other."""


class PriceError(FarthingError, ValueError):
    """Price data that contradicts itself or cannot be read."""


class EntryError(FarthingError, ValueError):
    """An entry whose fields contradict each other."""


class InputError(FarthingError, ValueError):
    """A user's argument, file or environment variable that cannot be taken."""


class ContextError(FarthingError, ValueError):
    """A history, or what a context policy made of it, that contradicts itself."""


class RoutingError(FarthingError, ValueError):
    """Routes, policies or a classifier's answer that cannot decide a call."""


class ArtefactError(RoutingError):
    """A trained router's file that is damaged, of another version, or short of what it needs."""


class BatchError(FarthingError, RuntimeError):
    """A batch job that cannot go on, or a request that it cannot take."""


class BatchLimit(BatchError):  # noqa: N818 - reads as the state that it names
    """The next round would pass the job's `max_cost_usd`; nothing of it was sent."""


class JournalError(BatchError):
    """The file of a ledger's batch requests and answers is damaged or cannot be used."""


class LedgerError(FarthingError, OSError):
    """A ledger that cannot be opened, read or written."""


class LedgerBusy(LedgerError):  # noqa: N818 - reads as the state that it names
    """Another process holds the ledger for longer than we wait."""


class LedgerCorrupt(LedgerError):  # noqa: N818 - reads as the state that it names
    """The file is damaged, or it is not a ledger."""


class LedgerVersion(LedgerError):  # noqa: N818 - reads as the state that it names
    """The ledger's schema is newer than this farthing knows."""
