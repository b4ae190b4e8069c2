"""The codec in plain Python: the readable specification of what `_native` does, its test oracle and bench baseline.

Not for the broker's path: it is slower by orders of magnitude. `odradek.record` is the place to import from; it takes
this twin only if `ODRADEK_PURE=1` says so. Start reading with `batch.py`.
"""

from odradek._pure.batch import RecordBatch, decode_batches, encode_batch
from odradek._pure.compression import compress, decompress
from odradek._pure.crc32c import crc32c
from odradek._pure.index import encode_index, index_lookup
from odradek._pure.records import Record

__all__ = [
    "Record",
    "RecordBatch",
    "compress",
    "crc32c",
    "decode_batches",
    "decompress",
    "encode_batch",
    "encode_index",
    "index_lookup",
]
