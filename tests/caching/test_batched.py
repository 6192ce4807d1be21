"""Marks of requests that wait for a batch: where others like them are, as long as batches read."""

from farthing import PriceBook, Usage
from farthing.caching.batched import batched_lesson, plan_batched, read_share
from farthing.caching.rates import rates
from farthing.caching.state import InMemory
from farthing.prices.quote import Terms

from .shapes import DAY
from .test_plan import SOL, anthropic, paths

BATCH = rates(PriceBook.load(), 'anthropic', 'claude-sonnet-4-5', DAY, terms=Terms(batch=True))
ASKED = anthropic('one')
READ = Usage(input_tokens=4_000, output_tokens=1, cache_read_tokens=3_000)
WRITTEN = Usage(
    input_tokens=4_000, output_tokens=1, cache_write_tokens=3_000, cache_write_1h_tokens=3_000
)


def sent(memory, prompt=ASKED, at=0.0, found=BATCH):
    made = plan_batched(prompt, found, memory, at)
    memory.learn(made.learned)
    return made


def test_the_second_request_that_begins_alike_is_marked_for_an_hour():
    memory = InMemory()

    assert 'not_worth_it' == sent(memory).unmarked
    made = sent(memory, anthropic('two'), 0.001)
    assert [(('system', 0), '1h')] == paths(made)
    assert made.cold
    # 64 of 100 read at a tenth of the input, the others write at twice of it.
    tokens = made.saving / (BATCH.input * (1 - 0.64 * 0.1 - 0.36 * 2))
    assert 3_000 < tokens < 8_000
    assert 'not_worth_it' == sent(memory, anthropic('three'), 3_601).unmarked


def test_what_batches_did_not_read_is_not_marked_until_they_read():
    memory = InMemory()
    sent(memory)
    made = sent(memory)
    # (8 * 0.64 + 0) / (8 + 2) is 0.512, and 0.526 is where reading pays for writing.
    for _ in range(2):
        memory.learn(batched_lesson(made, WRITTEN))
    assert 0.512 == round(read_share(memory), 3)
    assert '51% of the marked requests of batches read' == sent(memory).reason

    memory.learn(batched_lesson(made, READ))
    assert 0.556 == round(read_share(memory), 3)
    assert sent(memory).marks


def test_nothing_is_learned_of_requests_without_a_mark_or_without_a_cache():
    memory = InMemory()
    bare, marked = sent(memory), sent(memory)
    memory.learn(batched_lesson(bare, READ))
    memory.learn(batched_lesson(marked, Usage(input_tokens=4_000, output_tokens=1)))

    assert 0.64 == round(read_share(memory), 3)


def test_what_cannot_be_marked_says_why():
    memory = InMemory()
    own = anthropic('one', system=[{'type': 'text', 'text': 'x', 'cache_control': {}}])

    assert 'no_slot' == sent(memory, own).unmarked
    assert 'no_block' == sent(memory, anthropic('one', system=None, tools=[])).unmarked
    assert 'below_minimum' == sent(memory, anthropic('one', system='short')).unmarked
    assert 'automatic' == sent(memory, found=SOL).unmarked
    assert 'unknown_model' == sent(memory, found=None).unmarked
    assert 'malformed' == sent(memory, anthropic('one', tools='none')).unmarked
