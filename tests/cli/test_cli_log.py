"""`odradek log` on files made here, whole and damaged in each way it looks for."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Outcome

from odradek.record import crc32c, encode_batch, encode_index

Run = Callable[..., Outcome]
SEGMENT = f"{100:020}"


def _batch(base_offset: int, count: int = 5, **options: object) -> bytes:
    records = [(1000 + base_offset + at, b"k%d" % at, b"value %d" % at, [("h", b"x")]) for at in range(count)]
    return encode_batch(records, base_offset=base_offset, partition_leader_epoch=0, **options)  # type: ignore[arg-type]


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    """A partition folder: one segment of four batches from offset 100 on, its indexes, a snapshot, checkpoints."""
    folder = tmp_path / "orders-0"
    folder.mkdir()
    batches = [_batch(100), _batch(105, compression="gzip"), _batch(110), _batch(120)]
    (folder / f"{SEGMENT}.log").write_bytes(b"".join(batches))
    second = len(batches[0])
    third = second + len(batches[1])
    (folder / f"{SEGMENT}.index").write_bytes(encode_index([(109, second), (114, third)], 100) + bytes(800))
    times = struct.pack(">qiqi", 1109, 9, 1114, 14)
    (folder / f"{SEGMENT}.timeindex").write_bytes(times + bytes(120))
    content = struct.pack(">iqhiqiqiq", 1, 7, 0, 4, 104, 4, 1104, -1, -1)
    (folder / f"{SEGMENT}.snapshot").write_bytes(struct.pack(">hI", 1, crc32c(content)) + content)
    (folder / "leader-epoch-checkpoint").write_text("0\n1\n0 0\n")
    (folder / "partition.metadata").write_text("version: 0\ntopic_id: abc\n")
    (tmp_path / "recovery-point-offset-checkpoint").write_text("0\n1\norders 0 100\n")
    return folder


def _documents(outcome: Outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_sound_directory_is_called_sound(offline: Run, partition: Path) -> None:
    for directory in (partition, partition.parent):
        checked = offline("log", "verify", str(directory), "--json")
        assert checked.code == 0
        size = (partition / f"{SEGMENT}.log").stat().st_size
        assert checked.json == {"partitions": 1, "batches": 4, "records": 20, "bytes": size, "damage": []}
    assert offline("log", "verify", str(partition)).out.endswith(": sound\n")


def test_dump_shows_batches_and_with_records_their_content(offline: Run, partition: Path) -> None:
    file = str(partition / f"{SEGMENT}.log")
    batches = _documents(offline("log", "dump", file, "--json"))
    shown = [(row["batch"]["baseOffset"], row["batch"]["lastOffset"], row["batch"]["compression"]) for row in batches]  # type: ignore[index]
    assert shown == [(100, 104, "none"), (105, 109, "gzip"), (110, 114, "none"), (120, 124, "none")]
    records = [
        row["record"] for row in _documents(offline("log", "dump", file, "--records", "--json")) if "record" in row
    ]
    assert len(records) == 20
    assert records[5] == {
        "offset": 105,
        "timestamp": 1105,
        "headers": [["h", "x"]],
        "key": "k0",
        "value": "value 0",
    }
    text = offline("log", "dump", file, "--records").out.splitlines()
    assert text[1].startswith("baseOffset: 100 lastOffset: 104 count: 5 position: 0 ")
    assert text[2] == '| offset: 100 timestamp: 1100 headers: [["h", "x"]] key: k0 value: value 0'


def test_dump_of_a_directory_reads_every_kind_of_file(offline: Run, partition: Path) -> None:
    dumped = offline("log", "dump", str(partition), "--json")
    assert dumped.code == 0
    by_file: dict[object, list[dict[str, object]]] = {}
    for row in _documents(dumped):
        by_file.setdefault(row.pop("file"), []).append(row)
    assert [row["entry"]["offset"] for row in by_file[f"{SEGMENT}.index"]] == [109, 114]  # type: ignore[index]
    assert by_file[f"{SEGMENT}.timeindex"] == [
        {"entry": {"timestamp_ms": 1109, "offset": 109}},
        {"entry": {"timestamp_ms": 1114, "offset": 114}},
    ]
    [snapshot] = by_file[f"{SEGMENT}.snapshot"]
    assert snapshot["producer"]["producer_id"] == 7  # type: ignore[index]
    assert by_file["leader-epoch-checkpoint"] == [{"entry": ["0", "0"]}]
    assert by_file["partition.metadata"][0] == {"line": "version: 0"}


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


def _damage(offline: Run, partition: Path) -> list[tuple[str, str]]:
    checked = offline("log", "verify", str(partition.parent), "--json")
    assert checked.code == 1
    return [(Path(row["file"]).name, row["what"]) for row in checked.json["damage"]]


def test_flipped_byte_is_found_and_the_batches_behind_it_still_read(offline: Run, partition: Path) -> None:
    log = partition / f"{SEGMENT}.log"
    position = len(_batch(100))
    _flip(log, position + 70)
    checked = offline("log", "verify", str(partition), "--json")
    assert checked.code == 1
    [damage] = checked.json["damage"]
    assert (Path(damage["file"]).name, damage["file_position"]) == (log.name, position)
    assert "checksum" in damage["what"]
    assert checked.json["batches"] == 3
    dumped = offline("log", "dump", str(log))
    assert dumped.code == 1
    assert "checksum" in dumped.error_line


def test_torn_tail_is_found(offline: Run, partition: Path) -> None:
    log = partition / f"{SEGMENT}.log"
    log.write_bytes(log.read_bytes()[:-3])
    [(file, what)] = _damage(offline, partition)
    assert file == log.name
    assert "the log ends after" in what


def test_lying_length_is_found_and_costs_no_memory(offline: Run, partition: Path) -> None:
    log = partition / f"{SEGMENT}.log"
    log.write_bytes(log.read_bytes() + struct.pack(">qi", 125, 0x7FFFFFFF) + bytes(100))
    [(file, what)] = _damage(offline, partition)
    assert file == log.name
    assert "claims a length of 2147483647 bytes" in what


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([(109, 17)], "does not point at the start of a batch"),
        ([(104, -1)], "points at the batch of offsets 105 to 109"),
        ([(500, 1 << 20)], "points past the end of the log"),
    ],
)
def test_wrong_offset_index_is_found(
    offline: Run, partition: Path, entries: list[tuple[int, int]], complaint: str
) -> None:
    second = len(_batch(100))
    index = [(offset, second if position == -1 else position) for offset, position in entries]
    (partition / f"{SEGMENT}.index").write_bytes(encode_index(index, 100))
    [(file, what)] = _damage(offline, partition)
    assert file == f"{SEGMENT}.index"
    assert complaint in what


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [((1108, 9), "whose greatest timestamp up to there is 1109"), ((9999, 300), "names an offset past the end")],
)
def test_wrong_time_index_is_found(offline: Run, partition: Path, entry: tuple[int, int], complaint: str) -> None:
    (partition / f"{SEGMENT}.timeindex").write_bytes(struct.pack(">qi", *entry))
    [(file, what)] = _damage(offline, partition)
    assert file == f"{SEGMENT}.timeindex"
    assert complaint in what


def test_index_of_a_broken_size_is_found(offline: Run, partition: Path) -> None:
    (partition / f"{SEGMENT}.index").write_bytes(b"\x00\x00\x00\x09\x00")
    [(file, what)] = _damage(offline, partition)
    assert (file, what) == (f"{SEGMENT}.index", "the file ends in the middle of the entry at position 0")


def test_offsets_that_go_back_are_found(offline: Run, partition: Path) -> None:
    log = partition / f"{SEGMENT}.log"
    log.write_bytes(log.read_bytes() + _batch(107))
    [(file, what)] = _damage(offline, partition)
    assert (file, what) == (log.name, "batch starts at offset 107, expected 125 or more")


def test_segments_that_overlap_are_found(offline: Run, partition: Path) -> None:
    (partition / f"{121:020}.log").write_bytes(_batch(125))
    [first, second] = _damage(offline, partition)
    assert first == (f"{SEGMENT}.log", "batch ends at offset 124, next segment is 121")
    assert second == (f"{121:020}.log", "starts below offset 125, where the segment before ends")


def test_damaged_snapshot_and_checkpoint_are_found(offline: Run, partition: Path) -> None:
    _flip(partition / f"{SEGMENT}.snapshot", 20)
    (partition / "leader-epoch-checkpoint").write_text("0\n2\n0 0\n")
    found = dict(_damage(offline, partition))
    assert "checksum" in found[f"{SEGMENT}.snapshot"]
    assert found["leader-epoch-checkpoint"] == "says 2 entries, has 1"


def test_a_folder_without_logs_is_an_error_not_sound(offline: Run, tmp_path: Path) -> None:
    for command in ("verify", "dump"):
        failed = offline("log", command, str(tmp_path))
        assert failed.code == 1
        assert str(tmp_path) in failed.error_line
