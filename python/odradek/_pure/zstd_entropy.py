"""Zstandard's two entropy codes, finite state (FSE) and Huffman, and the bit streams they are read from.

A forward stream starts with the lowest bit of its first byte. A backward stream starts just below the highest set bit of
its last byte, that bit being a mark. Frames and blocks are in `zstd.py`. Source: RFC 8878 sections 4.1 and 4.2.
"""

from dataclasses import dataclass

from odradek.errors import CorruptBatchError

__all__ = ["BackwardBits", "FseTable", "build_fse", "decode_huffman", "read_fse", "read_huffman", "single_state"]

_MAX_HUFFMAN_BITS = 11
_WEIGHTS_ACCURACY = 6


class BackwardBits:
    """Reads from the end to the start; past the start all bits are 0 and `left` is negative."""

    def __init__(self, data: bytes) -> None:
        if not data or data[-1] == 0:
            raise CorruptBatchError("zstd: a bit stream has no end mark")
        self.data = data
        self.left = 8 * len(data) - 9 + data[-1].bit_length()

    def read(self, count: int) -> int:
        end = self.left
        self.left = start = end - count
        missing = max(0, -start)
        start, end = max(start, 0), max(end, 0)
        value = int.from_bytes(self.data[start >> 3 : (end + 7) >> 3], "little") >> (start & 7)
        return (value & ((1 << (end - start)) - 1)) << missing


class _ForwardBits:
    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def read(self, count: int) -> int:
        start, end = self.position, self.position + count
        if end > 8 * len(self.data):
            raise CorruptBatchError("zstd: a table is cut short")
        self.position = end
        return int.from_bytes(self.data[start >> 3 : (end + 7) >> 3], "little") >> (start & 7) & ((1 << count) - 1)


@dataclass(frozen=True, slots=True)
class FseTable:
    """By state: the symbol it stands for, and the next state as a base plus that many bits of the stream."""

    accuracy: int
    symbols: list[int]
    bits: list[int]
    bases: list[int]


def single_state(symbol: int) -> FseTable:
    """A table that gives the same symbol for ever and takes no bits."""
    return FseTable(0, [symbol], [0], [0])


def build_fse(accuracy: int, frequencies: list[int]) -> FseTable:
    """Spread the symbols over 2**accuracy states; a frequency of -1 means "less than one"."""
    size = 1 << accuracy
    symbols = [0] * size
    high = size
    for symbol, frequency in enumerate(frequencies):
        if frequency == -1:
            high -= 1
            symbols[high] = symbol
    step, position = (size >> 1) + (size >> 3) + 3, 0
    for symbol, frequency in enumerate(frequencies):
        for _ in range(frequency):  # none for 0 and -1
            symbols[position] = symbol
            position = (position + step) & (size - 1)
            while position >= high:
                position = (position + step) & (size - 1)
    following = [abs(frequency) for frequency in frequencies]
    bits, bases = [], []
    for symbol in symbols:
        state = following[symbol]
        following[symbol] += 1
        bits.append(accuracy + 1 - state.bit_length())
        bases.append((state << bits[-1]) - size)
    return FseTable(accuracy, symbols, bits, bases)


def read_fse(data: bytes, most_accuracy: int, most_symbols: int) -> tuple[FseTable, int]:
    """Read a table's description at the start of `data`; return the table and the bytes it took."""
    stream = _ForwardBits(data)
    accuracy = 5 + stream.read(4)
    if accuracy > most_accuracy:
        raise CorruptBatchError("zstd: a table is larger than allowed")
    remaining = 1 << accuracy
    frequencies: list[int] = []
    while remaining > 0:
        bits = (remaining + 1).bit_length()
        low_mask = (1 << (bits - 1)) - 1
        threshold = (1 << bits) - 2 - remaining
        low = stream.read(bits - 1)
        if low < threshold:
            value = low
        else:
            value = low | stream.read(1) << (bits - 1)
            if value > low_mask:
                value -= threshold
        frequency = value - 1
        remaining -= abs(frequency)
        frequencies.append(frequency)
        zeros = 3 if frequency == 0 else 0
        while zeros == 3:
            zeros = stream.read(2)
            frequencies += [0] * zeros
    if remaining < 0 or len(frequencies) > most_symbols:
        raise CorruptBatchError("zstd: a table contradicts itself")
    return build_fse(accuracy, frequencies), (stream.position + 7) // 8


def _read_weights(data: bytes) -> list[int]:
    """Read Huffman weights in FSE code: two states take turns until the stream is used up."""
    table, used = read_fse(data, _WEIGHTS_ACCURACY, 256)
    stream = BackwardBits(data[used:])
    states = [stream.read(table.accuracy), stream.read(table.accuracy)]
    weights: list[int] = []
    turn = 0
    while True:
        state = states[turn]
        weights.append(table.symbols[state])
        states[turn] = table.bases[state] + stream.read(table.bits[state])
        turn ^= 1
        if stream.left < 0:
            weights.append(table.symbols[states[turn]])
            return weights
        if len(weights) > 254:
            raise CorruptBatchError("zstd: a Huffman table has too many weights")


def read_huffman(data: bytes) -> tuple[list[tuple[int, int]], int]:
    """Read a Huffman table at the start of `data`; return (symbol, code bits) by the next bits, and the bytes it took."""
    if not data:
        raise CorruptBatchError("zstd: a Huffman table is missing")
    header = data[0]
    if header < 128:
        used = 1 + header
        if used > len(data):
            raise CorruptBatchError("zstd: a Huffman table is cut short")
        weights = _read_weights(data[1:used])
    else:
        count = header - 127
        used = 1 + (count + 1) // 2
        if used > len(data):
            raise CorruptBatchError("zstd: a Huffman table is cut short")
        weights = [data[1 + place // 2] >> (0 if place % 2 else 4) & 15 for place in range(count)]
    total = sum(1 << (weight - 1) for weight in weights if weight)
    if total == 0 or any(weight > _MAX_HUFFMAN_BITS for weight in weights):
        raise CorruptBatchError("zstd: a Huffman table contradicts itself")
    bits = total.bit_length()
    last = (1 << bits) - total  # the last symbol's weight is what is missing to a power of two
    if bits > _MAX_HUFFMAN_BITS or last & (last - 1):
        raise CorruptBatchError("zstd: a Huffman table contradicts itself")
    weights.append(last.bit_length())
    table: list[tuple[int, int]] = []
    for weight in range(1, bits + 1):
        for symbol, of_symbol in enumerate(weights):
            if of_symbol == weight:
                table += [(symbol, bits + 1 - weight)] * (1 << (weight - 1))
    return table, used


def decode_huffman(table: list[tuple[int, int]], data: bytes, size: int) -> bytes:
    """Decode `size` literals, which have to use the stream up."""
    bits = len(table).bit_length() - 1
    stream = BackwardBits(data)
    out = bytearray()
    state = stream.read(bits)
    for _ in range(size):
        symbol, used = table[state]
        out.append(symbol)
        state = ((state << used) | stream.read(used)) & (len(table) - 1)
    if stream.left != -bits:
        raise CorruptBatchError("zstd: a Huffman stream does not end with its literals")
    return bytes(out)
