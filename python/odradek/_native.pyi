"""The compiled core. Only `record.py`, `broker/server.py` and `client/native.py` import it."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Self, final

from odradek.types import RecordMetadata, TopicPartition

__all__ = [
    "ArrowBatch",
    "ArrowRows",
    "AsyncDeliveryFuture",
    "ClusterClient",
    "ConsumerRecord",
    "ControlRequest",
    "DeliveryFuture",
    "Dispatcher",
    "Engine",
    "Faults",
    "Fetcher",
    "Listener",
    "ManyFuture",
    "NativeProducer",
    "Record",
    "RecordBatch",
    "Turn",
    "TurnCall",
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
    def fault_code(self) -> int:
        """The error code that a fault asks to be answered with, the request not being carried out; 0 is none."""
    @property
    def body(self) -> bytes:
        """The request after its header."""

@final
class Listener:
    """A listening socket on its way from one engine to the next."""

@final
class Faults:
    """What tests ask a broker to do wrong; see `odradek.broker.faults`. Thread-safe, lives as long as its engine."""

    def add(self, api_key: int, effect: str, value: int, times: int | None) -> int:
        """Add a rule for the next `times` requests of an API, None for all; return its id.

        Args:
            api_key: the API.
            effect: `delay` (value: ms), `fail` (value: error code), `drop_before` or `drop_after`.
            value: see `effect`; else ignored.
            times: 1 or more, or None.
        """
    def remove(self, rule: int) -> None:
        """Take a rule away; requests it delays go on. An unknown id is ignored."""
    def clear(self) -> None:
        """Take every rule away, and end a pause."""
    def set_paused(self, paused: bool) -> None:
        """Hold every connection as it is, or let all go on."""
    def hits(self, rule: int) -> int | None:
        """Return how many requests a rule has met; None once it was taken away."""
    def wait_for_hits(self, rule: int, hits: int, timeout_ms: int) -> bool:
        """Wait until a rule has met so many requests; False when time is up or the rule taken away. Releases the GIL."""

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
    def settle_group(
        self, group: str, generation: int, members: Sequence[tuple[str, str | None]], partition: int
    ) -> None:
        """Have Rust answer the heartbeats of a stable group that have nothing to tell, and plain commits of its members.

        Such a commit is in the log when it is answered. One with anything that Rust leaves to Python (a topic that is not
        there, metadata too long, a retention of its own) comes to Python as a whole.

        Args:
            group: group id.
            generation: its generation.
            members: (member id, instance id or None). Any other heartbeat or commit still comes to Python.
            partition: the partition of `__consumer_offsets` that the group belongs to.
        """
    def unsettle_group(self, group: str) -> dict[str, int]:
        """Have all requests of a group come to Python again; return what `silences` would have.

        What its members have committed is to be taken before, with `hold`: it is forgotten here.
        """
    def silences(self, group: str) -> dict[str, int]:
        """Return by member id how many ms ago Rust last heard of a member, without those it has not heard of."""
    def take_commits(self, group: str, *, hold: bool) -> list[tuple[str, int, int, int, str, int, bytes]]:
        """Return the offsets that Rust has committed to a settled group since the last call; none for any other group.

        Each is (topic, partition, offset, leader epoch or -1, metadata, commit time in ms, 16-byte topic id), the last of
        its partition; all are in the log.

        Args:
            group: group id.
            hold: commits come to Python from now on, until `release_commits`.
        Blocks while a commit is being written; the GIL is released.
        """
    def release_commits(self, group: str) -> None:
        """End what `take_commits` with `hold` began; a group that is not settled is no error."""
    def know_members(
        self, group: str, protocol_type: str, members: Sequence[tuple[str, str | None, Sequence[str]]]
    ) -> None:
        """Tell Rust who the members of a classic group are, in place of what it knew; what it keeps of the group stays.

        Args:
            group: group id. Nothing of a group that was not known is kept before `gather`.
            protocol_type: its protocol type.
            members: (member id, instance id or None, names of its protocols in order).
        """
    def gather(
        self, group: str, generation: int, protocol: str | None, *, joins_of: Sequence[str], sync_of: str | None
    ) -> None:
        """Have Rust keep the plain JoinGroups and SyncGroups of a group's known members, until they are taken together.

        A request that says anything else than is known, or is malformed, comes as a `ControlRequest`, as does every one
        behind it or of a group that is not known. The event `gathered` names the group, once until the next
        `take_gathered`, when what is awaited is there, or anything else than that; see `rust/odradek-core/src/net/rounds.rs`.

        Args:
            group: group id; one that is not known is no error.
            generation: the present one; a SyncGroup of another is not kept.
            protocol: its protocol.
            joins_of: members whose JoinGroups are awaited, all of them; empty: the first JoinGroup is.
            sync_of: the leader, whose SyncGroup is awaited; None: the first SyncGroup is.
        """
    def take_gathered(
        self, group: str
    ) -> tuple[
        list[tuple[int, int, str, str | None, str, list[tuple[str, bytes]], int, int, str | None, str]],
        list[tuple[int, int, str, str | None, int, str | None, str | None, list[tuple[str, bytes]]]],
    ]:
        """Return the JoinGroups and the SyncGroups kept of a group, each in the order they came; they are kept no more.

        A JoinGroup is (token, API version, member id, instance id, protocol type, [(protocol, metadata)], session
        timeout ms, rebalance timeout ms (version 0: the session's), client id, peer host), a SyncGroup (token, API version,
        member id, instance id, generation, protocol type, protocol, [(member id, assignment)]). Each token is to be
        answered; its connection waits.
        """
    def forget_members(
        self, group: str
    ) -> tuple[
        list[tuple[int, int, str, str | None, str, list[tuple[str, bytes]], int, int, str | None, str]],
        list[tuple[int, int, str, str | None, int, str | None, str | None, list[tuple[str, bytes]]]],
    ]:
        """Return what `take_gathered` would, and have all later requests of the group come one by one."""
    @staticmethod
    def matching_names(expression: str, names: Sequence[str]) -> list[str]:
        """Return those of the names that a regular expression matches as a whole.

        The time is linear in the length of a name, whatever the expression: no lookaround, no backreferences.

        Raises:
            ValueError: it can't be read, or is too large.
        """
    def bind(self, host: str, port: int) -> int:
        """Take the port (0 = a free one) without accepting yet; return it.

        Raises:
            OSError: in use, not permitted, no such address.
        """
    def listener(self) -> Listener:
        """Return the listening socket once more: while it is held the port is taken, and who connects waits.

        Raises:
            InternalError: not bound, or stopped.
        """
    def adopt(self, listener: Listener) -> int:
        """Take another engine's socket in place of `bind`; return its port.

        Raises:
            ValueError: another engine has adopted it.
        """
    def start(self) -> None:
        """Accept connections."""
    def control_fd(self) -> int:
        """Return an eventfd that is readable while `take_requests` has something; the engine owns it."""
    def take_requests(self, limit: int) -> list[ControlRequest]:
        """Take up to `limit` waiting requests, oldest first, and clear the eventfd when none is left."""
    def respond(self, token: int, body: bytes) -> None:
        """Answer a request with the response after its header. A connection that has gone meanwhile is no error."""
    def respond_all(self, answers: Sequence[tuple[int, bytes]]) -> None:
        """Answer many requests as `respond` does: (token, response after its header)."""
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

        Kinds: `log_dir_offline` and `gathered` (wake `control_fd`), `log_warning` (background work that failed; comes with the next wake).
        """
    def metrics(self) -> dict[str, int]:
        """Return counters and gauges by name."""
    def faults(self) -> Faults:
        """Return the engine's fault table."""
    def stop(self, grace_ms: int) -> None:
        """Stop accepting, let requests under way finish for up to `grace_ms`, close every connection. Blocks."""
    def close(self) -> None:
        """Flush, write checkpoints and the clean-shutdown marker, release the lock. Idempotent. Blocks."""

def note_fork() -> None:
    """Say that this process is the child of a fork: clients made before it refuse to work. `client/native.py` calls it."""

@final
class Turn:
    """One thread at a time in a client that is not made for several; that one may come again, from a callback.

    A `with` statement takes it and gives it back. Ctrl-C finds no place between the taking and the block.
    """

    def __new__(cls) -> Self: ...
    def __enter__(self) -> None:
        """Take the turn. Raises UsageError while another thread has it."""
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...
    def call(self, begin: Callable[[], object]) -> TurnCall:
        """Return what takes the turn as the turn itself does, and calls `begin` in it, before the block.

        What `begin` raises gives the turn back. It costs an object a call, which `poll` does without.
        """

@final
class TurnCall:
    """One call, in its turn, with a beginning of its own."""

    def __enter__(self) -> None:
        """Take the turn. Raises UsageError while another thread has it, and what `begin` raises."""
    def __exit__(self, _kind: object, _error: object, _traceback: object) -> None: ...

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
    def silent(self) -> list[str]:
        """Return "HOST:PORT" of servers that have been asked and have not answered yet."""
    def learn_broker(self, node: int, host: str, port: int) -> None:
        """Make a broker known that an answer named before the metadata did."""
    def close(self, grace_ms: int) -> None:
        """Stop the thread: what is under way may end within the grace, the rest is never completed. Idempotent.

        Releases the GIL; waits for the thread. In a forked child it does nothing.
        """

@final
class DeliveryFuture:
    """The fate of one record sent by `odradek.Producer`. Immutable, thread-safe, cheap: it shares its batch's state."""

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Wait and return where the record was written. Its batch lingers no longer once somebody waits for it.

        Args:
            timeout: seconds; None = as long as it takes (`delivery_timeout_ms` at most).

        Raises:
            TimeoutError: not delivered yet, or given up after `delivery_timeout_ms`. KafkaError: the broker refused it.
            ClosedError: the producer was closed before it was delivered. RecordTooLargeError, DisconnectedError, ...
        Blocks without the GIL; Ctrl-C works.
        """
    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait and return why the record failed; None if it was written. As `result` otherwise."""
    def done(self) -> bool:
        """Return whether the record's fate is known."""
    def add_done_callback(self, function: Callable[[DeliveryFuture], object]) -> None:
        """Call `function(future)` once it is done: on the producer's delivery thread, or here if it is done already.

        What it raises is logged.
        """

@final
class AsyncDeliveryFuture:
    """The fate of one record sent by `odradek.aio.Producer`: `metadata = await future`. May be awaited more than once."""

    def __await__(self) -> Generator[Any, None, RecordMetadata]: ...
    def result(self) -> RecordMetadata:
        """Return where the record was written.

        Raises:
            asyncio.InvalidStateError: not delivered yet. Else as `DeliveryFuture.result`.
        """
    def exception(self) -> Exception | None:
        """Return why the record failed; None if it was written. As `result` otherwise."""
    def done(self) -> bool:
        """Return whether the record's fate is known."""

@final
class ManyFuture:
    """The fate of all records of one `send_many` or `send_arrow`. `len()` says how many there are."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait until every record's fate is known; raises TimeoutError after `timeout` seconds. Makes no list."""
    def result(self, timeout: float | None = None) -> list[RecordMetadata]:
        """Wait and return where each record was written, in the order in which they were given.

        Raises:
            As `DeliveryFuture.result`, for the first record that failed.
        """
    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait and return why the first of those records failed that did; None if all were written."""
    def done(self) -> bool:
        """Return whether every record's fate is known."""
    def add_done_callback(self, function: Callable[[ManyFuture], object]) -> None:
        """Call `function(future)` once all are done, as `DeliveryFuture.add_done_callback`."""
    def __await__(self) -> Generator[Any, None, list[RecordMetadata]]: ...
    def __len__(self) -> int: ...

@final
class Dispatcher:
    """The completions of one producer, for the thread that makes its calls."""

    def dispatch(self) -> bool:
        """Make the calls that are due; False once the producer is closed and the last one is made."""

@final
class ArrowRows:
    """The rows of an Arrow table that are still to be sent, and where sending stands."""

class NativeProducer:
    """The native half of both producers. `odradek.Producer` subclasses it, so that `send` has no Python frame."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _open(
        self,
        texts: Mapping[str, str],
        *,
        key_serializer: Callable[[Any], Any] | None = None,
        value_serializer: Callable[[Any], Any] | None = None,
        partitioner: Callable[[str, bytes | None, bytes | None, int], int] | None = None,
        on_delivery: Callable[[Any, Any], object] | None = None,
    ) -> None:
        """Start the I/O thread. `texts`: options under Kafka's dotted names. Raises ConfigError, OSError."""
    def send(
        self,
        topic: str,
        value: Any,
        key: Any = None,
        *,
        partition: int | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[RecordMetadata | None, Exception | None], object] | None = None,
    ) -> DeliveryFuture:
        """Copy a record into its batch and return its future.

        Args:
            topic: name; the first record to a topic waits for its metadata.
            value: bytes-like, or what `value_serializer` takes; None = tombstone.
            key: bytes-like, or what `key_serializer` takes; None = none. Records of one key go to one partition.
            partition: number, from 0; None = by the partitioner.
            headers: (name, bytes-like | None) pairs, or a mapping.
            timestamp_ms: since 1970, UTC; None = now.
            on_delivery: called with (metadata, None) or (None, error) on the producer's delivery thread, in the order of
                the partition; what it raises is logged.

        Raises:
            BufferFullError: `buffer_memory` was full for `max_block_ms`. TimeoutError, NoBrokersAvailableError: the topic
            was not found in that time. InvalidTopicError. RecordTooLargeError: over `max_request_size`.
            SerializationError. ClosedError. ForkedError. TypeError, ValueError: what was given is not a record.
        Blocks / GIL: holds the GIL; gives it up only while it waits for room or metadata. Ctrl-C works then.
        """
    def send_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None = None,
        *,
        partition: int | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        timestamp_ms: int | None = None,
    ) -> ManyFuture:
        """Send a record for each of `values`, with the key at the same place; `headers` and the time are those of all.

        Raises:
            As `send`; a note on the exception says how many records were taken before it.
        """
    def send_arrow(
        self,
        topic: str,
        table: Any,
        *,
        value: str = "value",
        key: str | None = None,
        partition: int | None = None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        timestamp_ms: int | None = None,
    ) -> ManyFuture:
        """Send a record for each row of an Arrow table or record batch, of whatever library (Arrow PyCapsule interface).

        Args:
            topic: as in `send`.
            table: has `__arrow_c_stream__` or `__arrow_c_array__`; its bytes are copied once, into the batches.
            value: the column of values: binary or string, also large or as views; a null is a tombstone.
            key: the column of keys; None = no keys.
            partition: of all records; None = by the partitioner.
            headers: of all records.
            timestamp_ms: of all records. Serializers are not applied.

        Raises:
            As `send_many`; ValueError: no such column, with those there are; TypeError: not Arrow data, or another type.
        Blocks / GIL: without the GIL, unless `partitioner` is a function.
        """
    def flush(self, timeout: float | None = None) -> None:
        """Send everything now and wait until each record sent before is delivered or has failed.

        `on_delivery` and done callbacks of those records have returned by then, as with Kafka's own client. Called from one
        of them, it waits for the records only.

        Raises:
            TimeoutError: after `timeout` seconds; says how many records are left, or that callbacks are. They stay under way.
        Blocks without the GIL; Ctrl-C works.
        """
    def partitions_for(self, topic: str, timeout: float | None = None) -> list[int]:
        """Return the topic's partitions; waits for metadata as `send` does, or `timeout` seconds."""
    def metrics(self) -> dict[str, float]:
        """Return the producer's numbers: totals since it was opened, means, and what is under way. Units end the names."""
    def _try_send(
        self,
        topic: str,
        value: Any,
        key: Any,
        rest: tuple[
            int | None,
            Mapping[str, Any] | Iterable[tuple[str, Any]] | None,
            int | None,
            Callable[[RecordMetadata | None, Exception | None], object] | None,
        ],
    ) -> AsyncDeliveryFuture | int:
        """Send without waiting. `rest`: partition, headers, timestamp_ms and on_delivery, as `send` takes them.

        An int says what is missing: above 0 room for so many bytes, else the topic with at least minus so many partitions.
        """
    @staticmethod
    def _listed(values: Iterable[Any]) -> tuple[Any, ...]:
        """Return a tuple of them; refuses one str or bytes."""
    def _start_many(self, timestamp_ms: int | None = None) -> ManyFuture: ...
    def _send_some(
        self,
        many: ManyFuture,
        topic: str,
        values: tuple[Any, ...],
        keys: tuple[Any, ...] | None,
        start: int,
        partition: int | None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None,
    ) -> tuple[int, int]:
        """Send from `start` on without waiting.

        Returns where it stands and what is missing: 0 = nothing, above 0 room for so many bytes, below 0 the topic with at
        least -n - 1 partitions.
        """
    @staticmethod
    def _arrow_rows(table: Any, value: str, key: str | None = None) -> ArrowRows: ...
    def _send_rows(
        self,
        many: ManyFuture,
        topic: str,
        rows: ArrowRows,
        partition: int | None,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None,
    ) -> int:
        """Send rows without waiting; returns what is missing, as `_send_some`."""
    def _when_room(self, size: int, waiting: Any) -> None:
        """Resolve the loop's future `waiting` once there is room."""
    def _when_topic(self, topic: str, partitions: int, timeout: float, waiting: Any) -> None:
        """Resolve the loop's future `waiting` once the topic is known, or fail it."""
    def _when_flushed(self, waiting: Any) -> None:
        """Send everything now; resolve the loop's future `waiting` once it is done."""
    def _records_left(self) -> int: ...
    def _stop_taking(self) -> bool:
        """Refuse records from now on; True the first time."""
    def _shut(self) -> None:
        """Fail what is not delivered and stop the I/O thread. Idempotent, does not wait for deliveries."""
    def _is_open(self) -> bool: ...
    def _completion_fd(self) -> int:
        """Return the descriptor that is readable while `_dispatch` has something to do."""
    def _dispatch(self) -> bool:
        """Make the calls that are due; on the loop's thread."""
    def _max_block(self) -> float:
        """Return `max.block.ms` in seconds."""

