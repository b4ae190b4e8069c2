"""`odradek.aio.Admin`: all admin calls, for asyncio. `admin.py` has the same ones for everybody else."""

import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from odradek.client.admin.brokers import BrokerCalls
from odradek.client.admin.configs import ConfigCalls
from odradek.client.admin.groups import GroupCalls
from odradek.client.admin.offsets import OffsetCalls
from odradek.client.admin.topics import TopicCalls
from odradek.config.client import ClientOptions, resolve, resolve_config

if TYPE_CHECKING:
    from typing import Unpack

    from odradek.client.keywords import AdminKeywords

__all__ = ["Admin"]


class Admin(TopicCalls, ConfigCalls, GroupCalls, OffsetCalls, BrokerCalls):
    """Looks after topics, settings, groups and offsets of a cluster.

    One rule for errors: a call about several things does all it can; if any of them failed, it raises the `KafkaError`
    of the first, whose `errors` and `results` are dicts of what failed and what did not, by item.

    A call is retried while brokers are away or the cluster is changing, until its `timeout` in seconds (by default
    `default_api_timeout_ms`) is over. Cancelling it is safe; what was sent may still be carried out.

    Belongs to the event loop of its first call. `async with odradek.aio.Admin("localhost:9092") as admin: ...`
    """

    def __init__(self, bootstrap_servers: str | Sequence[str], **options: "Unpack[AdminKeywords]") -> None:
        """Check the options; nothing is connected before the first call.

        Args:
            bootstrap_servers: "HOST:PORT,HOST:PORT" or a sequence of "HOST:PORT".
            options: see docs/client-options.md.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        super().__init__(resolve("admin", bootstrap_servers, options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make one from Kafka's dotted names, `bootstrap.servers` among them."""
        return cls._of(resolve_config("admin", config))

    @classmethod
    def _of(cls, options: ClientOptions) -> Self:
        admin = cls.__new__(cls)
        TopicCalls.__init__(admin, options)
        return admin

    def __repr__(self) -> str:
        return self._options.shown("odradek.aio.Admin", closed=self._closed)

    async def close(self) -> None:
        """Close all connections; calls under way fail with ClosedError. Never hangs; again is no error."""
        if self._made is not None:
            self._made.own_loop.check()
        self._closed = True
        if self._made is not None:
            await self._made.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_made", None) is not None and not self._closed:
            warnings.warn(
                f"{self!r} was not closed; use `async with`, or close it", ResourceWarning, source=self, stacklevel=2
            )
