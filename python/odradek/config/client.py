"""A client's options: keywords or Kafka's dotted names in, one checked `ClientOptions` out.

The rows are in `client_common.py`, `client_producer.py` and `client_consumer.py`; what other clients call things is in
`client_absent.py`. Nothing here connects: `bootstrap.servers` is only parsed.

Where two options bound each other and only one of them is set, the default of the other follows it; where both are set
and contradict each other, that is an error.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from odradek.config.address import Address
from odradek.config.client_absent import advice
from odradek.config.client_common import ADMIN_ROWS
from odradek.config.client_consumer import CONSUMER_ROWS
from odradek.config.client_definition import ClientOption
from odradek.config.client_producer import PRODUCER_ROWS
from odradek.config.definition import Value, did_you_mean
from odradek.errors import ConfigError

__all__ = ["CLIENT_OPTIONS", "ClientKind", "ClientOptions", "parse_bootstrap", "resolve", "resolve_config"]

ClientKind = Literal["producer", "consumer", "admin"]

CLIENT_OPTIONS: Final[dict[ClientKind, dict[str, ClientOption]]] = {
    "producer": {row.name: row for row in PRODUCER_ROWS},
    "consumer": {row.name: row for row in CONSUMER_ROWS},
    "admin": {row.name: row for row in ADMIN_ROWS},
}
"""Every option of each client, by dotted name."""

_BOOTSTRAP: Final = "bootstrap.servers"
_BOUNDS: Final = (
    ("reconnect.backoff.ms", "reconnect.backoff.max.ms"),
    ("retry.backoff.ms", "retry.backoff.max.ms"),
    ("socket.connection.setup.timeout.ms", "socket.connection.setup.timeout.max.ms"),
    ("request.timeout.ms", "default.api.timeout.ms"),
    ("batch.size", "buffer.memory"),
    ("fetch.min.bytes", "fetch.max.bytes"),
    ("fetch.min.bytes", "buffer.max.bytes"),
    ("max.partition.fetch.bytes", "buffer.max.bytes"),
    ("fetch.max.bytes", "buffer.max.bytes"),
)
"""Pairs of which the first may not be above the second."""
_IN_FLIGHT_MAX: Final = 5
_CLASSIC_ONLY: Final = {
    "partition.assignment.strategy": "the broker assigns; say how with group.remote.assignor",
    "session.timeout.ms": "the broker decides (its group.consumer.session.timeout.ms)",
    "heartbeat.interval.ms": "the broker decides (its group.consumer.heartbeat.interval.ms)",
}
"""What makes no sense with group.protocol=consumer, and what to do instead."""
_log = logging.getLogger("odradek.client.options")


class ClientOptions:
    """The options of one client: every one that has a value, set or by default. Immutable by convention."""

    def __init__(
        self,
        kind: ClientKind,
        bootstrap: tuple[Address, ...],
        values: dict[str, Value],
        callables: dict[str, Callable[..., Any]],
        explicit: frozenset[str],
    ) -> None:
        self.kind: Final = kind
        self.bootstrap: Final = bootstrap
        """Brokers to begin with: (host, port), IPv6 without brackets."""
        self.values: Final = values
        """Typed values by dotted name; None where an option has no value. Not those in `callables`."""
        self.callables: Final = callables
        """Serializers, deserializers and partitioner that were given as callables, by dotted name."""
        self.explicit: Final = explicit
        """Dotted names that the caller set, bootstrap.servers not among them."""

    @property
    def texts(self) -> dict[str, str]:
        """Every option that has a value, by dotted name, as text: what Rust is given. Callables are left out."""
        table = CLIENT_OPTIONS[self.kind]
        rendered = {name: table[name].render(value) for name, value in self.values.items()}
        return {name: text for name, text in rendered.items() if text is not None}

    def shown(self, client: str, *, closed: bool) -> str:
        """Return how a client shows itself: "<odradek.Consumer of localhost:9092, group 'billing', closed>"."""
        servers = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.bootstrap)
        group = self.values.get("group.id")
        parts = [f"{client} of {servers}", *([] if group is None else [f"group {group!r}"]), *(["closed"] * closed)]
        return f"<{', '.join(parts)}>"

    def __getitem__(self, name: str) -> Value:
        """Return a value by its dotted name; None where it has none or is a callable (see `callables`)."""
        return None if name in self.callables else self.values[name]

    def number(self, name: str) -> int:
        """Return an integer option."""
        value = self.values[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} is no integer option")
        return value

    def seconds(self, name: str) -> float:
        """Return an option in milliseconds as seconds."""
        return self.number(name) / 1000

    def flag(self, name: str) -> bool:
        """Return an option that is true or false."""
        value = self.values[name]
        if not isinstance(value, bool):
            raise TypeError(f"{name} is no option that is true or false")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list option."""
        value = self.values[name]
        if not isinstance(value, tuple):
            raise TypeError(f"{name} is no list option")
        return value

    def text(self, name: str) -> str | None:
        """Return a text option, None if it has no value."""
        value = self.values[name]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is no text option")
        return value


