"""What the benchmarks are fed: JSON-like orders, the same in every run."""

from __future__ import annotations

import json
import random

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORD_BYTES = (100, 1024)
BATCH_BYTES = 16 * 1024
LIMIT = 1 << 24


def values(size: int, count: int) -> list[bytes]:
    """`count` JSON texts of `size` bytes each."""
    chance = random.Random(20)
    out = []
    for number in range(count):
        order = {"order": number, "customer": chance.randrange(10_000), "cents": chance.randrange(100_000)}
        words = chance.choices(["express", "gift", "fragile", "call first"], k=size // 5)
        out.append(json.dumps(order | {"note": " ".join(words)}).encode()[:size])
    return out


def records(size: int) -> list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    """A batch of about 16 KiB: records of `size` bytes with short keys and no headers."""
    texts = values(size, BATCH_BYTES // size)
    return [(1_700_000_000_000 + number, b"key-%d" % number, text, []) for number, text in enumerate(texts)]
