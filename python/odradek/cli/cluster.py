"""The cluster a command talks to: its options, and the clients made from them.

One `Cluster` is made per command line. It finds out within moments whether anything answers at the bootstrap servers,
so that a wrong address is a clear line and not a long wait, and it turns the clients' errors into `CommandError`.
"""

import functools
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from odradek.cli.failures import CommandError, reason

if TYPE_CHECKING:
    from odradek.client.admin.admin import Admin
    from odradek.client.consumer.consumer import Consumer
    from odradek.client.metadata import TopicInfo
    from odradek.client.producer.producer import Producer
    from odradek.config.address import Address
    from odradek.errors import OdradekError

__all__ = ["Cluster", "command_config_option", "connection_options", "timeout_option"]

P = ParamSpec("P")
R = TypeVar("R")

_CONNECT_SECONDS = 3.0
_DEFAULT_PORT = 9092
_PATIENCE_SECONDS = 1.0
_RETRY_SECONDS = 0.1
_PRODUCER = {"delivery.timeout.ms": 30_000, "request.timeout.ms": 15_000}
"""A person waits: records that can't be delivered are told sooner than a program would want to know."""
_SETUP_SHARE = 0.6
"""Share of the time-out that setting up a connection may take: what accepts and stays silent is then told as that."""


def _addresses(servers: str) -> "tuple[Address, ...]":
    """Split `host:port,...`; the port is 9092 if left out, and what stands before `://` does not count."""
    from odradek.config.client import parse_bootstrap
    from odradek.errors import ConfigError

    texts = [server.strip().rpartition("://")[2] for server in servers.split(",")]
    try:
        return parse_bootstrap(
            [f"{text}:{_DEFAULT_PORT}" if text.endswith("]") or ":" not in text else text for text in texts], "servers"
        )
    except ConfigError as error:
        raise click.BadParameter(str(error).removeprefix("servers: "), param_hint="--bootstrap-server") from error


