"""Prove that a message body's counts and lengths are true before kio reserves memory for them.

kio's decoder makes room for as many elements as an array claims: one lying count of a few bytes would ask for 180 GB and
abort the process. `check_claims` walks the body first, by kio's own description of the fields, and makes nothing.
What it leaves to the decoder: values, UTF-8, nulls. The same for what Rust decodes: `rust/odradek-core/src/wire/shape.rs`.
"""

import dataclasses
from functools import cache
from typing import Any, Final, get_args

__all__ = ["MAX_ELEMENTS", "MAX_TEXT_BYTES", "check_claims"]

MAX_ELEMENTS: Final = 200_000
"""Array elements and tagged fields allowed in one request; each costs some 100 bytes once decoded."""

MAX_TEXT_BYTES: Final = 32_767
"""Longest string, as in Kafka; compact lengths could say more."""

_FIXED: Final = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "error_code": 2, "int32": 4, "uint32": 4, "timedelta_i32": 4,
    "int64": 8, "uint64": 8, "float64": 8, "timedelta_i64": 8, "datetime_i64": 8, "uuid": 16,
}  # fmt: skip
_TEXT: Final = -1
_BLOB: Final = -2

_Struct = tuple[tuple[Any, ...], bool, frozenset[int]]
"""(steps, flexible, numbers of the tagged fields that kio knows); a step is (is array, size or _TEXT or _BLOB, struct
inside or None, that struct may be null)."""


def check_claims(cls: Any, body: bytes, max_elements: int = MAX_ELEMENTS) -> list[tuple[int, int, bytes]]:
    """Walk `body` as a message of kio's dataclass `cls`.

    Returns:
        What to replace, (start, end, bytes instead), by place, to be rid of the tagged fields that kio does not know.

    Raises:
        ValueError: a count or length reaches past the end, there are more than `max_elements` elements, or a string is over
            `MAX_TEXT_BYTES`.
    """
    walk = _Walk(body, max_elements)
    try:
        walk.struct(_described(cls))
    except IndexError:
        raise ValueError("bytes are missing at the end") from None
    return walk.unknown


@cache
def _described(cls: Any) -> _Struct:
    steps: list[Any] = []
    tags: set[int] = set()
    for field in dataclasses.fields(cls):
        if "tag" in field.metadata:
            tags.add(field.metadata["tag"])
            continue  # skipped as a whole, by its own length
        plain = _without_null(field.type)
        nullable = plain is not field.type
        is_array = getattr(plain, "__origin__", None) is tuple
        element: Any = get_args(plain)[0] if is_array else plain
        if hasattr(element, "__dataclass_fields__"):
            steps.append((is_array, 0, _described(element), nullable))
            continue
        kind = field.metadata["kafka_type"]
        size = _TEXT if kind == "string" else _BLOB if kind in {"bytes", "records"} else _FIXED[kind]
        if size > 0 and not is_array and steps and steps[-1][1] > 0 and not steps[-1][0]:
            size += steps.pop()[1]  # neighbours of fixed size are skipped in one step
        steps.append((is_array, size, None, False))
    return tuple(steps), bool(cls.__flexible__), frozenset(tags)


def _without_null(annotation: Any) -> Any:
    parts = [part for part in get_args(annotation) if part is not type(None)]
    return parts[0] if type(None) in get_args(annotation) else annotation


class _Walk:
    """A position in a body, and how many elements it may still claim."""

    def __init__(self, body: bytes, max_elements: int) -> None:
        self._body = body
        self._at = 0
        self._elements_left = max_elements
        self.unknown: list[tuple[int, int, bytes]] = []

    def struct(self, described: _Struct) -> None:
        """Walk one struct. What is common is done in place, by `at`: a method a field took most of a request's decoding.

        `at` may be past the end for a moment; reading there is an IndexError, and the last line looks again.
        """
        steps, flexible, tags = described
        body, at = self._body, self._at
        for is_array, size, inner, nullable in steps:
            if not is_array and inner is None:
                if size > 0:
                    at += size
                    continue
                if flexible and body[at] < 0x80:
                    at += body[at] or 1  # the byte is the length + 1, and 0 is null
                    continue
                if size == _TEXT and not flexible and body[at] < 0x80:
                    at += 2 + (body[at] << 8 | body[at + 1])
                    continue
            self._at = at
            if is_array:
                self._array(size, inner, flexible=flexible)
            elif inner is None:
                self._value(size, flexible=flexible)
            elif not nullable or self._number(1) >= 0:
                self.struct(inner)
            at = self._at
        self._at = at
        if flexible:
            if body[at] == 0:
                self._at += 1  # no tagged fields, as nearly always
            else:
                self._tagged_fields(tags)
        self._skip(0)

    def _array(self, size: int, inner: _Struct | None, *, flexible: bool) -> None:
        count = self._length(4, flexible=flexible)
        self._claim(count)
        if inner is not None:
            for _ in range(count):
                self.struct(inner)
        elif size > 0:
            self._skip(count * size)
        else:
            for _ in range(count):
                self._value(size, flexible=flexible)

    def _value(self, size: int, *, flexible: bool) -> None:
        if size > 0:
            self._skip(size)
            return
        length = self._length(2 if size == _TEXT else 4, flexible=flexible)
        if size == _TEXT and length > MAX_TEXT_BYTES:
            raise ValueError(f"a string of {length} bytes at byte {self._at}")
        self._skip(length)

    def _tagged_fields(self, known: frozenset[int]) -> None:
        start = self._at
        count = self._varint()
        self._claim(count)
        kept = []
        for _ in range(count):
            field_start = self._at
            number = self._varint()
            self._skip(self._varint())
            if number in known:
                kept.append(self._body[field_start : self._at])
        if len(kept) < count:
            # kio knows a handful of tags at most, so their number is a single byte.
            self.unknown.append((start, self._at, bytes([len(kept)]) + b"".join(kept)))

    def _claim(self, count: int) -> None:
        self._elements_left -= count
        if self._elements_left < 0:
            raise ValueError(f"more than {MAX_ELEMENTS} elements claimed at byte {self._at}")

    def _length(self, size: int, *, flexible: bool) -> int:
        """Return a count or length; null counts as 0."""
        length = self._varint() - 1 if flexible else self._number(size)
        if length < -1:
            raise ValueError(f"impossible length {length} at byte {self._at}")
        return max(length, 0)

    def _number(self, size: int) -> int:
        start = self._at
        self._skip(size)
        return int.from_bytes(self._body[start : self._at], "big", signed=True)

    def _varint(self) -> int:
        value = 0
        for shift in (0, 7, 14, 21, 28):
            self._skip(1)
            byte = self._body[self._at - 1]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError(f"varint of more than 5 bytes at byte {self._at}")

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._body):
            raise ValueError(f"{self._at - len(self._body)} bytes are missing at the end")
