"""The options that producer, consumer and admin client share. See `client.py` for how they are put together."""

from typing import Final

from odradek.config.client_definition import ClientOption
from odradek.config.definition import Kind, Valid, at_least

__all__ = ["ADMIN_ROWS", "API_TIMEOUT", "BOOTSTRAP", "COMMON_ROWS"]

_INT, _LONG, _STRING = Kind.INT, Kind.LONG, Kind.STRING

BOOTSTRAP: Final = ClientOption(
    "bootstrap.servers",
    Kind.LIST,
    None,
    "Brokers to begin with, HOST:PORT each; the others are found through them. IPv6 addresses in brackets.",
)

API_TIMEOUT: Final = ClientOption(
    "default.api.timeout.ms",
    _INT,
    60_000,
    "How long a call may take that isn't given a `timeout`, retries included.",
    at_least(0),
    "ms",
)

COMMON_ROWS: Final = (
    BOOTSTRAP,
    ClientOption("client.id", _STRING, "odradek", "Name of this client, for the broker's logs and quotas."),
    ClientOption(
        "request.timeout.ms",
        _INT,
        30_000,
        "How long to wait for the answer to one request before the connection is given up.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "metadata.max.age.ms",
        _LONG,
        300_000,
        "Age at which what is known of topics and brokers is asked for anew, even if nothing failed.",
        at_least(0),
        "ms",
    ),
    ClientOption(
        "connections.max.idle.ms",
        _LONG,
        540_000,
        "After how long an unused connection is closed; -1 = never.",
        at_least(-1),
        "ms",
    ),
    ClientOption("reconnect.backoff.ms", _LONG, 50, "Pause before a broker is connected to again.", at_least(0), "ms"),
    ClientOption(
        "reconnect.backoff.max.ms",
        _LONG,
        1_000,
        "The pause doubles with each failure in a row, with jitter, up to this.",
        at_least(0),
        "ms",
    ),
    ClientOption("retry.backoff.ms", _LONG, 100, "Pause before a failed request is tried again.", at_least(0), "ms"),
    ClientOption(
        "retry.backoff.max.ms",
        _LONG,
        1_000,
        "The pause doubles with each failure in a row, with jitter, up to this.",
        at_least(0),
        "ms",
    ),
    ClientOption(
        "socket.connection.setup.timeout.ms",
        _LONG,
        10_000,
        "How long a connection may take to come about.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "socket.connection.setup.timeout.max.ms",
        _LONG,
        30_000,
        "That time doubles with each failure in a row up to this.",
        at_least(1),
        "ms",
    ),
    ClientOption(
        "send.buffer.bytes",
        _INT,
        -1,
        "The socket's send buffer; -1 = the system sizes it as needed. Apache Kafka's default is 131072.",
        at_least(-1),
        "bytes",
    ),
    ClientOption(
        "receive.buffer.bytes",
        _INT,
        -1,
        "The socket's receive buffer; -1 = the system sizes it as needed. Apache Kafka's default is 32768 for "
        "producers, 65536 for the others.",
        at_least(-1),
        "bytes",
    ),
    ClientOption(
        "security.protocol",
        _STRING,
        "PLAINTEXT",
        "How to talk to brokers.",
        Valid("PLAINTEXT; TLS and SASL are not supported yet", lambda value: value == "PLAINTEXT"),
        aliases={"plaintext": "PLAINTEXT"},
    ),
)

ADMIN_ROWS: Final = (*COMMON_ROWS, API_TIMEOUT)
