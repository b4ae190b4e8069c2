"""Errors of the command line: what a command raises, and how any error becomes one line and an exit code."""

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from odradek.errors import OdradekError

__all__ = ["CommandError", "Failure", "describe_failure", "is_passing", "reason"]

_CURES = {
    errno.EADDRINUSE: "; another process has this port: stop it, or choose one with --listen (0 = any)",
    errno.EADDRNOTAVAIL: "; this machine has no such address: 127.0.0.1 is this machine only, 0.0.0.0 is everywhere",
    errno.ENOSPC: "; make room on the disk, or write elsewhere",
}
"""What to do, by the system's error number."""


class CommandError(Exception):
    """A command could not do what was asked; its text is the line the user reads."""


@dataclass(frozen=True)
class Failure:
    """What the user is told, and the process's exit code."""

    text: str
    exit_code: int


def is_passing(error: "OdradekError") -> bool:
    """Tell whether a client's error goes by itself while it tries on. A topic that is gone is not one."""
    from odradek.errors import RetriableError, UnknownTopicOrPartitionError

    return isinstance(error, RetriableError) and not isinstance(error, UnknownTopicOrPartitionError)


def reason(error: Exception) -> str:
    """Return an error's text, with Kafka's name of the code that a broker answered."""
    from odradek.errors import KafkaError

    text = str(error).rstrip(".")
    if isinstance(error, KafkaError) and error.error_code.name not in text:  # errors of the data path say it themselves
        return f"{text} ({error.error_code.name})"
    return text


def _usage_failure(error: click.UsageError) -> Failure:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Failure(error.format_message(), error.exit_code)
    see = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
    return Failure(_one_line(f"{error.format_message().rstrip('.')}{see}"), error.exit_code)


def _one_line(text: str) -> str:
    return "odradek: " + re.sub(r"\s*\n\s*", " ", text.strip())


def describe_failure(error: Exception) -> Failure:
    """Say an error in one line.

    Unknown errors are bugs of ours: the line says so, and how to get the traceback.
    """
    if isinstance(error, click.UsageError):
        return _usage_failure(error)
    if isinstance(error, click.ClickException):
        return Failure(_one_line(error.format_message()), error.exit_code)
    if isinstance(error, CommandError):
        return Failure(_one_line(str(error)), 1)
    from odradek.errors import ConfigError, InternalError, OdradekError

    if isinstance(error, ConfigError):  # what was typed, or what a file says that was named
        return Failure(_one_line(str(error)), 2)
    if isinstance(error, OdradekError) and not isinstance(error, InternalError):
        return Failure(_one_line(reason(error)), 1)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(_one_line(f"{where}{error.strerror or error}{_CURES.get(error.errno or 0, '')}"), 1)
    return Failure(
        _one_line(f"a bug in odradek: {type(error).__name__}: {error} (ODRADEK_DEBUG=1 shows where; please report it)"),
        1,
    )
