"""A second implementation of the idempotency key, written from the standards alone.

It shares no code with the product: its own CBOR writer after RFC 8949, section 4.2.1, which decides by arithmetic on
exact fractions which float width holds a value, and its own BLAKE3 after the specification of O'Connor, Aumasson, Neves
and Wilcox-O'Hearn, section 2. Only Python's standard library is used. Slow, and plain to read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

MASK = 0xFFFFFFFF
INITIAL = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)

Words = Sequence[int]


def key(flow: str, node: str, partition: str, fields: Mapping[str, object]) -> bytes:
    """The idempotency key: BLAKE3 of the canonical map of flow, node, partition and fields."""
    return blake3(cbor({"f": flow, "n": node, "p": partition, "x": fields}))


# --- CBOR ---------------------------------------------------------------------------------------------------------


def cbor(value: object) -> bytes:
    """Canonical CBOR of a value that is known to have one; text is composed first."""
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return initial(0, value) if value >= 0 else initial(1, ~value)
    if isinstance(value, float):
        return floating(value)
    if isinstance(value, bytes):
        return initial(2, len(value)) + value
    if isinstance(value, str):
        data = unicodedata.normalize("NFC", value).encode()
        return initial(3, len(data)) + data
    if isinstance(value, list | tuple):
        return initial(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, Mapping):
        pairs = sorted((cbor(name), cbor(item)) for name, item in value.items())
        return initial(5, len(pairs)) + b"".join(name + item for name, item in pairs)
    raise TypeError(type(value))


def initial(major: int, argument: int) -> bytes:
    """The initial byte and its argument in the fewest bytes."""
    if argument <= 23:
        return bytes([major * 32 + argument])
    for code, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 256**width:
            return bytes([major * 32 + code]) + argument.to_bytes(width, "big")
    raise OverflowError(argument)


def floating(value: float) -> bytes:
    """The narrowest of binary16, binary32 and binary64 that holds `value` exactly."""
    sign = 1 if str(value).startswith("-") else 0
    for head, exponent_bits, fraction_bits in ((0xF9, 5, 10), (0xFA, 8, 23), (0xFB, 11, 52)):
        bits = binary(abs(Fraction(value)), exponent_bits, fraction_bits)
        if bits is not None:
            width = 1 + exponent_bits + fraction_bits
            return bytes([head]) + (sign << (width - 1) | bits).to_bytes(width // 8, "big")
    raise OverflowError(value)


def binary(magnitude: Fraction, exponent_bits: int, fraction_bits: int) -> int | None:
    """The bits, without sign, of `magnitude` in an IEEE 754 format, or None when it does not fit exactly."""
    bias = 2 ** (exponent_bits - 1) - 1
    logarithm = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent = max(1 - bias, logarithm)
    significand = magnitude / Fraction(2) ** (exponent - fraction_bits)
    if significand.denominator != 1 or exponent > bias:
        return None
    normal = significand >= 2**fraction_bits
    return (exponent + bias << fraction_bits) + int(significand) - 2**fraction_bits if normal else int(significand)


# --- BLAKE3 -------------------------------------------------------------------------------------------------------


def blake3(data: bytes) -> bytes:
    """The 32-byte BLAKE3 hash of `data`."""
    return b"".join(word.to_bytes(4, "little") for word in tree(data, 0, ROOT))


def tree(data: bytes, first_chunk: int, flags: int) -> Words:
    """The chaining value of a subtree; the left child takes the largest power of two of chunks that leaves a rest."""
    chunks = max(1, -(-len(data) // 1024))
    if chunks == 1:
        return chunk(data, first_chunk, flags)
    left = 1 << ((chunks - 1).bit_length() - 1)
    children = (*tree(data[: left * 1024], first_chunk, 0), *tree(data[left * 1024 :], first_chunk + left, 0))
    return compress(INITIAL, children, 0, 64, flags | PARENT)


def chunk(data: bytes, number: int, flags: int) -> Words:
    """The chaining value of one chunk of at most 1024 bytes."""
    value: Words = INITIAL
    blocks = list(blocks_of(data))
    for index, block in enumerate(blocks):
        marks = (CHUNK_START if index == 0 else 0) | (CHUNK_END | flags if index == len(blocks) - 1 else 0)
        padded = block.ljust(64, b"\0")
        words = [int.from_bytes(padded[i : i + 4], "little") for i in range(0, 64, 4)]
        value = compress(value, words, number, len(block), marks)
    return value


def blocks_of(data: bytes) -> Iterator[bytes]:
    """Blocks of 64 bytes, the last one shorter; empty data is one empty block."""
    for start in range(0, max(1, len(data)), 64):
        yield data[start : start + 64]


def compress(chaining: Words, block: Words, counter: int, length: int, flags: int) -> Words:
    """The compression function, truncated to the eight words of a chaining value."""
    state = [*chaining, *INITIAL[:4], counter & MASK, counter >> 32, length, flags]
    message = list(block)
    for _ in range(7):
        for place, (a, b, c, d) in enumerate(COLUMNS_AND_DIAGONALS):
            mix(state, a, b, c, d, message[2 * place], message[2 * place + 1])
        message = [message[i] for i in PERMUTATION]
    return [state[i] ^ state[i + 8] for i in range(8)]


def mix(state: list[int], a: int, b: int, c: int, d: int, x: int, y: int) -> None:
    """The quarter round."""
    for word, turn_d, turn_b in ((x, 16, 12), (y, 8, 7)):
        state[a] = state[a] + state[b] + word & MASK
        state[d] = right(state[d] ^ state[a], turn_d)
        state[c] = state[c] + state[d] & MASK
        state[b] = right(state[b] ^ state[c], turn_b)


def right(word: int, places: int) -> int:
    """A 32-bit rotation to the right."""
    return (word >> places | word << (32 - places)) & MASK
