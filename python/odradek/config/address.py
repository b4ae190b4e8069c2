"""`HOST:PORT` and back. Lists of servers, which clients are given: `client.py`; listeners: `listeners.py`."""

from __future__ import annotations

from odradek.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = ["Address", "parse_address"]


class Address(tuple[str, int]):
    """A host (name or address, "" = all) and a port (0 = any free one). No `NamedTuple`: a start does without `typing`."""

    __slots__ = ()

    def __new__(cls, host: str, port: int) -> Self:
        """Make it of its two parts."""
        return super().__new__(cls, (host, port))

    @property
    def host(self) -> str:
        """Name or address."""
        return self[0]

    @property
    def port(self) -> int:
        """0 to 65535."""
        return self[1]

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
