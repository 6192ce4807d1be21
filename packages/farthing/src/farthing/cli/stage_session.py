"""The long session of the demo: letters that are answered one by one, by either framework."""

KEEP_TURNS = 2
LETTERS = 60
_STORY = 'The parcel was to come last week. Nobody rang, and no card was left. ' * 12


def rules(case: str) -> str:
    """The system text of a session; no two sessions share a cached prefix, as no two cases do."""
    return f'You work at the support desk of a shop. Be kind and brief. The case: {case}.'


def letters() -> tuple[str, ...]:
    """What is asked in a session, in order."""
    return tuple(f'Letter {n}: {_STORY}What do I answer?' for n in range(1, LETTERS + 1))
