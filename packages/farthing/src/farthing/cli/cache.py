"""`farthing cache`: why calls missed the prompt cache, and what caching would cost."""

import click

from farthing.cli import cache_explain, cache_simulate


@click.group('cache', no_args_is_help=True)
def command() -> None:
    """Prompt caches: why calls missed, and what other policies would have cost."""


command.add_command(cache_explain.command)
command.add_command(cache_simulate.command)
