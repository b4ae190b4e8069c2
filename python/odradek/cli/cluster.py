"""The cluster a command talks to: its options, and the client objects made from them.

One `Cluster` is made per command line. It finds out within moments whether anything answers at the bootstrap servers,
so that a wrong address is a clear line and not a long wait, and it turns client errors into `CommandError`.
"""

import functools
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from odradek.cli.failures import CommandError, kafka_reason

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient, TopicMetadata

__all__ = ["Cluster", "connection_options"]

P = ParamSpec("P")
R = TypeVar("R")

_CONNECT_SECONDS = 3.0
_DEFAULT_PORT = 9092
_PATIENCE_SECONDS = 1.0


def _addresses(servers: str) -> list[tuple[str, int]]:
    """Split `host:port,...`; the port is 9092 if left out."""
    addresses = []
    for server in servers.split(","):
        text = server.strip().rpartition("://")[2]
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host, port = text, str(_DEFAULT_PORT)
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise click.BadParameter(f"{server!r} is not HOST:PORT", param_hint="--bootstrap-server")
        addresses.append((host.strip("[]"), int(port)))
    return addresses


class Cluster:
    """Where and how to connect. Makes clients; every wait on the cluster is bounded by `timeout` seconds."""

    def __init__(self, servers: str, properties: dict[str, str], timeout: float) -> None:
        self.servers = servers
        self.properties = properties
        self.timeout = timeout
        self._last_error: KafkaError | None = None

    def _note_error(self, error: "KafkaError") -> None:
        # "all brokers down" follows the error that says why; keep the why.
        if self._last_error is None or error.code() != error._ALL_BROKERS_DOWN:  # noqa: SLF001  its public spelling
            self._last_error = error

    def _settings(self, **more: object) -> dict[str, Any]:
        return {
            "client.id": "odradek",
            "socket.connection.setup.timeout.ms": max(1000, int(self.timeout * 1000)),
            "error_cb": self._note_error,
            "logger": _silent_logger(),
            **self.properties,
            **more,
            "bootstrap.servers": self.servers,
        }

    def check_reachable(self) -> None:
        """Connect to one of the bootstrap servers.

        Raises:
            CommandError: none of them accepts a connection.
        """
        reasons = []
        for host, port in _addresses(self.servers):
            try:
                socket.create_connection((host, port), timeout=min(_CONNECT_SECONDS, self.timeout)).close()
            except OSError as error:
                reasons.append(f"{host}:{port}: {error.strerror or error}")
            else:
                return
        raise CommandError(
            f"can't reach {self.servers} ({'; '.join(reasons)}); is a broker running there? "
            "`odradek serve` starts one, -b names another"
        )

    def admin(self) -> "AdminClient":
        """Return a connected admin client."""
        from confluent_kafka.admin import AdminClient

        return self._make(AdminClient)

    def producer(self, **settings: object) -> "Producer":
        """Return a producer with these settings under librdkafka's names."""
        from confluent_kafka import Producer

        return self._make(Producer, settings)

    def consumer(self, **settings: object) -> "Consumer":
        """Return a consumer with these settings under librdkafka's names."""
        from confluent_kafka import Consumer

        return self._make(Consumer, settings)

    def _make(self, kind: Callable[[dict[str, Any]], R], settings: dict[str, object] | None = None) -> R:
        from confluent_kafka import KafkaException

        self.check_reachable()
        try:
            return kind(self._settings(**(settings or {})))
        except KafkaException as error:
            raise CommandError(f"client properties: {kafka_reason(error.args[0])}") from error

    def result(self, future: "Future[R]", doing: str) -> R:
        """Wait for an answer.

        Args:
            future: what an admin call returned.
            doing: what is under way, for the error: "create topic orders".

        Raises:
            CommandError: the cluster refused, or did not answer in time.
        """
        from confluent_kafka import KafkaException

        try:
            return future.result(self.timeout + 1)
        except KafkaException as error:
            raise self.failure(error.args[0], doing) from error
        except FutureTimeoutError as error:
            raise CommandError(f"can't {doing}: no answer from {self.servers} in {self.timeout:g} s") from error

    def failure(self, error: "KafkaError", doing: str) -> CommandError:
        """Return the error to raise for a refusal: what was tried, the broker's reason, and what to do."""
        text = f"can't {doing}: {kafka_reason(error)}"
        if error.code() in (error._TIMED_OUT, error._TRANSPORT, error._ALL_BROKERS_DOWN):  # noqa: SLF001
            why = kafka_reason(self._last_error) if self._last_error else f"no answer in {self.timeout:g} s"
            text += f" [{why}]; check the broker's log and advertised address, or raise --timeout"
        elif error.code() == error.UNKNOWN_TOPIC_OR_PART:
            text += "; `odradek topics list` shows what there is"
        return CommandError(text)

    def topic(
        self, client: "Producer | Consumer | AdminClient", name: str, patience: float = _PATIENCE_SECONDS
    ) -> "TopicMetadata":
        """Return a topic's metadata.

        Args:
            client: asks; a producer's question makes the broker create the topic if it does so on request.
            name: of the topic.
            patience: seconds to go on asking: a broker of a cluster may learn of a new topic after its creator did.

        Raises:
            CommandError: there is no such topic, or no answer.
        """
        from confluent_kafka import KafkaException

        doing = f"find topic {name}"
        deadline = time.monotonic() + patience
        while True:
            try:
                found = client.list_topics(name, timeout=self.timeout).topics[name]
            except KafkaException as error:
                raise self.failure(error.args[0], doing) from error
            if found.error is None:
                return found
            passing = (found.error.UNKNOWN_TOPIC_OR_PART, found.error.LEADER_NOT_AVAILABLE)
            if found.error.code() not in passing or time.monotonic() >= deadline:
                raise self.failure(found.error, doing)
            time.sleep(0.1)


@functools.cache
def _silent_logger() -> logging.Logger:
    """Swallow librdkafka's own log lines: they are for programmers; errors reach the user as one line of ours."""
    logger = logging.getLogger("odradek.cli.librdkafka")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


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
    @click.option(
        "--command-config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Client properties (name=value lines), for instance for TLS and SASL.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(min=0.1),
        default=15.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for the cluster's answer.",
    )
    @functools.wraps(command)
    def with_cluster(*args: Any, servers: str, command_config: Path | None, timeout: float, **kwargs: Any) -> R:
        from odradek.config.files import read_file

        properties = read_file(command_config) if command_config else {}
        return command(Cluster(servers, properties, timeout), *args, **kwargs)

    return with_cluster
