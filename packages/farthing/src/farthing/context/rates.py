"""What tokens cost one model's calls: rates for deciding, and exact prices for counting up."""

from dataclasses import dataclass

from farthing.errors import ContextError
from farthing.prices import Call, PriceBook
from farthing.usage import Usage

# What a prompt's end is written for: Anthropic's cheaper lifetime, then OpenAI's.
_LIFETIMES = ('5m', '30m')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices of one token in 1e-12 USD.

    Attributes:
        input: Not cached.
        read: Read from the prompt cache.
        write: Written to the prompt cache.
        output: Made by the model.

    Raises:
        ContextError: One is negative, or a read costs more than a write.
    """

    input: int
    read: int
    write: int
    output: int

    def __post_init__(self) -> None:
        if min(self.input, self.read, self.output) < 0 or self.read > self.write:
            raise ContextError(f'{self} cannot be: expected rates of at least 0, and read <= write')


class Tariff:
    """Prices of whole calls to one model, by the book.

    Attributes:
        rates: Of one token, in a short prompt.
        assumed: What the book does not know about these rates.
    """

    def __init__(self, book: PriceBook, call: Call) -> None:
        """Look up the model's rates.

        Raises:
            ContextError: The book has no price for it.
        """
        self._book = book
        self._call = call
        # A provider that sells no writes bills what it caches as plain input.
        self.assumed: tuple[str, ...] = ()
        self._lifetime = next((one for one in _LIFETIMES if self._sells(one)), None)
        self.rates = Rates(
            input=self.cost(fresh=1),
            read=self.cost(read=1),
            write=self.cost(written=1),
            output=self.cost(output=1),
        )

    def cost(self, *, read: int = 0, written: int = 0, fresh: int = 0, output: int = 0) -> int:
        """Price of one call in 1e-12 USD, by tokens read from the cache, written to it, or neither.

        Raises:
            ContextError: The book has no price for it.
        """
        usage = _usage(read, written, fresh, output, self._lifetime)
        quote = self._book.quote(usage, self._call)
        if quote.cost is None:
            raise ContextError(f'no context can be priced: {quote.reason}')
        if quote.assumed:
            self.assumed = tuple(dict.fromkeys(self.assumed + quote.assumed))
        return quote.cost

    def _sells(self, lifetime: str) -> bool:
        return self._book.quote(_usage(0, 1, 0, 0, lifetime), self._call).cost is not None


def _usage(read: int, written: int, fresh: int, output: int, lifetime: str | None) -> Usage:
    return Usage(
        input_tokens=read + written + fresh,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written if lifetime else 0,
        cache_write_5m_tokens=written if lifetime == '5m' else 0,
        cache_write_30m_tokens=written if lifetime == '30m' else 0,
    )
