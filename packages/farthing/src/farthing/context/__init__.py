"""Context control: which part of a history the next call is sent, by what that costs.

    counter = Counter('anthropic', 'claude-sonnet-4-6')
    history = History(blocks=blocks(parts, counter.tokens, key=key), fixed_tokens=tool_tokens)
    setting = Setting(rates=Tariff(book, call).rates, now=now)
    planned = plan(Chain(policies=(ClearToolResults(), Window())), history, state, setting)

`planned.view` names the blocks to send, `planned.state` is kept for the next call, and
`planned.decision` says what changed and what it costs and saves.
"""

from farthing.context.chain import Chain
from farthing.context.clearing import ClearToolResults
from farthing.context.counting import Count, Counter, Ratio
from farthing.context.memory import Memory
from farthing.context.parts import Part, blocks
from farthing.context.planning import CLEARED, Policy, plan
from farthing.context.rates import Rates, Tariff
from farthing.context.select import Select
from farthing.context.stored import dump, load
from farthing.context.summary import PeriodicSummary, failed, summarised
from farthing.context.values import (
    Block,
    Decision,
    History,
    Plan,
    Request,
    Setting,
    State,
    Summary,
    View,
)
from farthing.context.window import TrimWhenCold, Window

__all__ = [
    'CLEARED',
    'Block',
    'Chain',
    'ClearToolResults',
    'Count',
    'Counter',
    'Decision',
    'History',
    'Memory',
    'Part',
    'PeriodicSummary',
    'Plan',
    'Policy',
    'Rates',
    'Ratio',
    'Request',
    'Select',
    'Setting',
    'State',
    'Summary',
    'Tariff',
    'TrimWhenCold',
    'View',
    'Window',
    'blocks',
    'dump',
    'failed',
    'load',
    'plan',
    'summarised',
]
