"""What a handler is given: the request's circumstances and the broker's services. It decides nothing itself."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from odradek.protocol.codec import Schema, schema

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from odradek.broker.controller.configs import Configs
    from odradek.broker.controller.producer_ids import ProducerIds
    from odradek.broker.controller.topics import Topics
    from odradek.broker.engine import Engine
    from odradek.metadata.store import MetadataStore

__all__ = ["RequestContext", "Services"]


@dataclass(slots=True)
class Services:
    """The parts of one broker, as the composition root (`server.py`) has put them together.

    All of them belong to the broker's asyncio loop; none may be called from another thread.
    """

    node_id: int
    host: str
    """Advertised host; with `port` what clients are told."""
    port: int
    rack: str | None
    cluster_id: str
    data_dir: "Path"
    engine: "Engine"
    store: "MetadataStore"
    topics: "Topics"
    configs: "Configs"
    producer_ids: "ProducerIds"
    loop: "asyncio.AbstractEventLoop"
    groups: Any = None
    """The group coordinator; handlers of the group APIs know its type."""


@dataclass(frozen=True)
class RequestContext:
    """One request's circumstances."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    connection_id: int
    """Same for all requests of a connection, never reused."""
    peer_host: str
    """The peer's IP address."""
    token: int
    """Names the request towards the engine; only for handlers that answer by themselves."""
    broker: Services

    @cached_property
    def schema(self) -> Schema:
        """Builders of this version's messages."""
        return schema(self.api_key, self.api_version)