class Cluster:
    """Where and how to connect. Makes clients, which are closed when the command ends.

    Every wait on the cluster is bounded by `timeout` seconds.
    """

    def __init__(self, servers: str, properties: dict[str, str], timeout: float) -> None:
        # Who runs a command is shown what the clients warn of; the library itself prints nothing.
        if logging.lastResort is not None:
            logging.getLogger("odradek.client").addHandler(logging.lastResort)
        self.properties = properties
        self.timeout = timeout
        self._reached = False
        self._addresses = _addresses(servers)
        self.servers = ",".join(map(str, self._addresses))

    def _config(self, settings: dict[str, object], **defaults: object) -> dict[str, Any]:
        return {
            **defaults,
            "client.id": "odradek",
            "socket.connection.setup.timeout.ms": max(1, int(self.timeout * 1000 * _SETUP_SHARE)),
            **self.properties,
            **settings,
            "bootstrap.servers": self.servers,
        }

    def check_reachable(self) -> None:
        """Connect to one of the bootstrap servers, once.

        Raises:
            CommandError: none of them accepts a connection.
        """
        if self._reached:
            return
        reasons = []
        for host, port in self._addresses:
            try:
                socket.create_connection((host, port), timeout=min(_CONNECT_SECONDS, self.timeout)).close()
            except OSError as error:
                reasons.append(f"{host}:{port}: {error.strerror or error}")
            else:
                self._reached = True
                return
        raise CommandError(
            f"can't reach {self.servers} ({'; '.join(reasons)}); is a broker running there? "
            "`odradek serve` starts one, -b names another"
        )

    def admin(self) -> "Admin":
        """Return an admin client."""
        from odradek.client.admin.admin import Admin

        self.check_reachable()
        timeout_ms = max(1, int(self.timeout * 1000))
        times: dict[str, object] = {"default.api.timeout.ms": timeout_ms, "request.timeout.ms": timeout_ms}
        return self._closed_at_the_end(Admin.from_config(self._config(times)))

    def producer(self, **settings: object) -> "Producer":
        """Return a producer with these options under Kafka's names."""
        from odradek.client.producer.producer import Producer

        self.check_reachable()
        return self._closed_at_the_end(Producer.from_config(self._config(settings, **_PRODUCER)))

    def consumer(self, **settings: object) -> "Consumer":
        """Return a consumer with these options under Kafka's names."""
        from odradek.client.consumer.consumer import Consumer

        self.check_reachable()
        return self._closed_at_the_end(Consumer.from_config(self._config(settings)), timeout=self.timeout)

    @staticmethod
    def _closed_at_the_end(client: R, **how: float) -> R:
        closing: Any = client
        click.get_current_context().call_on_close(functools.partial(closing.close, **how))
        return client

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Turn a client's error into the line the user reads.

        Args:
            what: is under way: "create topic orders".

        Raises:
            CommandError: from the client's error, which is its cause.
        """
        from odradek.errors import ConfigError, OdradekError

        try:
            yield
        except ConfigError:
            raise  # says all by itself: an option of --command-config
        except OdradekError as error:
            raise self.failure(error, what) from error

    def failure(self, error: "OdradekError", doing: str) -> CommandError:
        """Return the error to raise for a refusal: what was tried, the reason, and what to do."""
        return CommandError(f"can't {doing}: {self.explain(error)}")

    def explain(self, error: Exception) -> str:
        """Return the reason and what to do."""
        from odradek.errors import (
            ClientError,
            GroupIdNotFoundError,
            NoBrokersAvailableError,
            RecordTooLargeError,
            UnknownTopicOrPartitionError,
        )

        text = reason(error)
        if isinstance(error, NoBrokersAvailableError):  # says for each server what to check
            text += f"; `odradek doctor {self.servers}` looks closer"
        elif isinstance(error, ClientError) and not isinstance(error, RecordTooLargeError):
            text += "; check the broker's log and advertised address (`odradek doctor`), or raise --timeout"
        elif isinstance(error, UnknownTopicOrPartitionError):
            text += "; `odradek topics list` shows what there is"
        elif isinstance(error, GroupIdNotFoundError):
            text += "; `odradek groups list` shows what there is"
        return text

    def topic(self, admin: "Admin", name: str, patience: float = _PATIENCE_SECONDS) -> "TopicInfo":
        """Return a topic's metadata.

        Args:
            admin: asks.
            name: of the topic.
            patience: seconds to go on asking: a broker of a cluster may learn of a new topic after its creator did.

        Raises:
            CommandError: there is no such topic, or no answer.
        """
        from odradek.errors import UnknownTopicOrPartitionError

        deadline = time.monotonic() + patience
        with self.doing(f"find topic {name}"):
            while True:
                try:
                    return admin.describe_topics(name)[name]
                except UnknownTopicOrPartitionError:
                    if time.monotonic() >= deadline:
                        raise
                time.sleep(_RETRY_SECONDS)


def _read_properties(_context: click.Context, _option: click.Parameter, path: Path | None) -> dict[str, str]:
    from odradek.config.files import read_file

    return {} if path is None else read_file(path)


command_config_option = click.option(
    "--command-config",
    "client_properties",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_read_properties,
    metavar="FILE",
    help="Client options under Kafka's names (name=value lines).",
)
"""Gives a command what the file says."""


def timeout_option(seconds: float, meaning: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return the option `--timeout` with this default and help."""
    return click.option(
        "--timeout", type=click.FloatRange(min=0.1), default=seconds, show_default=True, metavar="SECONDS", help=meaning
    )


def connection_options(command: Callable[Concatenate[Cluster, P], R]) -> Callable[..., R]:
    """Give a command the options that say where the cluster is; it gets a `Cluster` as its first argument."""

    @click.option(
        "-b",
        "--bootstrap-server",
        "servers",
        default="localhost:9092",
        show_default=True,
        envvar="ODRADEK_BOOTSTRAP_SERVERS",
        show_envvar=True,
        metavar="HOST:PORT[,...]",
        help="Brokers to ask first; one that answers is enough.",
    )
    @command_config_option
    @timeout_option(15.0, "How long to wait for the cluster's answer.")
    @functools.wraps(command)
    def with_cluster(*args: Any, servers: str, client_properties: dict[str, str], timeout: float, **kwargs: Any) -> R:
        return command(Cluster(servers, client_properties, timeout), *args, **kwargs)

    return with_cluster
