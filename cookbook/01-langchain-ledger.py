# # What did that agent cost? (LangChain)
#
# Needs `pip install langchain langchain-farthing[anthropic,openai]` and ANTHROPIC_API_KEY and
# OPENAI_API_KEY. To try it without keys, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to
# the address that it prints, OPENAI_BASE_URL to the same with `/v1`, and both keys to anything.

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

import farthing
from langchain_farthing import LedgerCallbackHandler, recording


@tool
def track(parcel: str) -> str:
    """Look up where a parcel is."""
    return f'Parcel {parcel} left the depot this morning.'


# ## 1. One callback
# Tenant and task travel in the call's metadata; every call of the agent inherits them.

handler = LedgerCallbackHandler()
agent = create_agent(ChatAnthropic(model='claude-sonnet-4-6', max_tokens=300), [track])
agent.invoke(
    {'messages': [('user', 'Track parcel 1234, please.')]},
    config={'callbacks': [handler], 'metadata': {'tenant': 'acme', 'task': 'tracking'}},
)
print('so far:', handler.spend.cost_usd, 'USD in', handler.spend.calls, 'calls')

# ## 2. No callback at all
# Inside the block every model call is recorded, streamed or not, whoever makes it.

writer = ChatOpenAI(model='gpt-5-mini', stream_usage=True)
with recording(tenant='globex', task='letters') as spend:
    for chunk in writer.stream('Write two lines to a customer whose parcel is late.'):
        print(chunk.text, end='')
print('\nthe letter cost', spend.cost_usd, 'USD;', spend.unpriced, 'calls without a price')

# ## 3. Read the ledger
# `farthing report --by tenant,task,model` prints the same.

report = farthing.Ledger.open().report(by=['tenant', 'task', 'model'])
for row in report.rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')
