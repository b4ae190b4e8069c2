"""`odradek serve`: run a broker until it is told to stop.

Only options, logging and signals are here; what a broker is made of: `odradek.broker.server` and `control`.
"""

import gc
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from odradek.cli.command import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odradek.broker.server import Server
    from odradek.cli.signals import StopRequest
    from odradek.config.broker import BrokerSettings

__all__ = ["serve"]


@click.command(
    cls=Command,
    examples=(
        "odradek serve --data-dir /var/lib/odradek",
        "odradek serve --data-dir data --listen 0.0.0.0:9092 --advertise broker1.example.org:9092",
        "odradek serve --config server.properties --set num.partitions=6",
    ),
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where everything is kept (log.dirs); made if missing."
)
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to listen (listeners); port 0 = any. Default 127.0.0.1:9092."
)
@click.option("--advertise", metavar="HOST:PORT", help="What clients are told to connect to (advertised.listeners).")
@click.option("--config", "file", type=click.Path(path_type=Path), help="A server.properties file, or TOML.")
@click.option(
    "--set", "sets", metavar="KEY=VALUE", multiple=True, help="One setting under Kafka's name; may be repeated."
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def serve(
    data_dir: Path | None,
    listen: str | None,
    advertise: str | None,
    file: Path | None,
    sets: "Sequence[str]",
    log_format: str,
    log_level: str,
) -> None:
    """Run a broker.

    Prints one line on stdout when it answers requests of every kind; logs go to stderr. SIGTERM or Ctrl-C stops it:
    requests under way are finished, what is needed for a quick next start is written.
    """
    from odradek.config.address import parse_address
    from odradek.config.broker import BrokerSettings
    from odradek.config.files import parse_assignments, read_file

    texts = {} if file is None else read_file(file)
    texts |= parse_assignments(sets)
    if data_dir is not None:
        texts.pop("log.dir", None)
        texts["log.dirs"] = str(data_dir)
    if listen is not None:
        texts["listeners"] = f"PLAINTEXT://{parse_address(listen, '--listen')}"
    if advertise is not None:
        texts["advertised.listeners"] = f"PLAINTEXT://{parse_address(advertise, '--advertise')}"
    if "log.dirs" not in texts and "log.dir" not in texts:
        raise click.UsageError("give --data-dir, or log.dirs in --config")
    settings = BrokerSettings(texts)
    _set_up_logging(log_format, log_level)
    _serve(settings)


def _serve(settings: "BrokerSettings") -> None:
    """Have Rust serve, then load what decides; a signal that comes in between ends the broker in good order, too."""
    from odradek.broker.server import Server
    from odradek.cli.signals import stop_on_signals

    with stop_on_signals() as asked:
        server = Server(settings)
        server.start()
        try:
            import asyncio

            asyncio.run(_decide(server, asked))
        finally:
            server.close()


async def _decide(server: "Server", asked: "StopRequest") -> None:
    import asyncio

    from odradek.broker.control import ControlPlane
    from odradek.broker.warm_up import warm_up

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if asked:
        stopping.set()
    control = ControlPlane(server)
    await control.start()
    if not asked:
        click.echo(f"odradek ready on {server.address}")
    gc.freeze()  # what was made so far stays: to walk it again took every full collection 8 ms
    warming = asyncio.create_task(warm_up())
    warming.add_done_callback(lambda _: gc.freeze())
    told = asyncio.create_task(stopping.wait())
    either: set[asyncio.Future[Any]] = {told, control.failed}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        failure = control.failed.exception() if control.failed.done() else None
    finally:
        told.cancel()
        warming.cancel()
        await control.stop()
    if failure is not None:
        raise failure


def _set_up_logging(log_format: str, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonLines() if log_format == "json" else _TextLines("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class _TextLines(logging.Formatter):
    """Times in UTC, as in the JSON form."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """Return the record's time to the millisecond."""
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class _JsonLines(_TextLines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
