"""A price card: every rate that one kind of call can need, looked up once and then only multiplied.

What a call costs depends on its provider, model, conditions and date; all calls that share them
share a card. The card turns counts into line items without a further decision about prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from farthing.prices.quote import Line
from farthing.usage import Usage

WRITES = ('cache_write_5m', 'cache_write_1h', 'cache_write_30m')
TOKEN_METERS = (
    'input',
    'cache_read',
    *WRITES,
    'output',
    'input_audio',
    'cache_read_audio',
    'output_audio',
    'input_image',
    'cache_read_image',
    'output_image',
)
# What a meter without a rate of its own is part of: it is billed as that, and the quote says so.
_PART_OF = {
    'cache_read': 'input',
    'input_audio': 'input',
    'cache_read_audio': 'cache_read',
    'output_audio': 'output',
    'cache_read_image': 'cache_read',
    'output_image': 'output',
}


# `Line(...)` in half the time: several are made for every call.
_line = tuple.__new__


class Rate(NamedTuple):
    """The price of one unit of a meter in 1e-12 USD, and the ids of what it was made from.

    `doubt` names what is assumed wherever the rate is used.
    """

    pico: int
    rules: tuple[str, ...]
    doubt: str | None = None


class Band(NamedTuple):
    """Rates of prompts longer than `above` tokens."""

    above: int
    rates: Mapping[str, Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The rates of one model under known conditions at one time.

    Attributes:
        model: The model's id in the price book.
        bands: Rates by length of the prompt, longest first; the last starts at zero.
        tools: Prices of one use of the provider's own tools.
        assumed: Conditions that were unknown or doubtful, whatever the usage.
        plain_writes: Whether cache writes cost what other input costs.
    """

    model: str
    bands: tuple[Band, ...]
    tools: Mapping[str, Rate]
    assumed: tuple[str, ...] = ()
    plain_writes: bool = False


class Bill(NamedTuple):
    """Line items, their sum and what was assumed; or the reason why there is no price."""

    lines: tuple[Line, ...]
    cost: int
    assumed: tuple[str, ...]
    reason: str | None = None


def bill(usage: Usage, card: Card) -> Bill:
    """Line items of one call.

    The band follows the whole prompt, cached or not; a prompt of exactly its edge stays below.
    """
    rates = _rates(card, usage.input_tokens)
    lines: list[Line] = []
    doubts: list[str] = []
    cost = 0
    for meter, quantity in _meters(usage, rates, doubts):
        if not quantity:
            continue
        rate = rates.get(meter)
        if rate is None:
            rate = _stand_in(meter, rates, card, doubts)
        if rate is None or quantity < 0:
            return Bill((), 0, (), _no_rate(meter, quantity, card))
        pico, rules, doubt = rate
        if doubt is not None:
            doubts.append(doubt)
        amount = quantity * pico
        cost += amount
        lines.append(_line(Line, (meter, quantity, pico, amount, rules)))
    for tool, uses in usage.tool_uses.items():
        rate = card.tools.get(tool)
        if rate is None:
            return Bill((), 0, (), _no_tool(tool, uses, card))
        if rate.doubt is not None and uses:
            doubts.append(rate.doubt)
        cost += uses * rate.pico
        lines.append(Line(tool, uses, rate.pico, uses * rate.pico, rate.rules))
    return Bill(tuple(lines), cost, tuple(dict.fromkeys(doubts)) if doubts else ())


def _meters(usage: Usage, rates: Mapping[str, Rate], doubts: list[str]) -> list[tuple[str, int]]:
    """Disjoint counts by meter; they add up to the input and the output."""
    read, written, output = usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens
    meters = [('input', usage.input_tokens - read - written)]
    if read:
        meters.append(('cache_read', read))
    if written:
        meters += (
            ('cache_write_5m', usage.cache_write_5m_tokens),
            ('cache_write_1h', usage.cache_write_1h_tokens),
            ('cache_write_30m', usage.cache_write_30m_tokens),
            ('cache_write', usage.cache_write_unsplit_tokens),
        )
    meters.append(('output', output))
    if 'output_image' in rates and output and not usage.output_image_tokens:
        # The model draws: an answer that names no modality may be all image.
        doubts.append('output_image')
    if (
        usage.input_audio_tokens
        or usage.input_image_tokens
        or usage.output_audio_tokens
        or usage.output_image_tokens
    ):
        return _by_modality(usage, dict(meters), rates, doubts)
    return meters


