"""The compiled core. Only `record.py`, `broker/server.py` and `client/native.py` import it."""

from collections.abc import Mapping, Sequence
from typing import Self, final

__all__ = [
    "ClusterClient",
    "ControlRequest",
    "Engine",
    "Record",
    "RecordBatch",
    "__version__",
    "build_profile",
    "compress",
    "crc32c",
    "decode_batches",
    "decompress",
    "encode_batch",
    "encode_index",
    "index_lookup",
    "note_fork",
]

__version__: str

def build_profile() -> str:
    """Return `release` or `debug`; benchmarks refuse the latter."""

@final
class Record:
    """One decoded record. Immutable, hashable. See `odradek.record.Record`."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class RecordBatch:
    """One decoded batch. Immutable. See `odradek.record.RecordBatch`."""

    @property
    def base_offset(self) -> int: ...
    @property
    def last_offset(self) -> int: ...
    @property
    def partition_leader_epoch(self) -> int: ...
    @property
    def compression(self) -> str: ...
    @property
    def timestamp_type(self) -> str: ...
    @property
    def is_transactional(self) -> bool: ...
    @property
    def is_control(self) -> bool: ...
    @property
    def base_timestamp_ms(self) -> int: ...
    @property
    def max_timestamp_ms(self) -> int: ...
    @property
    def producer_id(self) -> int: ...
    @property
    def producer_epoch(self) -> int: ...
    @property
    def base_sequence(self) -> int: ...
    @property
    def crc(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def records(self) -> list[Record]: ...

def encode_batch(
    records: Sequence[tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]],
    *,
    base_offset: int = 0,
    compression: str = "none",
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    timestamp_type: str = "CreateTime",
    is_transactional: bool = False,
    is_control: bool = False,
    partition_leader_epoch: int = -1,
) -> bytes:
    """See `odradek.record.Codec`, as for the functions below. From 8 KiB on the GIL is released for compression and CRC."""

def decode_batches(data: bytes, *, limit: int = 268435456) -> list[RecordBatch]:
    """From 8 KiB on the GIL is released for CRC and decompression, not while the records are made."""

def crc32c(data: bytes) -> int:
    """From 8 KiB on the GIL is released."""

def compress(codec: str, data: bytes, level: int | None = None) -> bytes:
    """From 8 KiB on the GIL is released."""

def decompress(codec: str, data: bytes, limit: int) -> bytes:
    """From 8 KiB on the GIL is released."""

def encode_index(entries: Sequence[tuple[int, int]], base_offset: int) -> bytes:
    """Holds the GIL."""

def index_lookup(index: bytes, base_offset: int, target: int) -> tuple[int, int]:
    """Holds the GIL."""

@final
class ControlRequest:
    """One request that Python has to answer. Immutable."""

    @property
    def token(self) -> int:
        """Names this request towards `respond`, `reroute` and `disconnect`; used once."""
    @property
    def api_key(self) -> int: ...
    @property
    def api_version(self) -> int: ...
    @property
    def correlation_id(self) -> int: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def connection_id(self) -> int:
        """Same for all requests of one connection, never reused."""
    @property
    def peer_host(self) -> str:
        """The peer's IP address."""
    @property
    def body(self) -> bytes:
        """The request after its header."""

@final
class Engine:
    """The broker's Rust side: log directory, hosted partitions and server. Thread-safe; releases the GIL for I/O.

    Life: construct (locks and reads the data directory) -> host_partitions, publish_* -> bind -> start -> stop -> close.
    """

    def __new__(cls, settings: Mapping[str, str]) -> Self:
        """Open the data directory.

        Args:
            settings: effective broker settings under Kafka's names, all values as text; `log.dirs`, `node.id` and
                optionally `cluster.id` are required, unknown names are ignored (Python has validated them).

        Raises:
            DataDirLockedError: another broker holds the directory.
            StorageError: it can't be read or written, or belongs to another node or cluster.
        """
    @property
    def cluster_id(self) -> str:
        """From `meta.properties`; made on the first start."""
    def partitions_on_disk(self) -> list[tuple[str, int, bytes | None]]:
        """Return (topic, partition, topic id or None) of every partition folder."""
    def host_partitions(
        self,
        topic: str,
        topic_id: bytes,
        config: Mapping[str, str],
        partitions: Sequence[tuple[int, int, int]],
    ) -> None:
        """Open or make the logs of a topic and lead them.

        Args:
            topic: name.
            topic_id: 16 bytes.
            config: all effective topic settings as text.
            partitions: (partition, leader epoch, in-sync replica count).
        """
    def configure_topic(self, topic: str, config: Mapping[str, str]) -> None:
        """Replace the effective settings of a topic's hosted partitions."""
    def delete_partitions(self, topic: str, partitions: Sequence[int]) -> None:
        """Stop serving and delete; waiting fetches are answered, the files go after `file.delete.delay.ms`."""
    def publish_brokers(self, brokers: Sequence[tuple[int, str, int, str | None]], controller_id: int) -> None:
        """Set what Metadata and the like say of the cluster: (node id, host, port, rack)."""
    def publish_topics(
        self,
        topics: Sequence[
            tuple[str, bytes, bool, Sequence[tuple[int, int, int, Sequence[int], Sequence[int], Sequence[int]]]]
        ],
    ) -> None:
        """Add or replace topics in the metadata snapshot.

        Args:
            topics: (name, 16-byte id, internal, partitions), each partition being
                (index, leader, leader epoch, replicas, isr, offline replicas).
        """
    def withdraw_topics(self, names: Sequence[str]) -> None:
        """Take topics out of the metadata snapshot."""
    def publish_apis(self, apis: Sequence[tuple[int, int, int]]) -> None:
        """Set (api key, lowest, highest version) of what Python serves; ApiVersions adds what Rust serves itself."""
    def bind(self, host: str, port: int) -> int:
        """Take the port (0 = a free one) without accepting yet; return it.

        Raises:
            OSError: in use, not permitted, no such address.
        """
    def start(self) -> None:
        """Accept connections."""
    def control_fd(self) -> int:
        """Return an eventfd that is readable while `take_requests` has something; the engine owns it."""
    def take_requests(self, limit: int) -> list[ControlRequest]:
        """Take up to `limit` waiting requests, oldest first, and clear the eventfd when none is left."""
    def respond(self, token: int, body: bytes) -> None:
        """Answer a request with the response after its header. A connection that has gone meanwhile is no error."""
    def reroute(self, token: int) -> None:
        """Answer a Metadata request from the snapshot after all (Python has created the topics it named)."""
    def disconnect(self, token: int) -> None:
        """Close the connection the request came on: the answer to what can't be decoded."""
    def append(self, topic: str, partition: int, batches: bytes) -> tuple[int, int]:
        """Append as a coordinator of this broker; return (base offset, last offset).

        Raises:
            NotLeaderOrFollowerError: the partition isn't hosted here. StorageError: the write failed.
        """
    def read(self, topic: str, partition: int, offset: int, max_bytes: int) -> bytes:
        """Return whole batches from `offset` on, up to the log end; empty at the end."""
    def offsets(self, topic: str, partition: int) -> tuple[int, int, int]:
        """Return (log start offset, high watermark, log end offset)."""
    def log_sizes(self) -> list[tuple[str, int, int]]:
        """Return (topic, partition, bytes) of every hosted partition."""
    def take_events(self) -> list[tuple[str, str]]:
        """Return (kind, text) of what happened since the last call.

        Kinds: `log_dir_offline` (wakes `control_fd`), `log_warning` (background work that failed; comes with the next wake).
        """
    def metrics(self) -> dict[str, int]:
        """Return counters and gauges by name."""
    def stop(self, grace_ms: int) -> None:
        """Stop accepting, let requests under way finish for up to `grace_ms`, close every connection. Blocks."""
    def close(self) -> None:
        """Flush, write checkpoints and the clean-shutdown marker, release the lock. Idempotent. Blocks."""

