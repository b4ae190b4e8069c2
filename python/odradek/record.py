"""Record batches, their checksum and compression, and the offset index: the place to import all of them from.

Two twins do the work behind the same names: `odradek._native` (Rust, the default) and `odradek._pure` (plain Python, the
readable specification). Set `ODRADEK_PURE=1` before the first import to run on the latter; a warning says so. There is
no other way from one to the other: if the native twin is missing, importing this fails.

Next to read: `_pure/batch.py` for the format; `rust/odradek-core/src/record/` for the fast twin.
"""

import os
import warnings
from collections.abc import Sequence
from typing import Literal, Protocol

__all__ = [
    "Codec",
    "CodecName",
    "Record",
    "RecordBatch",
    "codec",
    "compress",
    "crc32c",
    "decode_batches",
    "decompress",
    "encode_batch",
    "encode_index",
    "index_lookup",
]

CodecName = Literal["none", "gzip", "snappy", "lz4", "zstd"]
TimestampType = Literal["CreateTime", "LogAppendTime"]
Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """One decoded record. Immutable; a missing key, value or header value is None, an empty one is b""."""

    @property
    def offset(self) -> int:
        """Place in the partition's log."""

    @property
    def timestamp_ms(self) -> int:
        """The producer's time, or the broker's if the batch says LogAppendTime."""

    @property
    def key(self) -> bytes | None:
        """Key."""

    @property
    def value(self) -> bytes | None:
        """Value."""

    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """Headers in their order; a name may come twice. What is not UTF-8 in a name is shown as U+FFFD."""


class RecordBatch(Protocol):
    """One decoded batch. Immutable. The producer's fields are -1 where there is no idempotence."""

    @property
    def base_offset(self) -> int:
        """Offset of the first record the batch was made with."""

    @property
    def last_offset(self) -> int:
        """Offset of the last record the batch was made with; compaction may have taken it since."""

    @property
    def partition_leader_epoch(self) -> int:
        """Epoch of the leader that appended it."""

    @property
    def compression(self) -> str:
        """`none`, `gzip`, `snappy`, `lz4` or `zstd`."""

    @property
    def timestamp_type(self) -> str:
        """`CreateTime` or `LogAppendTime`."""

    @property
    def is_transactional(self) -> bool:
        """Part of a transaction."""

    @property
    def is_control(self) -> bool:
        """A transaction marker or the like; consumers skip its records."""

    @property
    def base_timestamp_ms(self) -> int:
        """What the records' timestamps are stored relative to."""

    @property
    def max_timestamp_ms(self) -> int:
        """Greatest timestamp."""

    @property
    def producer_id(self) -> int:
        """Producer id."""

    @property
    def producer_epoch(self) -> int:
        """Producer epoch."""

    @property
    def base_sequence(self) -> int:
        """Sequence number of the first record."""

    @property
    def crc(self) -> int:
        """Stored CRC-32C; it has been checked."""

    @property
    def size_bytes(self) -> int:
        """Size in the log, header included."""

    @property
    def records(self) -> Sequence[Record]:
        """The records in order of offset."""


class Codec(Protocol):
    """What both twins offer."""

    def encode_batch(
        self,
        records: Sequence[tuple[int, bytes | None, bytes | None, Headers]],
        *,
        base_offset: int = 0,
        compression: CodecName = "none",
        level: int | None = None,
        producer_id: int = -1,
        producer_epoch: int = -1,
        base_sequence: int = -1,
        timestamp_type: TimestampType = "CreateTime",
        is_transactional: bool = False,
        is_control: bool = False,
        partition_leader_epoch: int = -1,
    ) -> bytes:
        """Build one record batch, format v2.

        Args:
            records: (timestamp in ms, key, value, headers as (name, value) pairs), at least one. The first gets
                `base_offset`, each other one more than the one before.
            base_offset: offset of the first record.
            compression: codec of the records.
            level: the codec's level (gzip 1..9, zstd -131072..22; lz4 takes 1..17 and has only one); None = its default.
            producer_id: -1 without idempotence; so are `producer_epoch` and `base_sequence`.
            producer_epoch: see `producer_id`.
            base_sequence: sequence number of the first record.
            timestamp_type: whose clock stamped the records.
            is_transactional: mark as part of a transaction.
            is_control: mark as control batch; key and value of the records are then Kafka's control schemas.
            partition_leader_epoch: usually filled in by the leader; -1 = unknown.

        Returns:
            The batch with its checksum, ready to append.

        Raises:
            ValueError: no record, an unknown codec or level, timestamps too far apart, more than 2 GiB.
            OverflowError: a number does not fit its field.
        GIL: held while the records are read, released for compression.  Source: Kafka `DefaultRecordBatch`.
        """
        ...

    def decode_batches(self, data: bytes, *, limit: int = 268435456) -> Sequence[RecordBatch]:
        """Decode whole batches that follow each other, with all their records; checksums are checked.

        Args:
            data: batches as in a log file or a Fetch response; must end where a batch ends.
            limit: greatest size of one batch's records after decompression, in bytes: protects against bombs.

        Raises:
            CorruptBatchError: the bytes are cut short, fail the checksum, contradict themselves or exceed `limit`.
        """
        ...

    def crc32c(self, data: bytes) -> int:
        """Return the CRC-32C (Castagnoli) of `data`, unsigned."""
        ...

    def compress(self, codec: CodecName, data: bytes, level: int | None = None) -> bytes:
        """Compress as Kafka's clients frame it: snappy in xerial blocks of 32 KiB, lz4 in a frame of 64 KiB blocks.

        The twins may choose other bytes; each reads the other's. The pure zstd stores and does not shrink.

        Raises:
            ValueError: unknown codec or level.
        """
        ...

    def decompress(self, codec: CodecName, data: bytes, limit: int) -> bytes:
        """Decompress what any client may send: snappy framed or raw, all lz4 frames without a dictionary.

        Args:
            codec: codec that made `data`.
            data: the whole of it.
            limit: greatest result in bytes; never much more than this is allocated, whatever the data claims.

        Raises:
            CorruptBatchError: not of this codec, cut short, or over the limit. ValueError: unknown codec.
        """
        ...

    def encode_index(self, entries: Sequence[tuple[int, int]], base_offset: int) -> bytes:
        """Encode an offset index from (offset, file position) pairs in ascending order.

        Raises:
            ValueError: not ascending, or an entry outside 31 bits of `base_offset` or file position.
        """
        ...

    def index_lookup(self, index: bytes, base_offset: int, target: int) -> tuple[int, int]:
        """Return the (offset, file position) of the last entry at or below `target`, or (`base_offset`, 0).

        Raises:
            StorageError: the index is no multiple of 8 bytes.
        """
        ...


def _choose() -> Codec:
    if os.environ.get("ODRADEK_PURE", "0") not in ("", "0"):
        from odradek import _pure  # noqa: PLC0415  the twin not chosen is not loaded

        warnings.warn("ODRADEK_PURE is set: record batches are encoded and decoded in slow, plain Python", stacklevel=3)
        return _pure
    from odradek import _native  # noqa: PLC0415

    return _native


codec: Codec = _choose()
"""The twin in use."""

encode_batch = codec.encode_batch
decode_batches = codec.decode_batches
crc32c = codec.crc32c
compress = codec.compress
decompress = codec.decompress
encode_index = codec.encode_index
index_lookup = codec.index_lookup
