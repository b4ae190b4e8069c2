"""Whether the files of a data directory are sound: each by itself, and indexes against the log they index.

The log is the truth; an index, snapshot or checkpoint that disagrees is damaged even though the broker would rebuild
it. A missing index is no damage: the broker makes it anew. One pass over each log, one batch in memory at a time.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from odradek.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odradek.log import OffsetEntry, TimeEntry
    from odradek.record import RecordBatch

__all__ = ["Damage", "Report", "verify_tree"]


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong. `file_position` is a byte place in the file, None where there is none to name."""

    file: Path
    file_position: int | None
    what: str


@dataclass
class Report:
    """What was read, and what is wrong with it."""

    partitions: int = 0
    batches: int = 0
    records: int = 0
    size_bytes: int = 0
    damage: list[Damage] = field(default_factory=list)


def verify_tree(directory: Path) -> Report:
    """Check every partition folder in a directory, or the directory itself if it is one."""
    report = Report()
    folders = sorted({path.parent for pattern in ("*.log", "*/*.log") for path in directory.glob(pattern)})
    for folder in folders:
        if any(_is_segment(path) for path in folder.glob("*.log")):
            report.partitions += 1
            _verify_partition(folder, report)
    for checkpoint in sorted({*directory.glob("*-checkpoint"), *(f / "leader-epoch-checkpoint" for f in folders)}):
        if checkpoint.exists():
            _verify_checkpoint(checkpoint, report)
    return report


def _is_segment(path: Path) -> bool:
    return len(path.stem) == 20 and path.stem.isdecimal()


def _verify_partition(folder: Path, report: Report) -> None:
    next_offset = 0
    last_epoch = -1
    segments = sorted(path for path in folder.glob("*.log") if _is_segment(path))
    for at, path in enumerate(segments):
        limit = int(segments[at + 1].stem) if at + 1 < len(segments) else None
        check = _SegmentCheck(path, report, next_offset, limit, last_epoch)
        check.run()
        next_offset, last_epoch = check.next_offset, check.last_epoch
    for path in sorted(folder.glob("*.snapshot")):
        _verify_snapshot(path, report)
    for path in sorted(folder.glob("*.txnindex")):
        _verify_transaction_index(path, report)


class _SegmentCheck:
    """One pass over a segment, its indexes read alongside. Offsets and epochs go on from the segment before."""

    def __init__(self, path: Path, report: Report, next_offset: int, limit: int | None, last_epoch: int) -> None:
        """Prepare.

        Args:
            path: the `.log` file.
            report: gets what is found.
            next_offset: one more than the last offset of the segment before.
            limit: base offset of the segment after, None for the last one.
            last_epoch: greatest leader epoch before.
        """
        self.path = path
        self.report = report
        self.base_offset = int(path.stem)
        self.next_offset = max(next_offset, self.base_offset)
        if next_offset > self.base_offset:
            self._damage(path, None, f"starts below offset {next_offset}, where the segment before ends")
        self.limit = limit
        self.last_epoch = last_epoch
        self.max_timestamp_ms = -1

    def _damage(self, file: Path, position: int | None, what: str) -> None:
        self.report.damage.append(Damage(file, position, what))

    def run(self) -> None:
        """Read the segment to its end, or to where a length can't be true and the next batch can't be found."""
        from odradek.log import read_batches
        from odradek.record import decode_batches

        offset_index, time_index = _OffsetIndexCheck(self), _TimeIndexCheck(self)
        end = 0
        whole = True  # behind a damaged batch nothing can be said about index entries
        try:
            for raw in read_batches(self.path):
                end = raw.file_position + len(raw.data)
                try:
                    [batch] = decode_batches(raw.data)
                except StorageError as error:
                    whole = False
                    self._damage(self.path, raw.file_position, str(error))
                    continue
                self._take(batch, raw.file_position)
                if whole:
                    offset_index.take(batch, raw.file_position)
                    time_index.take(batch, self.max_timestamp_ms)
        except StorageError as error:
            whole = False
            self._damage(self.path, end, str(error).removeprefix(f"{self.path}: "))
        if whole:
            offset_index.finish()
            time_index.finish()

    def _take(self, batch: "RecordBatch", position: int) -> None:
        self.report.batches += 1
        self.report.records += len(batch.records)
        self.report.size_bytes += batch.size_bytes
        if batch.base_offset < self.next_offset:
            self._damage(
                self.path, position, f"batch starts at offset {batch.base_offset}, expected {self.next_offset} or more"
            )
        if self.limit is not None and batch.last_offset >= self.limit:
            self._damage(self.path, position, f"batch ends at offset {batch.last_offset}, next segment is {self.limit}")
        if batch.partition_leader_epoch < self.last_epoch:
            self._damage(
                self.path, position, f"leader epoch goes back from {self.last_epoch} to {batch.partition_leader_epoch}"
            )
        self.last_epoch = max(self.last_epoch, batch.partition_leader_epoch)
        self.next_offset = max(self.next_offset, batch.last_offset + 1)
        self.max_timestamp_ms = max(self.max_timestamp_ms, batch.max_timestamp_ms)