@final
class ConsumerRecord:
    """One record as `Fetcher.poll` returns it. Immutable, hashable, can be pickled.

    Key and value are bytes objects of their own: a record that is kept keeps nothing else in memory.
    """

    def __new__(
        cls,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int = -1,
        timestamp_type: str = "CreateTime",
        key: bytes | None = None,
        value: bytes | None = None,
        headers: tuple[tuple[str, bytes | None], ...] | None = None,
        leader_epoch: int = -1,
    ) -> Self: ...
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...
    @property
    def timestamp_type(self) -> str:
        """`CreateTime`: the producer's clock; `LogAppendTime`: the broker's."""
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """(name, value) pairs in their order; read from the record's bytes at each access."""
    @property
    def leader_epoch(self) -> int:
        """Epoch of the leader that appended the record; -1 = not known."""
    @property
    def topic_partition(self) -> TopicPartition:
        """Where it is from."""
    @property
    def key_size(self) -> int:
        """Bytes of the key, -1 for null."""
    @property
    def value_size(self) -> int:
        """Bytes of the value, -1 for null."""
    def __getnewargs__(
        self,
    ) -> tuple[str, int, int, int, str, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...], int]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ArrowBatch:
    """Records as columns; read without a copy by whatever takes the Arrow PyCapsule interface (pyarrow, polars, duckdb).

    Columns: topic dictionary<int32, string>, partition int32, offset int64, timestamp timestamp[ms, UTC], key binary and
    value binary (nullable), headers list<struct<key: string, value: binary>>. The memory lives as long as any reader of it.
    """

    @property
    def num_rows(self) -> int: ...
    @property
    def num_columns(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    @property
    def nbytes(self) -> int:
        """Bytes of all columns' buffers."""
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class Fetcher:
    """Reads assigned partitions ahead of its polls, within a bound of memory, and keeps their positions. Thread-safe.

    A position is the offset of the next record that `poll` will return. Besides offsets there are four numbers for where
    to begin: -1 wait for `set_position`, -2 the log's end, -3 the log's start, -4 as `auto.offset.reset` says.

    Each poll finishes one partition's part of a broker's answer before it begins the next; brokers rotate over partitions.
    Order within a partition is the log's. Lost leaders, restarted brokers and missing topics are waited for. Methods other
    than the polls never block.
    """

    def __new__(cls, client: ClusterClient, settings: Mapping[str, str]) -> Self:
        """Share a client's connections and thread.

        Args:
            client: the transport; closing it ends the fetcher's work.
            settings: Kafka's dotted names to text: `fetch.*`, `max.partition.fetch.bytes`, `check.crcs`, `isolation.level`,
                `auto.offset.reset`, and our `buffer.max.bytes`: bound of all that is asked for or fetched and not yet
                polled, decompressed where it is; one batch that is larger still comes. Other names are ignored.

        Raises:
            ConfigError: a value that can't be used. ForkedError.
        """
    def assign(self, partitions: Sequence[tuple[str, int, int]]) -> None:
        """Make (topic, partition, position) the assignment. Partitions that stay keep position, buffer and pause.

        Raises:
            ClosedError, ForkedError.
        """
    def set_position(self, topic: str, partition: int, offset: int, leader_epoch: int = -1) -> None:
        """Move a partition; what is buffered of it is dropped at once.

        Raises:
            ValueError: it isn't assigned. ClosedError, ForkedError.
        """
    def position(self, topic: str, partition: int) -> int:
        """Return the position; -1 = not known yet.

        Raises:
            ValueError: it isn't assigned. ClosedError, ForkedError.
        """
    def positions(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return (position, leader epoch of the record before it or -1) of each partition that has one: what to commit."""
    def troubles(self) -> list[tuple[str, int, float, str]]:
        """Return (topic, partition, seconds, why) of those that could not be fetched or looked up for so long; paused ones not."""
    def pause(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Neither fetch nor return these. What is buffered of them stays unless others need the room.

        Raises:
            ValueError: one isn't assigned; none is paused then. ClosedError, ForkedError.
        """
    def resume(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Undo `pause`. Raises as it does."""
    def paused(self) -> list[tuple[str, int]]:
        """Return the paused partitions."""
    def confirm(self) -> None:
        """Note that the caller has all records that polls have returned."""
    def take_back(self) -> None:
        """Put positions back before what polls have returned since `confirm`: Ctrl-C can come between a poll and its caller."""
    def poll(self, timeout_ms: int, max_records: int) -> list[ConsumerRecord]:
        """Return at most so many records, at once if there are some; [] when time is over or `wakeup` was called.

        Waits without the GIL and looks for signals at least every 50 ms. The error of a partition is raised after all
        records before it, while the others go on; while it stays it is raised again at ever longer intervals (from
        `retry.backoff.max.ms` to 30 s), until the partition is moved. Such errors have `topic`, `partition`, `offset`.

        Raises:
            CorruptRecordError: a batch can't be read; `next_offset` is behind it.
            OffsetOutOfRangeError, NoOffsetForPartitionError: and `auto.offset.reset` is `none`.
            KafkaError: the broker refuses the partition (authorization, say); the class is its code's.
            NoBrokersAvailableError: no server has answered ever since the start. UnsupportedVersionError.
            ClosedError, ForkedError.
        """
    def poll_arrow(self, timeout_ms: int, max_records: int) -> ArrowBatch:
        """Return records as columns, made without the GIL and without an object a record. Waits and raises as `poll`."""
    def wakeup(self) -> None:
        """Make the poll that waits, or else the next one, return nothing."""
    def ready_fd(self) -> int:
        """Return an eventfd that is readable while a poll would return or raise at once. It is this object's own.

        Nothing is fetched before the first poll: begin with `poll(0, ...)`.
        """
    def lag(self) -> dict[tuple[str, int], int]:
        """Return how far each partition's readable end is ahead of the position, as of the last answer; known ones only."""
    def metrics(self) -> dict[str, float]:
        """Return figures by name: times in ms, sizes in bytes, totals since the start."""
    def close(self) -> None:
        """Stop fetching; every waiting poll raises ClosedError. Idempotent."""
