"""`farthing context`: what policies of context control cost and find, on your own sessions."""

import click

from farthing.cli.context_recall import recall
from farthing.cli.context_simulate import simulate


@click.group('context')
def command() -> None:
    """What context policies would have cost, and whether retrieval finds what is needed.

    \b
    Examples:
      farthing context simulate --traces sessions.jsonl.gz --model claude-sonnet-4-6
      farthing context recall --turns turns.jsonl --questions questions.jsonl --budget 2000
    """  # noqa: D301 - click keeps lines after the character \b, which a raw text has not


command.add_command(simulate)
command.add_command(recall)
