"""What the clients warn of, shown to who runs a command: a line each on stderr. The library itself prints nothing."""

import logging

import click

__all__ = ["show_warnings"]


class _Lines(logging.Handler):
    """Writes to what `sys.stderr` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


_LINES = _Lines(logging.WARNING)


def show_warnings() -> None:
    """From now on; to call it again changes nothing."""
    logging.getLogger("odradek.client").addHandler(_LINES)
