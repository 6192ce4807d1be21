"""Results beside what the provider says of them: ids out are ids in, or it is told."""

from hypothesis import given
from hypothesis import strategies as st

from farthing.batching.tallying import Tally

fates = st.lists(
    st.sampled_from(['answered', 'failed', 'missing', 'twice', 'strange', 'silent']), max_size=30
)


@given(fates, st.randoms())
def test_whatever_becomes_of_results_is_counted_once_and_told(fates, random) -> None:
    lines = []
    for item, fate in enumerate(fates):
        answered = fate not in {'failed', 'missing'}
        one = (None if fate == 'strange' else item, answered, None if fate == 'silent' else 7)
        lines += [one] * {'missing': 0, 'twice': 2}.get(fate, 1)
    random.shuffle(lines)
    tally = Tally()
    for item, answered, tokens in lines:
        tally.add(item, answered=answered, tokens=tokens if answered else None)
    tally.missing = fates.count('missing')

    answers = sum(fate not in {'failed', 'missing'} for fate in fates)
    assert (answers, fates.count('twice')) == (tally.answered, tally.twice)
    assert fates.count('strange') == tally.strange
    assert (None if 'silent' in fates else 7 * answers) == tally.tokens
    odd = {'missing', 'twice', 'strange'} & {*fates}
    assert bool(odd) == bool(tally.notes(answered=answers, tokens=7 * answers))
    assert bool(tally.missing) == tally.in_doubt(answers + 1) == tally.in_doubt(None)
    assert not tally.in_doubt(answers)


def test_a_sum_that_the_provider_puts_higher_is_told() -> None:
    tally = Tally()
    tally.add(1, answered=True, tokens=10)

    assert tally.notes(answered=1, tokens=10) is None
    assert tally.notes(answered=None, tokens=None) is None
    assert '12 tokens by its own count, and 10' in str(tally.notes(answered=1, tokens=12))
