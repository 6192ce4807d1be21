"""What a scene of the demo gets: the simulated providers, a ledger, and tickets to work on.

A framework's adapter registers its scene under the entry point `farthing.demo`. A scene is a plain
callable: it takes a `Stage` and yields one description a ticket, just before it works on it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from farthing.ledger import Ledger

GROUP = 'farthing.demo'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One request to the support desk.

    Attributes:
        tenant: The customer of the desk, who pays.
        task: `triage`, `answer`, `summary` or `search`; `chat` asks `QUESTIONS` one by one with
            the whole `HANDBOOK` before them, and `chat-cached` does so with a prompt cache; `mail`
            answers all of `MAIL` with a strong model, and `mail-routed` each with the weakest one
            that will do; `session` answers one letter after the other with all before it, and
            `session-summed` with a summary of the old ones; `nightly` sums up documents at once,
            and `nightly-batched` in a batch.
        text: What was asked.
    """

    tenant: str
    task: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a scene plays.

    Attributes:
        anthropic_url: `base_url` for Anthropic's SDK.
        openai_url: `base_url` for OpenAI's SDK.
        api_key: Any key is a good key.
        ledger: Where calls are posted.
        tickets: What is worked on, in order.
    """

    anthropic_url: str
    openai_url: str
    api_key: str = 'simulated'
    ledger: Ledger
    tickets: tuple[Ticket, ...]


Scene = Callable[[Stage], Iterator[str]]

_ORDERS = {'acme': '4711', 'globex': '2048', 'initech': '1729'}
_LOG = ' '.join(
    f'line {n}: queue worker {n % 7} retried the job and went on;' for n in range(1, 1_600)
)

HANDBOOK = 'You work at the support desk of a shop. Be kind and brief. ' + ' '.join(
    f'Rule {n}: a parcel of kind {n % 9} that is {n} days late is refunded by {n % 50} percent.'
    for n in range(1, 181)
)
"""Instructions as long as those of real desks, some thousand tokens."""

QUESTIONS = (
    'My parcel is 12 days late. What do I get?',
    'And if it comes tomorrow?',
    'It was a gift. Does that change anything?',
    'Can you send the refund to another account?',
    'How long does that take?',
    'Thank you. Please sum up what we agreed.',
)

MAIL = (
    'What are your opening hours?',
    'Where do I find the form for returns?',
    'I was charged twice, and my bank wants your account of it. Please write it for them.',
    'Thanks, my parcel is here!',
    'What are your opening hours over the holidays?',
    'Your parcel broke my vase. Answer my claim for damages point by point.',
    'Which form do I need for a gift?',
    'Thanks for the quick answer.',
)
"""What comes by mail; most of it is easy."""

EASY = ('opening hours', 'form', 'thanks')
"""Words that tell easy mail from the rest."""

TICKETS = (
    *(
        Ticket(tenant=tenant, task=task, text=text)
        for tenant, order in _ORDERS.items()
        for task, text in (
            ('triage', f'Our order {order} has not arrived. Is that urgent?'),
            ('answer', f'Please look up order {order} and tell me its status and its price.'),
            ('search', f'What are the rules for returning order {order}?'),
            ('summary', f'Write 60 words about the case of order {order} for the next shift.'),
        )
    ),
    # The same conversation twice: its second invoice is what a prompt cache makes of the first.
    Ticket(tenant='hooli', task='chat', text='late parcel'),
    Ticket(tenant='hooli', task='chat-cached', text='late parcel'),
    # The same mail twice: its second invoice is what a router makes of the first.
    Ticket(tenant='soylent', task='mail', text='the morning mail'),
    Ticket(tenant='soylent', task='mail-routed', text='the morning mail'),
    # The same letters twice: its second invoice is what summaries, their own cost included, leave.
    Ticket(tenant='stark', task='session', text='sixty letters'),
    Ticket(tenant='stark', task='session-summed', text='sixty letters'),
    # The same documents twice: a batch sells them at half the price.
    Ticket(tenant='wayne', task='nightly', text='what came in today'),
    Ticket(tenant='wayne', task='nightly-batched', text='what came in today'),
    # One tenant sends whole logs and gets a word for each: `farthing findings` sees it.
    *(
        Ticket(tenant='umbrella', task='triage', text=f'Ticket {n}: answer in 3 words. {_LOG}')
        for n in range(1, 7)
    ),
)
"""A small day at the desk: three tenants of one size, and one each that talks, writes, is dear."""
