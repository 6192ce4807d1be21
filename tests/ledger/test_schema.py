"""A released step of the schema never changes: other ledgers were made by it."""

from hashlib import sha256

from farthing.ledger.schema import MIGRATIONS

# Add a step and its digest. A digest that differs means that a step was changed after its release,
# for instance by a new dimension: write that as a step of its own.
RELEASED = {1: '048879c1ad0f2dad', 2: 'c24681a187496744', 3: '333d4bb4562cda87'}


def test_the_released_steps_are_unchanged() -> None:
    digests = {
        number: sha256('\n'.join(' '.join(sql.split()) for sql in step).encode()).hexdigest()[:16]
        for number, step in enumerate(MIGRATIONS, 1)
    }

    assert RELEASED == digests