def resolve(kind: ClientKind, bootstrap_servers: str | Sequence[str], keywords: Mapping[str, object]) -> ClientOptions:
    """Turn the arguments of `Producer`, `Consumer` or `Admin` into options.

    Args:
        kind: whose arguments they are.
        bootstrap_servers: "HOST:PORT,HOST:PORT" or a sequence of "HOST:PORT".
        keywords: dotted names with underscores; None = not set.

    Raises:
        ConfigError: an unknown name (with what was probably meant), a bad value, or values that contradict each other.
    """
    return _resolve(kind, bootstrap_servers, keywords, _underscored)


def resolve_config(kind: ClientKind, config: Mapping[str, Any]) -> ClientOptions:
    """Turn Kafka's dotted names, with `bootstrap.servers` among them, into options; values may be text.

    Raises:
        ConfigError: as `resolve`; also if bootstrap.servers is missing. Nothing is ignored in silence.
    """
    settings = dict(config)
    if settings.get(_BOOTSTRAP) is None:
        raise ConfigError(f"{_BOOTSTRAP} is missing; set it to HOST:PORT")
    return _resolve(kind, settings.pop(_BOOTSTRAP), settings, _dotted)


def parse_bootstrap(servers: object, spelled: str = "bootstrap_servers") -> tuple[Address, ...]:
    """Parse "HOST:PORT,HOST:PORT" or a sequence of "HOST:PORT" into (host, port) pairs, each once, in order.

    Raises:
        ConfigError: empty, a scheme in front, no port, or not a host and a port; names the server.
    """
    if isinstance(servers, str):
        texts: list[object] = [part.strip() for part in servers.split(",") if part.strip()]
    elif isinstance(servers, Iterable) and not isinstance(servers, bytes | bytearray | Mapping):
        texts = [text.strip() if isinstance(text, str) else text for text in servers]
    else:
        raise ConfigError(f"{spelled}: {servers!r} is neither text nor a sequence of texts; give HOST:PORT")
    if not texts:
        raise ConfigError(f"{spelled}: there is no server in {servers!r}; give at least one HOST:PORT")
    return tuple(dict.fromkeys(_server(text, spelled) for text in texts))


def _server(text: object, spelled: str) -> Address:
    if not isinstance(text, str):
        raise ConfigError(f"{spelled}: {text!r} is not text; give HOST:PORT")
    scheme, separator, rest = text.partition("://")
    if separator:
        raise ConfigError(
            f"{spelled}: {text!r} begins with {scheme}://; give {rest.rstrip('/') or 'HOST:PORT'!r} alone"
        )
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ConfigError(f"{spelled}: {text!r} names no port; Kafka's usual one is 9092, so perhaps '{text}:9092'")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise ConfigError(f"{spelled}: {text!r}: brackets go round an IPv6 address only")
    elif ":" in host:
        raise ConfigError(f"{spelled}: {text!r} is ambiguous; put an IPv6 address in brackets: [ADDRESS]:PORT")
    if not host or any(character.isspace() or character in "/@?#[]" for character in host):
        raise ConfigError(f"{spelled}: {text!r} is not HOST:PORT: the host is no name or address")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise ConfigError(f"{spelled}: {text!r} is not HOST:PORT with a port from 1 to 65535")
    return Address(host, int(port))


Spelling = Callable[[str], str]
"""How the caller writes a dotted name."""


def _underscored(name: str) -> str:
    return name.replace(".", "_")


def _dotted(name: str) -> str:
    return name


def _resolve(kind: ClientKind, servers: object, settings: Mapping[str, Any], spell: Spelling) -> ClientOptions:
    table = CLIENT_OPTIONS[kind]
    bootstrap = parse_bootstrap(servers, spell(_BOOTSTRAP))
    by_spelling = {spell(name): name for name in table if name != _BOOTSTRAP}
    given: dict[str, Any] = {}
    for spelled, value in settings.items():
        if spelled not in by_spelling:
            raise _unknown(kind, spelled, value, by_spelling, spell)
        if value is not None:
            name = by_spelling[spelled]
            given[name] = table[name].accept(value, spelled)
    callables = {name: value for name, value in given.items() if callable(value)}
    values: dict[str, Value] = {name: option.default for name, option in table.items()}
    values.update({name: value for name, value in given.items() if name not in callables})
    values[_BOOTSTRAP] = tuple(str(address) for address in bootstrap)
    for name in callables:
        values[name] = None
    explicit = frozenset(given)
    for low, high in _BOUNDS:
        if low in values and high in values:
            _bound(low, high, values, explicit, spell)
    if kind == "producer":
        _check_producer(values, explicit, spell)
    if kind == "consumer":
        _check_consumer(values, explicit, spell)
    return ClientOptions(kind, bootstrap, values, callables, explicit)


