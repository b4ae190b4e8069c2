"""Errors of the command line: what a command raises, and how any error becomes one line and an exit code."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

__all__ = ["CommandError", "Failure", "describe_failure", "is_passing", "kafka_reason"]


class CommandError(Exception):
    """A command could not do what was asked; its text is the line the user reads."""


@dataclass(frozen=True)
class Failure:
    """What the user is told, and the process's exit code."""

    text: str
    exit_code: int


def is_passing(error: "KafkaError") -> bool:
    """Tell whether a consumer's error goes by itself while its client tries on. A topic that is gone is not one."""
    from odradek.errors import ErrorCode

    lost = (error._TRANSPORT, error._ALL_BROKERS_DOWN, error._TIMED_OUT, error._WAIT_COORD)  # noqa: SLF001  public spelling
    known = ErrorCode.__members__.values()
    retriable = {int(code) for code in known if code.retriable and code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    return not error.fatal() and (error.code() in lost or error.code() in retriable)


def kafka_reason(error: "KafkaError") -> str:
    """Return librdkafka's text of an error with Kafka's own name of it, without librdkafka's prefixes."""
    from odradek.errors import ErrorCode

    text = error.str()
    for prefix in ("Broker: ", "Local: "):
        text = text.removeprefix(prefix)
    known = ErrorCode.__members__.values()
    name = next((code.name for code in known if code == error.code()), None)
    return f"{text.rstrip('.')} ({name})" if name else text  # librdkafka's own errors, below -1, have no name


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
    from odradek.errors import InternalError, OdradekError

    if isinstance(error, OdradekError) and not isinstance(error, InternalError):
        return Failure(_one_line(str(error)), 1)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(_one_line(f"{where}{error.strerror or error}"), 1)
    if type(error).__name__ == "KafkaException":  # by name: the client library may not be loaded
        cause: Any = error.args[0]
        return Failure(_one_line(kafka_reason(cause)), 1)
    return Failure(
        _one_line(f"a bug in odradek: {type(error).__name__}: {error} (ODRADEK_DEBUG=1 shows where; please report it)"),
        1,
    )
