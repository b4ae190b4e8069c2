"""`odradek log`: look into the files of a data directory, without a broker.

This file prints; `log_verify.py` judges; `odradek.log` reads the files and `odradek.record` the batches.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from odradek.cli.command import Group
from odradek.cli.failures import CommandError
from odradek.cli.log_verify import Damage, verify_tree
from odradek.cli.output import json_option, print_columns, print_json

__all__ = ["log"]


@click.group(
    cls=Group,
    examples=("odradek log dump data/orders-0 --records", "odradek log verify data"),
)
def log() -> None:
    """Dump and verify log files offline; reading never changes them."""


def _batch_documents(path: Path, *, with_records: bool) -> Iterator[dict[str, Any]]:
    from odradek.log import read_batches
    from odradek.record import decode_batches

    for raw in read_batches(path):
        [batch] = decode_batches(raw.data)
        yield {
            "batch": {
                "baseOffset": batch.base_offset,
                "lastOffset": batch.last_offset,
                "count": len(batch.records),
                "position": raw.file_position,
                "size": batch.size_bytes,
                "partitionLeaderEpoch": batch.partition_leader_epoch,
                "compression": batch.compression,
                "timestampType": batch.timestamp_type,
                "maxTimestamp": batch.max_timestamp_ms,
                "producerId": batch.producer_id,
                "producerEpoch": batch.producer_epoch,
                "baseSequence": batch.base_sequence,
                "isTransactional": batch.is_transactional,
                "isControl": batch.is_control,
                "crc": batch.crc,
            }
        }
        if with_records:
            for record in batch.records:
                yield {
                    "record": {
                        "offset": record.offset,
                        "timestamp": record.timestamp_ms,
                        "headers": [[name, _text(value)] for name, value in record.headers],
                        "key": _text(record.key),
                        "value": _text(record.value),
                    }
                }


def _text(field: bytes | None) -> str | dict[str, str] | None:
    """UTF-8 as text, anything else as base64, so that nothing is lost."""
    if field is None:
        return None
    try:
        return field.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(field).decode("ascii")}


def _entry_documents(path: Path, reader: str, kind: str) -> Iterator[dict[str, Any]]:
    import odradek.log

    for entry in getattr(odradek.log, reader)(path):
        yield {kind: asdict(entry)}


def _snapshot_documents(path: Path) -> Iterator[dict[str, Any]]:
    from odradek.log import read_snapshot

    for producer in read_snapshot(path).producers:
        yield {"producer": asdict(producer)}


def _checkpoint_documents(path: Path) -> Iterator[dict[str, Any]]:
    from odradek.log import read_checkpoint

    for words in read_checkpoint(path):
        yield {"entry": words}


def _text_documents(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield {"line": line}


Documents = Callable[[Path], Iterator[dict[str, Any]]]


def _reader_of(path: Path, *, with_records: bool) -> Documents | None:
    """Choose how to read a file by its name; None if it is none of ours."""
    readers: dict[str, Documents] = {
        ".log": lambda log: _batch_documents(log, with_records=with_records),
        ".index": lambda index: _entry_documents(index, "read_offset_index", "entry"),
        ".timeindex": lambda index: _entry_documents(index, "read_time_index", "entry"),
        ".txnindex": lambda index: _entry_documents(index, "read_transaction_index", "aborted"),
        ".snapshot": _snapshot_documents,
    }
    if path.name.endswith("-checkpoint"):
        return _checkpoint_documents
    if path.name in ("meta.properties", "partition.metadata"):
        return _text_documents
    return readers.get(path.suffix)


def _print_document(document: dict[str, Any]) -> None:
    """Print one batch, record or entry as `name: value` pairs, as Kafka's tool does."""
    [(kind, content)] = document.items()
    if isinstance(content, dict):
        text = " ".join(
            f"{name}: {value if isinstance(value, (str, int)) else json.dumps(value, ensure_ascii=False)}"
            for name, value in content.items()
        )
    else:
        text = content if isinstance(content, str) else " ".join(content)
    click.echo(f"| {text}" if kind == "record" else text)


@log.command(
    examples=(
        "odradek log dump data/orders-0/00000000000000000000.log --records",
        "odradek log dump data/orders-0",
        "odradek log dump data/orders-0/00000000000000000000.log --records --json | jq .record.value",
    )
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--records", is_flag=True, help="Show the records of each batch, decompressed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def dump(path: Path, records: bool, as_json: bool) -> None:
    """Show what is in a segment, index, snapshot or checkpoint file, or in all files of a directory."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    known = [(file, reader) for file in files if (reader := _reader_of(file, with_records=records))]
    if not known:
        raise CommandError(f"{path}: nothing here that odradek can read")
    refusals = []
    for file, reader in known:
        if not as_json:
            click.secho(f"{file}:", bold=True)
        refusals += _dump_file(file, reader, as_json=as_json)
    if refusals:
        raise CommandError("; ".join(refusals))


def _dump_file(file: Path, reader: Documents, *, as_json: bool) -> list[str]:
    """Print a file up to the first damage; return what the damage is."""
    from odradek.errors import StorageError

    try:
        for document in reader(file):
            if as_json:
                click.echo(json.dumps({"file": file.name, **document}, ensure_ascii=False))
            else:
                _print_document(document)
    except (StorageError, UnicodeDecodeError) as error:
        text = str(error)
        return [text if str(file) in text else f"{file}: {text}"]
    return []


@log.command(examples=("odradek log verify data", "odradek log verify data/orders-0 --json"))
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def verify(directory: Path, as_json: bool) -> None:
    """Check every partition below DIRECTORY: checksums, offsets, indexes against logs, checkpoints.

    The exit code is 1 if anything is damaged. Stop the broker first: the tail of a log that is being written can look
    torn. After a crash a torn tail is usual; the broker cuts it off when it starts.
    """
    report = verify_tree(directory)
    if not report.partitions:
        raise CommandError(f"{directory}: no partition here (a folder with NNN.log files)")
    if as_json:
        print_json(
            {
                "partitions": report.partitions,
                "batches": report.batches,
                "records": report.records,
                "bytes": report.size_bytes,
                "damage": [{**asdict(damage), "file": str(damage.file)} for damage in report.damage],
            }
        )
    else:
        _print_damage(report.damage)
        click.echo(
            f"{report.partitions:,} partitions, {report.batches:,} batches, {report.records:,} records, "
            f"{report.size_bytes:,} bytes of log: {f'{len(report.damage)} damaged places' if report.damage else 'sound'}"
        )
    if report.damage:
        click.get_current_context().exit(1)


def _print_damage(damage: list[Damage]) -> None:
    if damage:
        print_columns(
            ("FILE", "POSITION", "WHAT"), [(str(place.file), place.file_position, place.what) for place in damage]
        )
