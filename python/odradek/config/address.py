"""`HOST:PORT` and back. Lists of servers, which clients are given: `client.py`; listeners: `listeners.py`."""

from typing import NamedTuple

from odradek.errors import ConfigError

__all__ = ["Address", "parse_address"]


class Address(NamedTuple):
    """A host (name or address, "" = all) and a port (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `HOST:PORT`, with brackets round an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, option: str) -> Address:
    """Parse `HOST:PORT`.

    Raises:
        ConfigError: not of that form, or the port isn't 0 to 65535; names the option.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{option}: {text!r} is not HOST:PORT with a port from 0 to 65535")
    return Address(host, int(port))