def _by_modality(
    usage: Usage, meters: dict[str, int], rates: Mapping[str, Rate], doubts: list[str]
) -> list[tuple[str, int]]:
    """Take audio and images out of the text's counts.

    Where the provider does not say how much of the cached input was audio or an image, text is
    taken to be cached first. https://github.com/BerriAI/litellm/issues/37281 is what happens when
    a token is counted under both names.
    """
    asked = {'audio': usage.input_audio_tokens, 'image': usage.input_image_tokens}
    cached = {'audio': usage.cache_read_audio_tokens, 'image': usage.cache_read_image_tokens}
    text = usage.input_tokens - sum(asked.values())
    spill = max(0, usage.cache_read_tokens - sum(n or 0 for n in cached.values()) - text)
    for kind, tokens in asked.items():
        if kind == 'image' and not {'input_image', 'cache_read_image'} & rates.keys():
            continue  # To a chat model an image is text.
        known = cached[kind]
        if known is None:
            known = min(spill, tokens)
            spill -= known
            if tokens and usage.cache_read_tokens:
                doubts.append(f'cache_read_{kind}')
        meters['input'] -= tokens - known
        meters['cache_read'] = meters.get('cache_read', 0) - known
        meters[f'input_{kind}'] = tokens - known
        meters[f'cache_read_{kind}'] = known
    made = {'output_audio': usage.output_audio_tokens, 'output_image': usage.output_image_tokens}
    meters['output'] -= sum(made.values())
    return [*meters.items(), *made.items()]


def token_price(card: Card, prompt_tokens: int, meter: str) -> int | None:
    """What one token of a meter costs in a prompt of so many; `None` where one would guess."""
    rates = _rates(card, prompt_tokens)
    rate = rates.get(meter) or _stand_in(meter, rates, card, [])
    return None if rate is None else rate.pico


def _rates(card: Card, prompt_tokens: int) -> Mapping[str, Rate]:
    if len(card.bands) == 1:
        return card.bands[0].rates
    return next(band.rates for band in card.bands if prompt_tokens > band.above or not band.above)


def _stand_in(meter: str, rates: Mapping[str, Rate], card: Card, doubts: list[str]) -> Rate | None:
    """The rate of what a meter is part of; `None` where that would be a guess."""
    if meter.startswith('cache_write'):
        if card.plain_writes:
            return rates.get('input')
        sold = [rates[name] for name in WRITES if name in rates]
        if meter != 'cache_write' or not sold:
            return None
        if len(sold) > 1 or 'cache_write_30m' in rates:
            # OpenAI also keeps for twelve hours, at twice this rate, which no meter has.
            doubts.append('cache_ttl')
        return sold[0]
    whole = _PART_OF.get(meter)
    if whole is None:
        return None
    doubts.append(f'rate of {meter}')
    return rates.get(whole) or _stand_in(whole, rates, card, doubts)


def _no_rate(meter: str, quantity: int, card: Card) -> str:
    if quantity < 0:
        return (
            f'the counts leave {quantity} tokens for {meter!r}: '
            'what was cached cannot be told apart by audio, image and text'
        )
    known = ', '.join(card.bands[-1].rates)
    return (
        f'no rate of {meter!r} for {card.model!r}, which used {quantity}; known: {known}; '
        'add one in an overlay file or as `override`'
    )


def _no_tool(tool: str, uses: int, card: Card) -> str:
    known = ', '.join(card.tools) or 'none'
    return (
        f'no price of the tool {tool!r} for {card.model!r}, which used it {uses} times; '
        f'known: {known}; add one in an overlay file or as `override`'
    )
