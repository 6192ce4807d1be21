"""`farthing cache`: what prompt caches saved, and what they missed."""

import click

from farthing.cli import cache_explain


@click.group('cache', no_args_is_help=True)
def command() -> None:
    """Prompt caches: why calls missed, and what it cost."""


command.add_command(cache_explain.command)
