"""The nightly job of the demo: documents that are summed up, at once or in a batch overnight."""

DOCUMENTS = tuple(
    f'Write 40 words about file {number}. '
    + ' '.join(f'Note {note}: the parcel was late by {note % 5} days.' for note in range(1, 30))
    for number in range(1, 13)
)
"""What came in over the day; nobody waits for the summaries before the morning."""

POLL_S = 0.05
"""How often the simulated provider is asked, whose batches take no time."""
