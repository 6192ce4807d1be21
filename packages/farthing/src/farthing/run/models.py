"""What a driver knows of models: what their tokens cost now, and how texts are counted for them."""

from datetime import datetime

from farthing.context import Rates, Tariff
from farthing.ledger.sessions import Sessions
from farthing.prices import Call, PriceBook, Terms
from farthing.run.tokens import Tokens

_TERMS = Terms(tier='standard', batch=False, geo='global', region='global')
_MOST = 1_000


class Models:
    """Rates and counters, by provider and model."""

    def __init__(self, book: PriceBook, sessions: Sessions) -> None:
        self._book = book
        self._sessions = sessions
        self._rates: dict[tuple[str, str, int], Rates] = {}
        self._tokens: dict[tuple[str, str], Tokens] = {}

    def rates(self, provider: str, model: str, now: datetime) -> Rates:
        """What a model's tokens cost now.

        Raises:
            ContextError: The book has no price for it.
        """
        key = (provider, model, int(now.timestamp() // 3_600))
        if key not in self._rates:
            if len(self._rates) > _MOST:
                self._rates.clear()
            call = Call(provider=provider, model=model, at=now, terms=_TERMS)
            self._rates[key] = Tariff(self._book, call).rates
        return self._rates[key]

    def tokens(self, provider: str, model: str) -> Tokens:
        """The counter of a model.

        Raises:
            LedgerError: What was learned of its tokenizer cannot be read.
        """
        key = (provider, model)
        found = self._tokens.get(key)
        if found is None:
            found = Tokens(provider, model, self._sessions.ratio(f'{provider}/{model}'))
            found = self._tokens.setdefault(key, found)
        return found

    def learned(self) -> dict[str, Tokens]:
        """The counters in use, by name."""
        return {'/'.join(key): one for key, one in list(self._tokens.items())}
