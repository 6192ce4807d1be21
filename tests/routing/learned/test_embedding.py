"""The policy of examples, with an embedding that a reader can compute."""

import pytest

from farthing.errors import InputError
from farthing.routing import Embedding, Query


def embed(texts):
    """How often a text says each of three words."""
    return [
        [float(text.split().count(word)) for word in ('prove', 'thanks', 'x')] for text in texts
    ]


EXAMPLES = {'light': ['thanks', 'thanks x'], 'heavy': ['prove', 'prove prove x']}


def test_the_nearest_examples_name_the_route():
    policy = Embedding.of(EXAMPLES, embed)

    # `thanks thanks` is at cosine 1 and .7071 to the light examples, and at 0 to the heavy ones.
    found = policy.choose(Query(text='thanks thanks'))

    assert 'light' == found.route
    assert {'light': pytest.approx(0.85355, abs=1e-5), 'heavy': 0.0} == dict(found.scores)


def test_what_is_like_no_example_gets_no_opinion():
    assert Embedding.of(EXAMPLES, embed).choose(Query(text='something else')) is None


def test_the_version_changes_with_the_examples_and_no_text_is_kept():
    policy, other = Embedding.of(EXAMPLES, embed), Embedding.of({**EXAMPLES, 'x': ['x']}, embed)

    assert policy.version != other.version
    assert 'prove' not in repr(policy)


@pytest.mark.parametrize('examples', [{}, {'light': []}])
def test_a_route_without_examples_is_refused(examples):
    with pytest.raises(InputError, match='give one or more for each'):
        Embedding.of(examples, embed)