def _unknown(
    kind: ClientKind, spelled: str, value: object, by_spelling: Mapping[str, str], spell: Spelling
) -> ConfigError:
    dotted = spelled.replace("_", ".")
    if dotted == _BOOTSTRAP:
        return ConfigError(f"{spelled}: write {spell(_BOOTSTRAP)!r}")
    if dotted in by_spelling.values():
        return ConfigError(f"unknown option {spelled!r}; did you mean {spell(dotted)}?")
    owners = [other.capitalize() for other, table in CLIENT_OPTIONS.items() if dotted in table]
    if owners:
        return ConfigError(f"{spelled} is an option of {' and '.join(owners)}, not of {kind.capitalize()}")
    told = advice(dotted)
    if told is not None:
        return ConfigError(f"{spelled}: {told}")
    hint = did_you_mean(spelled, [spell(_BOOTSTRAP), *by_spelling]) or "; docs/client-options.md lists all"
    return ConfigError(f"unknown option {spelled!r} of {kind.capitalize()}, set to {value!r}{hint}")


def _bound(low: str, high: str, values: dict[str, Value], explicit: frozenset[str], spell: Spelling) -> None:
    """Hold `low` to at most `high`; the one that wasn't set follows the one that was."""
    below, above = values[low], values[high]
    if not isinstance(below, int) or not isinstance(above, int) or below <= above:
        return
    if low in explicit and high in explicit:
        raise ConfigError(f"{spell(low)}: {below} is above {spell(high)}, {above}")
    if low in explicit:
        values[high] = below
    else:
        values[low] = above


def _check_producer(values: dict[str, Value], explicit: frozenset[str], spell: Spelling) -> None:
    obstacles = [
        f"{spell(name)}={values[name]} ({needed})"
        for name, needed, met in (
            ("acks", "must be all", values["acks"] == "all"),
            ("retries", "must be above 0", values["retries"] != 0),
            (
                "max.in.flight.requests.per.connection",
                f"must be at most {_IN_FLIGHT_MAX}",
                _integer(values, "max.in.flight.requests.per.connection") <= _IN_FLIGHT_MAX,
            ),
        )
        if not met
    ]
    if values["enable.idempotence"] is True and obstacles:
        if "enable.idempotence" in explicit:
            raise ConfigError(f"{spell('enable.idempotence')}: True contradicts {' and '.join(obstacles)}")
        # Kafka's clients do the same: idempotence is only a default, what was asked for goes before it.
        values["enable.idempotence"] = False
        _log.info("enable.idempotence gives way to %s", ", ".join(obstacles))
    shortest = _integer(values, "linger.ms") + _integer(values, "request.timeout.ms")
    delivery = _integer(values, "delivery.timeout.ms")
    if delivery < shortest:
        if "delivery.timeout.ms" in explicit:
            raise ConfigError(
                f"{spell('delivery.timeout.ms')}: {delivery} is below {spell('linger.ms')} + "
                f"{spell('request.timeout.ms')}, {values['linger.ms']} + {values['request.timeout.ms']}; "
                "raise it or lower those"
            )
        values["delivery.timeout.ms"] = min(shortest, 2**31 - 1)


def _check_consumer(values: dict[str, Value], explicit: frozenset[str], spell: Spelling) -> None:
    for low, high in (
        ("heartbeat.interval.ms", "session.timeout.ms"),
        ("fetch.max.wait.ms", "request.timeout.ms"),
    ):
        if _integer(values, low) >= _integer(values, high):
            raise ConfigError(f"{spell(low)}: {values[low]} must be below {spell(high)}, {values[high]}")
    _check_protocol(values, explicit, spell)
    if values["group.id"] is None:
        if values["group.instance.id"] is not None:
            raise ConfigError(f"{spell('group.instance.id')}: needs {spell('group.id')}")
        if values["enable.auto.commit"] is True and "enable.auto.commit" in explicit:
            raise ConfigError(f"{spell('enable.auto.commit')}: True needs {spell('group.id')}, which isn't set")
        values["enable.auto.commit"] = False


def _check_protocol(values: dict[str, Value], explicit: frozenset[str], spell: Spelling) -> None:
    """Refuse what the other group protocol would ignore, as Kafka does."""
    protocol = f"{spell('group.protocol')}={values['group.protocol']}"
    if values["group.protocol"] == "classic":
        if values["group.remote.assignor"] is not None:
            raise ConfigError(
                f"{spell('group.remote.assignor')}: can't be set with {protocol}; set {spell('group.protocol')} to consumer, "
                f"or use {spell('partition.assignment.strategy')}"
            )
        return
    for name, instead in _CLASSIC_ONLY.items():
        if name in explicit:
            raise ConfigError(f"{spell(name)}: can't be set with {protocol}; {instead}")


def _integer(values: Mapping[str, Value], name: str) -> int:
    value = values[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is no integer option")
    return value