def note_fork() -> None:
    """Say that this process is the child of a fork: clients made before it refuse to work. `client/native.py` calls it."""

@final
class ClusterClient:
    """The client's transport: connections to the brokers of one cluster, their metadata, requests and answers.

    Thread-safe. Work is done on a thread of its own; its results are (token, result) completions. A node is a broker's id,
    -1 for any broker or -2 for the controller; a channel is 0 (data), 1 (control) or 2 (coordinator): a connection each.
    """

    def __new__(cls, settings: Mapping[str, str]) -> Self:
        """Start the thread; nothing is connected before the first request.

        Args:
            settings: Kafka's dotted names to text; `bootstrap.servers` is required, names not of the transport are ignored.

        Raises:
            ConfigError: a value that can't be used.
        """
    def completion_fd(self) -> int:
        """Return an eventfd that is readable while there are completions. It is this object's own: don't close it."""
    def take_completions(self) -> list[tuple[int, object]]:
        """Return all completions, oldest first.

        A result is the response after its header as bytes (`request`), a list of (API key, lowest, highest version)
        (`versions`), None (`refresh_metadata`), or an exception of `odradek.errors`, not raised.
        """
    def request(self, node: int, channel: int, api_key: int, api_version: int, body: bytes, timeout_ms: int) -> int:
        """Send an encoded request (what follows the header); return its token.

        Requests to one node and channel go out in the order of the calls. Nothing is sent twice.

        Raises:
            ClosedError, ForkedError: at once; everything else is completed.
        """
    def versions(self, node: int, channel: int, timeout_ms: int) -> int:
        """Ask what a node serves, connecting if need be; return the token. Any broker and the controller are waited for."""
    def refresh_metadata(self, timeout_ms: int) -> int:
        """Refresh the metadata; return the token. Fails with NoBrokersAvailableError, which lists each server's reason."""
    def cancel(self, token: int) -> None:
        """Give a token up: it is not completed, if it has not been. What was sent stays sent."""
    def metadata(
        self,
    ) -> tuple[
        int,
        str | None,
        int,
        list[tuple[int, str, int, str | None]],
        list[tuple[str, bytes, int, bool, list[tuple[int, int, list[int], list[int], int]]]],
    ]:
        """Return the latest picture, copied.

        (version, cluster id, controller, brokers, topics): brokers are (id, host, port, rack), topics (name, 16-byte id,
        error code, internal, partitions), partitions, by number, (leader, leader epoch, replicas, isr, error code).
        """
    def metadata_version(self) -> int:
        """Return the picture's number; 0 before the first refresh."""
    def request_refresh(self) -> None:
        """Ask for a refresh soon; many calls make one."""
    def watch_topics(self, names: Sequence[str]) -> None:
        """Add topics to those that every refresh asks for; a new one asks for a refresh at once."""
    def unwatch_topics(self, names: Sequence[str]) -> None:
        """Take topics out of those that every refresh asks for."""
    def watch_all(self, yes: bool) -> None:
        """Whether every refresh asks for all topics there are."""
    def learn_broker(self, node: int, host: str, port: int) -> None:
        """Make a broker known that an answer named before the metadata did."""
    def close(self, grace_ms: int) -> None:
        """Stop the thread: what is under way may end within the grace, the rest is never completed. Idempotent.

        Releases the GIL; waits for the thread. In a forked child it does nothing.
        """
