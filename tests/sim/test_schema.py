"""Examples that follow a JSON schema, and a tokenizer that loses nothing."""

import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from farthing_sim import tokens
from farthing_sim.schema import example


class Colour(enum.Enum):
    RED = 'red'
    BLUE = 'blue'


class Leaf(BaseModel):
    kind: Literal['leaf']
    size: Annotated[int, Field(gt=-1000, lt=1000)]


class Tree(BaseModel):
    colour: Colour
    children: list['Tree'] = Field(min_length=0)
    parent: 'Tree | None'
    leaf: Leaf | None


TYPES = [
    int, float, bool, str, list[str], dict[str, int], Colour, Leaf, Tree, dt.date,
    dt.datetime, dt.time, dt.timedelta, uuid.UUID, decimal.Decimal, int | None,
    Annotated[int, Field(ge=10, le=20)], Annotated[float, Field(gt=0, lt=1)],
    Annotated[int, Field(multiple_of=7, gt=7)], Annotated[str, Field(min_length=40)],
    Annotated[str, Field(max_length=3)], Annotated[str, Field(pattern=r'^[A-Z]\d$')],
    Annotated[list[int], Field(min_length=2, max_length=3)], tuple[int, str, bool],
]  # fmt: skip


@pytest.mark.parametrize('type_', TYPES, ids=str)
@given(text=st.text(max_size=60))
def test_an_example_is_accepted_by_its_schema_whatever_the_user_says(type_, text):
    adapter = TypeAdapter(type_)
    value = example(adapter.json_schema(), text)

    adapter.validate_python(value, strict=False)
    assert value == example(adapter.json_schema(), text)


def test_values_are_taken_from_what_the_user_says():
    schema = {
        'type': 'object',
        'properties': {
            'order_id': {'type': 'string'},
            'amount': {'type': 'number'},
            'reason': {'type': 'string'},
            'city': {'type': 'string'},
            'colour': {'enum': ['red', 'blue']},
        },
        'required': ['order_id', 'amount', 'reason', 'city', 'colour'],
    }
    said = "Refund 12.5 for A-1042 to the shop in New York, the blue one: 'broken lid'."

    assert {
        'order_id': 'A-1042',
        'amount': 12.5,
        'reason': 'broken lid',
        'city': 'New York',
        'colour': 'blue',
    } == example(schema, said)


@given(st.text())
def test_the_pieces_of_a_text_join_up_to_it(text):
    assert text == ''.join(tokens.pieces(text))
    assert len(tokens.pieces(text)) == tokens.count(text)


@given(st.text(), st.text())
def test_a_text_counts_as_much_in_blocks_as_by_itself(one, other):
    blocks = [{'type': 'text', 'text': one}, {'type': 'text', 'text': other}]

    assert tokens.count(one) + tokens.count(other) == tokens.count_content(blocks)
