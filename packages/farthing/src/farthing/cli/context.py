"""`farthing context`: what policies of context control cost and find, and what they stored."""

import click

from farthing.cli.context_purge import purge
from farthing.cli.context_recall import recall
from farthing.cli.context_simulate import simulate


@click.group('context')
def command() -> None:
    """What context policies would have cost, what retrieval finds, and what is stored of it.

    \b
    Examples:
      farthing context simulate --traces sessions.jsonl.gz --model claude-sonnet-4-6
      farthing context recall --turns turns.jsonl --questions questions.jsonl --budget 2000
      farthing context purge --older-than 30d
    """  # noqa: D301 - click keeps lines after the character \b, which a raw text has not


command.add_command(simulate)
command.add_command(recall)
command.add_command(purge)
