"""The `odradek` command: table of commands, and the one place that turns errors into a line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM. An error is one line on stderr that says what
went wrong and what to do. Nothing heavy is imported here: each command's module loads when the command runs, and
imports its client library inside the function that needs it. Read `command.py` next (how commands and their help are
built), then the module of the command you care about.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from odradek.cli.command import LazyGroup
from odradek.cli.failures import describe_failure

__all__ = ["main", "odradek"]

COMMANDS = {
    "bench": "odradek.cli.bench:bench",
    "completion": "odradek.cli.completion:completion",
    "configs": "odradek.cli.configs:configs",
    "consume": "odradek.cli.consume:consume",
    "doctor": "odradek.cli.doctor:doctor",
    "groups": "odradek.cli.groups:groups",
    "log": "odradek.cli.log:log",
    "metadata": "odradek.cli.metadata:metadata",
    "produce": "odradek.cli.produce:produce",
    "serve": "odradek.cli.serve:serve",
    "topics": "odradek.cli.topics:topics",
}


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"odradek {version('odradek')}")
        except PackageNotFoundError:
            click.echo("odradek (from a source tree, not installed)")
        context.exit()


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    examples=(
        "odradek serve --data-dir /var/lib/odradek",
        "odradek topics create orders --partitions 6",
        "odradek produce orders --file orders.jsonl",
        "odradek consume orders --from-beginning --max-messages 10",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Show the version."
)
def odradek() -> None:
    """An event broker that speaks Kafka's protocol, and the tools for it.

    The tools work against any Kafka broker; `log` and `metadata` read files of a data directory.
    """


def _run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code, having told about any failure on stderr."""
    try:
        with odradek.make_context("odradek", list(arguments)) as context:
            odradek.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        # The reader (`| head`) has had enough. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        if os.environ.get("ODRADEK_DEBUG"):
            raise
        failure = describe_failure(error)
        click.echo(failure.text, err=True)
        return failure.exit_code
    return 0


def _open_missing_streams() -> None:
    """Put /dev/null where the caller has closed a standard stream (`<&-`), for which Python has None."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123  for the life of the process
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the `odradek` command and exit.

    Args:
        arguments: what follows the program's name; None means `sys.argv`.
    """
    if "_ODRADEK_COMPLETE" in os.environ:
        odradek.main(prog_name="odradek")  # click answers the shell's completion request and exits
    _open_missing_streams()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))
