"""Where a broker listens and what it tells clients: `listeners`, `advertised.listeners`, `--listen HOST:PORT`."""

from odradek.config.address import Address, parse_address
from odradek.config.broker import BrokerSettings
from odradek.errors import ConfigError

__all__ = ["advertised_address", "listen_address"]

_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})


def listen_address(settings: BrokerSettings) -> Address:
    """Return where to listen.

    Raises:
        ConfigError: more or fewer than one listener (those in `controller.listener.names` don't count), or one that
            isn't plaintext.
    """
    option = "listeners"
    left_out = set(settings.words("controller.listener.names"))
    mapped = dict(pair.split(":", 1) for pair in _map(settings) if ":" in pair)
    found = []
    for listener in settings.words(option):
        name, separator, address = listener.partition("://")
        if not separator:
            raise ConfigError(f"{option}: {listener!r} is not NAME://HOST:PORT")
        if name in left_out:
            continue
        if mapped.get(name, name) != "PLAINTEXT":
            raise ConfigError(f"{option}: {listener!r}: only PLAINTEXT listeners are served")
        found.append(parse_address(address, option))
    if len(found) != 1:
        raise ConfigError(f"{option}: {len(found)} listeners for clients; exactly one is served")
    return found[0]


def advertised_address(settings: BrokerSettings, bound: Address) -> Address:
    """Return what clients are told: `advertised.listeners`, else where the broker listens.

    Raises:
        ConfigError: an advertised listener that is no address one can connect to.
    """
    option = "advertised.listeners"
    left_out = set(settings.words("controller.listener.names"))
    for listener in settings.words(option):
        name, separator, address = listener.partition("://")
        if not separator:
            raise ConfigError(f"{option}: {listener!r} is not NAME://HOST:PORT")
        if name in left_out:
            continue
        parsed = parse_address(address, option)
        if parsed.host in _EVERYWHERE:
            raise ConfigError(f"{option}: {listener!r}: clients can't connect to {parsed.host or 'an empty host'!r}")
        return Address(parsed.host, parsed.port or bound.port)
    if bound.host not in _EVERYWHERE:
        return bound
    from socket import gethostname  # noqa: PLC0415 - most brokers listen at an address

    return Address(gethostname(), bound.port)


def _map(settings: BrokerSettings) -> list[str]:
    text = settings["listener.security.protocol.map"]
    return str(text).split(",") if text else []
