"""The command `farthing`: one module a verb, imported when that verb is called.

Whatever goes wrong ends in one line on stderr that says what was seen, what was expected and what
to do, and in the exit code 2. A check that found something ends with 1.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click

from farthing.errors import FarthingError

FOUND = 1
"""A check found something, or a price is missing."""
BAD_INPUT = 2
"""An argument, a file or a ledger cannot be taken."""
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_VERBS: Mapping[str, str] = MappingProxyType(
    {
        'demo': 'Run a support desk on simulated providers and show its bill.',
        'report': 'What calls cost: by tenant, task, model, day ...',
        'entries': 'The latest entries of the ledger, one a line.',
        'findings': 'Where money leaks: dear tenants, loops, idle caches, unpriced models.',
        'cache': 'Why calls missed the prompt cache, and what caching could save.',
        'price': 'The price of a usage object, or of a file of them.',
        'batch': 'Many requests at half the price, each paid once: jobs in batches.',
        'context': 'What context policies would have cost, and what retrieval finds.',
        'prices': 'Show and check the price book, compare it.',
        'router': 'Calibrate a router on your own labelled queries, judge it, watch it.',
        'reprice': 'Price stored calls again by the book of today; both figures are kept.',
        'verify': 'Check that the ledger is whole and its sums are right.',
    }
)


class Refusal(click.ClickException):
    """A verb's error, as one line."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class Verbs(click.Group):
    """A group whose commands are imported when called, and whose errors are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs, in the order of the help."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's own command."""
        if cmd_name not in _VERBS:
            return None
        return _unwrapped(import_module(f'farthing.cli.{cmd_name}').command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing them."""
        with formatter.section('Commands'):
            formatter.write_dl(list(_VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; its errors are told under its name."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (FarthingError, OSError) as error:
            path = f'{ctx.command_path} {ctx.invoked_subcommand or ""}'.rstrip()
            raise Refusal(path, str(error)) from error

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - the same name however it is started
        **extra: Any,
    ) -> None:
        """Run the command line and exit."""
        extra['standalone_mode'] = False
        sys.exit(_exit_code(lambda: super(Verbs, self).main(args, 'farthing', **extra)))


def _unwrapped(command: click.Command) -> click.Command:
    r"""The command, whose help says \b where click shall not wrap a paragraph.

    Docstrings are raw and hold two characters; click looks for the control character.
    """
    command.help = (command.help or '').replace('\\b\n', '\b\n')
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _unwrapped(inner)
    return command


def _exit_code(run: Callable[[], object]) -> int:
    try:
        code = run()
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.Abort:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not flush into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Refusal as error:
        return _refused(error.path, error.message)
    except click.ClickException as error:
        ctx = getattr(error, 'ctx', None)
        path = ctx.command_path if ctx else 'farthing'
        return _refused(path, f'{error.format_message()} (see `{path} --help`)')
    return code if isinstance(code, int) else 0


def _refused(path: str, message: str) -> int:
    click.echo(f'{path}: {" ".join(message.split())}', err=True)
    return BAD_INPUT


@click.group(
    cls=Verbs, no_args_is_help=True, context_settings={'help_option_names': ['-h', '--help']}
)
@click.version_option(package_name='farthing')
def main() -> None:
    r"""An exact cost ledger for agent tokens.

    \b
    Examples:
      farthing demo                                    see it work: no key, no network
      farthing report --by tenant,task,model,call_type
      farthing report --by day,tenant --since 30d --where task=triage --format csv
      farthing price --provider anthropic --api anthropic_messages \
          --model claude-sonnet-4-5 --at 2026-06-01 --usage-json usage.json

    \b
    Exit codes:
      0  done
      1  a check found something (`verify`, `prices check`, `findings --fail`),
         or `price` found no price
      2  bad input: one line on stderr says what was seen and what to do

    The ledger is `farthing.db` in the working directory, or what FARTHING_LEDGER or `--ledger`
    names. FARTHING_PRICES names a file of your own prices, laid over the book.
    """


_unwrapped(main)
