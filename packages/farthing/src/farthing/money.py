"""Money is an integer of 1e-12 USD inside and a `Decimal` of USD outside, never a float.

The smallest rate sold today, 0.005 USD per million tokens, is 5,000 of our units a token, so that
halves (batch) and tenths (regional uplift) of it stay whole. We call the unit a *pico*.
"""

from decimal import Decimal, InvalidOperation, localcontext

from farthing.errors import PriceError

PICO_PER_USD = 10**12
_WIDE = 60  # digits: more than any sum of 64-bit amounts needs


def usd(pico: int) -> Decimal:
    """The exact amount in USD of `pico` units of 1e-12 USD."""
    with localcontext(prec=_WIDE):
        return Decimal(pico).scaleb(-12)


def pico(amount_usd: Decimal) -> int:
    """The amount in units of 1e-12 USD.

    Raises:
        PriceError: The amount is finer than 1e-12 USD or not finite.
    """
    with localcontext(prec=_WIDE):
        try:
            scaled = amount_usd.scaleb(12)
            whole = int(scaled)
        except (InvalidOperation, OverflowError, ValueError) as error:
            raise PriceError(f'expected a finite amount of USD, got {amount_usd!r}') from error
        if scaled != whole:
            raise PriceError(
                f'amount {amount_usd} USD is finer than 1e-12 USD: give at most 12 decimals'
            )
        return whole


def plain(amount_usd: Decimal) -> str:
    """The amount as a plain decimal string: no exponent, no trailing zeros."""
    text = format(amount_usd, 'f')
    return text.rstrip('0').rstrip('.') if '.' in text else text
