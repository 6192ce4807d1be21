"""Reading a large array of JSON objects piece by piece."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing_sim.json_array import ArrayError, objects

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ITEMS = st.lists(st.dictionaries(st.text(), VALUES), max_size=5)


@given(ITEMS, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_objects_are_the_same_wherever_the_text_is_cut(items, size, indent, ascii_only):
    text = json.dumps({'requests': items}, indent=indent, ensure_ascii=ascii_only).encode()
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    found = list(objects(parts, 'requests'))

    assert items == [value for _, value in found]
    assert items == [json.loads(written) for written, _ in found]


@pytest.mark.parametrize('text', [
    b'', b'[]', b'{}', b'{"other": []}', b'{"requests": 1}', b'{"requests": [1]}',
    b'{"requests": [{}, ]}', b'{"requests": [, {}]}', b'{"requests": [{} {}]}',
    b'{"requests": [{}]', b'{"requests": [{}]} x', b'{"requests": [{}], "more": 1}',
    b'{"requests": [{"a": }]}', b'{"requests": [{"a": "\xff"}]}',
])  # fmt: skip
def test_what_is_no_such_array_is_refused(text):
    with pytest.raises(ArrayError):
        list(objects([text[:7], text[7:]], 'requests'))
