# # The cheapest model that is good enough, and one that is not (LlamaIndex)
#
# Needs `pip install llama-index-farthing[anthropic]` and ANTHROPIC_API_KEY. To try it without a
# key, run `farthing-sim serve` and set ANTHROPIC_BASE_URL to the address that it prints.

import os

from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic

import farthing
from farthing.routing import Evidence
from llama_index_farthing import Bar, RouterLLM, Rules

URL = os.environ.get('ANTHROPIC_BASE_URL')
ASKED = {
    'tags': 'Name the department for this mail in at most 3 words: parcel {} is late.',
    'letters': 'Answer this mail in 60 words: parcel {} came broken, and I want my money back.',
}

ledger = farthing.Ledger.open()
routes = {
    # Its answers end after 40 tokens: a downgrade that nobody notices on the invoice.
    'light': Anthropic(model='claude-haiku-4-5', max_tokens=40, base_url=URL),
    'heavy': Anthropic(model='claude-opus-4-7', max_tokens=400, base_url=URL),
}


def day(llm, session: str, size: int) -> None:
    """The mail of a day: a tag for each, and a letter."""
    for task, text in ASKED.items():
        with farthing.attributed(tenant='globex', task=task, session=session):
            for number in range(size):
                llm.chat([ChatMessage(role='user', content=text.format(number))])


# ## 1. Ask whether it would do, while Opus serves
# The wish is to have Haiku do it all. In shadow mode Opus answers, Haiku is asked behind the
# scenes, and a grader compares: here an answer is good where it is whole. It may be any function.


def whole(graded) -> float:
    return float(graded.answer.complete and bool(graded.answer.text))


wish = {
    'routes': routes,
    'policy': Rules.of([{'route': 'light', 'tasks': ['tags', 'letters']}]),
    'default': 'heavy',
    'bar': Bar(margin=0.1),  # on average at most so much worse, on a scale of 0 to 1
    'grader': whole,
    'shadow_budget_usd': 1,
    'ledger': ledger,
}
llm = RouterLLM(**wish, shadow_share=1)
day(llm, 'before', 50)
llm.wait()

# ## 2. What the evidence says
# Haiku has proved good enough for tags. For letters it has not: they end in the middle.

ledger.flush()
for verdict in Evidence.of(ledger.pairs(), bar=wish['bar']).verdicts:
    print(verdict.text)

# ## 3. The same code on the next day
# Haiku serves the tags now, and Opus the letters. A few calls are still compared, so that a
# model that gets worse is noticed and the task returns to Opus.

llm = RouterLLM(**wish, shadow_share=0.05)
day(llm, 'after', 50)
llm.wait()

# ## 4. The invoice before and after
# With what the comparison cost (`shadow`): a saving is net of it.

for row in ledger.report(by=['tenant', 'task', 'session', 'purpose', 'model']).rows:
    print(*row.keys.values(), row.calls, 'calls', row.cost_usd, 'USD')

# ## 5. The antipattern: downgrade first, ask later
# `mode='active'` has Haiku serve the letters, too, and the invoice looks splendid.

day(RouterLLM(**wish | {'grader': None}, mode='active'), 'unasked', 5)
for row in ledger.report(by=['task', 'route'], where={'session': 'unasked'}).rows:
    print('unasked', *row.keys.values(), row.calls, 'calls,', row.routed.unproven, 'unproven')

# `farthing report --by task,route` prints the same; `farthing router eval` says what is missing.