class _OffsetIndexCheck:
    """Each entry names the start of a batch and an offset in that batch, ascending."""

    def __init__(self, segment: _SegmentCheck) -> None:
        from odradek.log import read_offset_index

        self.segment = segment
        self.path = segment.path.with_suffix(".index")
        self.entries: Iterator[OffsetEntry] = read_offset_index(self.path) if self.path.exists() else iter(())
        self.next: OffsetEntry | None = None
        self._advance()

    def _advance(self) -> None:
        before = self.next
        try:
            self.next = next(self.entries, None)
        except StorageError as error:
            self.segment._damage(self.path, None, str(error).removeprefix(f"{self.path}: "))  # noqa: SLF001
            self.next = None
        if (
            before
            and self.next
            and (self.next.offset <= before.offset or self.next.file_position < before.file_position)
        ):
            self._wrong(f"is not past the one before, ({before.offset}, {before.file_position})")
            self.next = None

    def _wrong(self, what: str) -> None:
        if self.next:
            entry = f"entry ({self.next.offset}, {self.next.file_position})"
            self.segment._damage(self.path, None, f"{entry} {what}")  # noqa: SLF001

    def take(self, batch: "RecordBatch", position: int) -> None:
        """Check the entries that point at this batch or before it."""
        while self.next and self.next.file_position <= position:
            if self.next.file_position != position:
                self._wrong("does not point at the start of a batch")
            elif not batch.base_offset <= self.next.offset <= batch.last_offset:
                self._wrong(f"points at the batch of offsets {batch.base_offset} to {batch.last_offset}")
            self._advance()

    def finish(self) -> None:
        """Check that no entry points past the end."""
        if self.next:
            self._wrong("points past the end of the log")


class _TimeIndexCheck:
    """Each entry holds the greatest timestamp up to the batch of its offset, ascending."""

    def __init__(self, segment: _SegmentCheck) -> None:
        from odradek.log import read_time_index

        self.segment = segment
        self.path = segment.path.with_suffix(".timeindex")
        self.entries: Iterator[TimeEntry] = read_time_index(self.path) if self.path.exists() else iter(())
        self.next: TimeEntry | None = None
        self._advance()

    def _advance(self) -> None:
        before = self.next
        try:
            self.next = next(self.entries, None)
        except StorageError as error:
            self.segment._damage(self.path, None, str(error).removeprefix(f"{self.path}: "))  # noqa: SLF001
            self.next = None
        if before and self.next and (self.next.offset < before.offset or self.next.timestamp_ms < before.timestamp_ms):
            self._wrong(f"is not past the one before, ({before.timestamp_ms}, {before.offset})")
            self.next = None

    def _wrong(self, what: str) -> None:
        if self.next:
            entry = f"entry ({self.next.timestamp_ms}, {self.next.offset})"
            self.segment._damage(self.path, None, f"{entry} {what}")  # noqa: SLF001

    def take(self, batch: "RecordBatch", max_timestamp_ms: int) -> None:
        """Check the entries whose offset is in this batch or before it; `max_timestamp_ms` includes this batch."""
        while self.next and self.next.offset <= batch.last_offset:
            if self.next.timestamp_ms != max_timestamp_ms:
                self._wrong(f"disagrees with the log, whose greatest timestamp up to there is {max_timestamp_ms}")
            self._advance()

    def finish(self) -> None:
        """Check that no entry names an offset past the end."""
        if self.next:
            self._wrong("names an offset past the end of the log")


def _verify_snapshot(path: Path, report: Report) -> None:
    from odradek.log import read_snapshot
    from odradek.record import crc32c

    try:
        snapshot = read_snapshot(path)
    except StorageError as error:
        report.damage.append(Damage(path, None, str(error).removeprefix(f"{path}: ")))
        return
    checksum = crc32c(snapshot.content)
    if checksum != snapshot.crc:
        report.damage.append(
            Damage(path, None, f"checksum is {snapshot.crc:#010x}, the content gives {checksum:#010x}")
        )


def _verify_transaction_index(path: Path, report: Report) -> None:
    from odradek.log import read_transaction_index

    try:
        for entry in read_transaction_index(path):
            if not entry.first_offset <= entry.last_offset:
                report.damage.append(Damage(path, None, f"transaction ends before it starts: {entry}"))
    except StorageError as error:
        report.damage.append(Damage(path, None, str(error).removeprefix(f"{path}: ")))


def _verify_checkpoint(path: Path, report: Report) -> None:
    from odradek.log import read_checkpoint

    try:
        read_checkpoint(path)
    except (StorageError, UnicodeDecodeError) as error:
        report.damage.append(Damage(path, None, str(error).removeprefix(f"{path}: ")))
