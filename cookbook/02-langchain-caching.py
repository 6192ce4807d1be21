# # Half the input for a tenth of the price (LangChain)
#
# Needs `pip install langchain langchain-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it
# without a key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.

from datetime import UTC, datetime

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage

import farthing
from langchain_farthing import LedgerCallbackHandler, cached

HANDBOOK = ' '.join(f'Rule {n}: parcels of kind {n} are refunded in {n} days.' for n in range(400))
QUESTIONS = ['Where is my parcel?', 'It is late. What do I get?', 'When?', 'How?', 'Thank you!']

ledger = farthing.Ledger.open()
handler = LedgerCallbackHandler(ledger, tenant='globex')
plain = ChatAnthropic(model='claude-sonnet-4-6', max_tokens=200)


def talk(model, task: str, rules=lambda: HANDBOOK, mark=None) -> None:
    """One conversation: each question is asked with everything that was said before."""
    config = {'callbacks': [handler], 'metadata': {'task': task}}
    said = []
    for question in QUESTIONS:
        system = [{'type': 'text', 'text': rules(), **({'cache_control': mark} if mark else {})}]
        said.append(HumanMessage(question))
        said.append(model.invoke([SystemMessage(system), *said], config))


# ## 1. Before: every question pays for the whole handbook

talk(plain, 'plain')

# ## 2. A fixed mark: better, and blind
# It is written again after each pause, and what is said since is paid in full each time.

talk(plain, 'fixed mark', mark={'type': 'ephemeral'})

# ## 3. farthing: one line
# It marks what will be read again, for as long as it will be, and leaves alone what will not.

talk(cached(plain, ledger=ledger), 'letters')

# ## 4. The invoice before and after

for row in ledger.report(by=['tenant', 'task']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# ## 5. A cache that never hits
# Somebody put the time into the system prompt. Nothing before it can be read again.

talk(
    cached(plain, ledger=ledger),
    'clock',
    rules=lambda: f'It is {datetime.now(UTC).isoformat()}. {HANDBOOK}',
)
for row in ledger.report(by=['task', 'cache_cause'], where={'task': 'clock'}).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# `farthing cache explain --where task=clock` tells where: `system[0]` changed on every call.
