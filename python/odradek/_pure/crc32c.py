"""CRC-32C (Castagnoli): the checksum of every record batch.

Reflected polynomial 0x82F63B78, start and final value all ones. Test vector: b"123456789" -> 0xE3069283.
Source: RFC 3720 appendix B.4. Its Rust twin is `record/crc32c.rs`.
"""

__all__ = ["crc32c"]

_POLYNOMIAL = 0x82F63B78


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data` as an unsigned 32-bit number."""
    table = _TABLE
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF
