"""The meter: who called, what it cost, posted once."""

from farthing.meter.account import Account, ambient, decide, post
from farthing.meter.meter import Meter
from farthing.meter.observed import Observed
from farthing.meter.runs import Run, claim, close, ended, find, here, in_run, opened, sent
from farthing.meter.spend import Spend
from farthing.meter.sweep import sweep

__all__ = [
    'Account',
    'Meter',
    'Observed',
    'Run',
    'Spend',
    'ambient',
    'claim',
    'close',
    'decide',
    'ended',
    'find',
    'here',
    'in_run',
    'opened',
    'post',
    'sent',
    'sweep',
]
