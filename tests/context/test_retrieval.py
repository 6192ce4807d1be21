"""Finding old texts again."""

import pytest

from farthing.context import Memory
from farthing.context.bm25 import Bm25
from farthing.context.rankers import ranker
from farthing.context.ranking import fused
from farthing.errors import InputError

TALK = (
    'user: Where did you hike in the summer?',
    'assistant: In the Dolomites, for a week.',
    'user: And how was the weather?',
    'assistant: It rained twice.',
    'user: My invoice 4711 is wrong.',
    'assistant: I corrected its amount.',
)


def filled(memory: Memory, texts=TALK, tokens: int = 10) -> Memory:
    for text in texts:
        memory.add(text, tokens)
    return memory


def ranked(query: str) -> list[int]:
    index = Bm25()
    for text in TALK:
        index.add(text)
    return index.rank(query)


def test_words_are_found_in_other_forms_and_the_answer_beside_its_question() -> None:
    assert [0, 1] == ranked('Which hikes did I make?')[:2]
    assert [4, 5] == ranked('invoice 4711')[:2]


def test_a_query_that_shares_no_word_finds_nothing() -> None:
    assert [] == ranked('quantum gravity')
    assert [] == ranked('')
    assert [] == Bm25().rank('hike')


def test_a_budget_is_filled_with_the_best_and_given_back_in_order() -> None:
    memory = filled(Memory())

    assert (0, 1) == memory.find('hiking in summer', range(6), 20)
    assert (1,) == memory.find('hiking in summer', range(1, 6), 10)
    assert () == memory.find('hiking in summer', range(6), 9)


def test_a_text_that_does_not_fit_is_passed_over() -> None:
    memory = Memory()
    memory.add('the hike', 500)
    memory.add('a hike of ours', 20)

    assert (1,) == memory.find('hike', range(2), 100)


def test_an_index_that_grew_is_the_same_as_one_made_at_once() -> None:
    memory = filled(Memory(), TALK[:3])
    memory.find('hike', range(3), 100)

    assert filled(Memory()).find('hike rain', range(6), 30) == filled(memory, TALK[3:]).find(
        'hike rain', range(6), 30
    )


def test_two_sessions_find_what_they_would_alone() -> None:
    other = ('user: The hike of another customer.', 'assistant: Noted.')
    mine, theirs = Memory(), Memory()
    for at, text in enumerate(TALK):
        mine.add(text, 10)
        if at < len(other):
            theirs.add(other[at], 10)
        theirs.find('hike', range(len(theirs)), 100)

    assert filled(Memory()).find('hike', range(6), 40) == mine.find('hike', range(6), 40)
    assert filled(Memory(), other).find('hike', range(2), 40) == theirs.find('hike', range(2), 40)


def test_who_stands_high_in_both_orders_stands_first() -> None:
    assert [2, 4, 1, 3] == fused([[1, 2, 3], [4, 2]])
    assert [3, 1] == fused([[3, 1]])


def test_rankers_by_embeddings_join_those_by_words() -> None:
    pytest.importorskip('numpy')
    from farthing.context.embedded import Embedded  # noqa: PLC0415 - numpy is an extra

    asked: list[int] = []

    def embed(texts: list[str]) -> list[list[float]]:
        """Three words are all that this model knows; the second means the same as the first."""
        asked.append(len(texts))
        return [
            [float('hike' in text or 'walk' in text), float('invoice' in text), 0.0]
            for text in texts
        ]

    memory = filled(Memory([Embedded(embed), Bm25()]))

    assert (0,) == memory.find('a walk', range(6), 10)
    assert (4,) == memory.find('an invoice', range(6), 10)
    assert [6, 1, 1] == asked


@pytest.mark.parametrize('name', ['wordllama', 'minilm'])
def test_an_extra_that_is_missing_is_named(name: str) -> None:
    try:
        made = ranker(name)
    except InputError as error:
        assert f"pip install 'farthing[{name}]'" in str(error)  # noqa: PT017 - or it is installed
        return
    filled(Memory([made]))


def test_a_ranker_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="no ranker 'oracle': expected one of bm25"):
        ranker('oracle')
