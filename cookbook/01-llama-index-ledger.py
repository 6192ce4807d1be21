# # What did that query cost? (LlamaIndex)
#
# Needs `pip install llama-index-farthing[anthropic,openai] llama-index-embeddings-openai` and
# ANTHROPIC_API_KEY and OPENAI_API_KEY. To try it without keys, run `farthing-sim serve` and set
# ANTHROPIC_BASE_URL to the address that it prints, OPENAI_API_BASE to the same with `/v1`, and
# both keys to anything.

import os

from llama_index.core import Document, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI

import farthing
import llama_index_farthing

# ## 1. Switch it on, once per process

spend = llama_index_farthing.install().spend

# ## 2. Say who it is for
# The block carries through queries, agents and workflows, in sync and in async code.

documents = [Document(text='Parcels that are late by two days are refunded in full.')]
with farthing.attributed(tenant='acme', task='search'):
    index = VectorStoreIndex.from_documents(
        documents, embed_model=OpenAIEmbedding(model='text-embedding-3-small')
    )
    engine = index.as_query_engine(llm=OpenAI(model='gpt-5-mini'))
    print(engine.query('When is a parcel refunded?'))

with farthing.attributed(tenant='globex', task='letters'):
    writer = Anthropic(
        model='claude-sonnet-4-6',
        max_tokens=300,
        base_url=os.environ.get('ANTHROPIC_BASE_URL'),
    )
    for part in writer.stream_complete('Write two lines to a customer whose parcel is late.'):
        print(part.delta, end='')

print('\nall of it cost', spend.cost_usd, 'USD in', spend.calls, 'calls')

# ## 3. Read the ledger
# `farthing report --by tenant,task,model,call_type` prints the same.

report = farthing.Ledger.open().report(by=['tenant', 'task', 'model', 'call_type'])
for row in report.rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')
