# # Half the input for a tenth of the price (LlamaIndex)
#
# Needs `pip install llama-index-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it without a
# key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.

import os
from datetime import UTC, datetime

from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic

import farthing
import llama_index_farthing
from llama_index_farthing import cached

HANDBOOK = ' '.join(f'Rule {n}: parcels of kind {n} are refunded in {n} days.' for n in range(400))
QUESTIONS = ['Where is my parcel?', 'It is late. What do I get?', 'When?', 'How?', 'Thank you!']

ledger = farthing.Ledger.open()
llama_index_farthing.install(ledger)
plain = Anthropic(
    model='claude-sonnet-4-6', max_tokens=200, base_url=os.environ.get('ANTHROPIC_BASE_URL')
)
# LlamaIndex drops a `CachePoint` in a system message; this mark reaches the provider.
fixed = Anthropic(
    model='claude-sonnet-4-6',
    max_tokens=200,
    base_url=os.environ.get('ANTHROPIC_BASE_URL'),
    additional_kwargs={'cache_control': {'type': 'ephemeral'}},
)


def talk(llm, task: str, rules=lambda: HANDBOOK) -> None:
    """One conversation: each question is asked with everything that was said before."""
    said = []
    with farthing.attributed(tenant='globex', task=task):
        for question in QUESTIONS:
            said.append(ChatMessage(role='user', content=question))
            answer = llm.chat([ChatMessage(role='system', content=rules()), *said])
            said.append(answer.message)


# ## 1. Before, with a fixed mark, and with farthing

talk(plain, 'plain')
talk(fixed, 'fixed mark')
talk(cached(plain, ledger=ledger), 'letters')
for row in ledger.report(by=['tenant', 'task']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# ## 2. A cache that never hits
# Somebody put the time into the system prompt. Nothing before it can be read again.

talk(
    cached(plain, ledger=ledger),
    'clock',
    rules=lambda: f'It is {datetime.now(UTC).isoformat()}. {HANDBOOK}',
)
for row in ledger.report(by=['task', 'cache_cause'], where={'task': 'clock'}).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# `farthing cache explain --where task=clock` tells where: `system[0]` changed on every call.
