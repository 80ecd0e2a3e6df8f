"""Canonical bytes: the strict profile of RFC 8949, section 4.2.1, that evidence and keys are written in."""

import math
import pickle
import struct
import unicodedata
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import independent_key
from certify.codec import (
    MAX_DEPTH,
    MAX_INT,
    MIN_INT,
    EncodingError,
    address,
    decode,
    encode,
    encode_composed,
    encode_verbatim,
)

nfc_text = st.text().map(lambda text: unicodedata.normalize("NFC", text))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INT, MAX_INT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | nfc_text
    | st.binary()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(nfc_text, inner, max_size=5), max_leaves=20
)


def nested(depth: int) -> object:
    """A zero inside `depth` lists."""
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


# Appendix A of RFC 8949, as far as the profile goes.
RFC_8949_EXAMPLES = [
    (0, "00"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-1000, "3903e7"),
    (0.0, "f90000"),
    (-0.0, "f98000"),
    (1.0, "f93c00"),
    (1.1, "fb3ff199999999999a"),
    (65504.0, "f97bff"),
    (100000.0, "fa47c35000"),
    (3.4028234663852886e38, "fa7f7fffff"),
    (1.0e300, "fb7e37e43c8800759c"),
    (5.960464477539063e-8, "f90001"),
    (-4.1, "fbc010666666666666"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({}, "a0"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]


@pytest.mark.parametrize(("value", "encoded"), RFC_8949_EXAMPLES)
def test_examples_of_the_standard_are_encoded_and_decoded(value: object, encoded: str) -> None:
    """Every example of RFC 8949, appendix A, that the profile covers has the bytes printed there."""
    assert bytes.fromhex(encoded) == encode(value)
    assert (type(value), value) == (type(decode(bytes.fromhex(encoded))), decode(bytes.fromhex(encoded)))


@given(values)
def test_decoding_undoes_encoding(value: object) -> None:
    """Decoding gives the value back, with the type and the sign of zero of every number."""
    assert repr(sorted_maps(value)) == repr(sorted_maps(decode(encode(value))))


def sorted_maps(value: object) -> object:
    """The value with maps as sorted lists of members, so that its text tells types and signs and not orders."""
    if isinstance(value, dict):
        return [(name, sorted_maps(value[name])) for name in sorted(value)]
    return [sorted_maps(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_an_independent_encoder_agrees(value: object) -> None:
    """An encoder that decides float widths by exact fractions gives the same bytes."""
    assert independent_key.cbor(value) == encode(value)


@given(values)
def test_the_library_reads_what_is_written(value: object) -> None:
    """`cbor2` reads the bytes as the same value: they are plain CBOR."""
    assert value == cbor2.loads(encode(value))


@given(st.dictionaries(nfc_text, st.integers(0, 9), min_size=2))
def test_order_of_insertion_leaves_no_trace(members: dict[str, int]) -> None:
    """A map and the same map built backwards have equal bytes."""
    assert encode(members) == encode(dict(reversed(members.items())))


def test_keys_are_sorted_bytewise_by_their_encodings() -> None:
    """A text of 256 bytes comes after shorter ones, and of equal lengths the smaller bytes come first."""
    long = "a" * 256
    assert ["b", "z", "aa", "zz", long] == list(decode(encode({long: 0, "zz": 0, "aa": 0, "z": 0, "b": 0})))


def test_lists_and_tuples_are_one_array_form() -> None:
    """A tuple is encoded as the list with the same items."""
    assert encode([1, ["a"]]) == encode((1, ("a",)))


@pytest.mark.parametrize("members", [OrderedDict(b=1, a=2), MappingProxyType({"a": 2, "b": 1})])
def test_every_kind_of_map_is_one_form(members: object) -> None:
    """Ordered and read-only maps are encoded as the plain map with the same members."""
    assert encode({"a": 2, "b": 1}) == encode(members)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_take_the_narrowest_exact_form(value: float) -> None:
    """No narrower float holds the value, and the one chosen holds it exactly."""
    data = encode(value)
    forms = {3: ">e", 5: ">f", 9: ">d"}
    assert value == struct.unpack(forms[len(data)], data[1:])[0]
    for size in (size for size in forms if size < len(data)):
        assert not holds(forms[size], value)


def holds(form: str, value: float) -> bool:
    """Whether the float format holds the value exactly."""
    try:
        return bool(struct.unpack(form, struct.pack(form, value))[0] == value)
    except OverflowError:
        return False


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Shouting(str):
    """Text that says something else when it is encoded."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        return b"HA"


class Money(float):
    """A float with a meaning of its own."""


CYCLE: list[object] = []
CYCLE.extend([CYCLE, CYCLE])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "$: the float nan is not finite"),
        ([1.5, -math.inf], "$[1]: the float -inf is not finite"),
        (2**64, "$: an integer of 65 bits lies outside"),
        (-(2**64) - 1, "$: an integer of 65 bits lies outside"),
        pytest.param(10**5000, "$: an integer of 16610 bits lies outside", id="beyond the digits that Python prints"),
        ({"customer": {"tags": ["a", "b", {"c"}]}}, "$.customer.tags[2]: a value of type set"),
        (frozenset(), "$: a value of type frozenset"),
        (bytearray(b"x"), "$: a value of type bytearray"),
        (memoryview(b"x"), "$: a value of type memoryview"),
        (1j, "$: a value of type complex"),
        (Decimal(1), "$: a value of type decimal.Decimal"),
        ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "$.at: a value of type datetime.datetime"),
        (object(), "$: a value of type object"),
        ({"a b": object()}, '$["a b"]: a value of type object'),
        (Ellipsis, "$: a value of type ellipsis"),
        (range(3), "$: a value of type range"),
        ({"a": 1}.keys(), "$: a value of type dict_keys"),
        (Colour.RED, "convert it to a plain str first"),
        (Number.ONE, "convert it to a plain int first"),
        (Money(1.5), "convert it to a plain float first"),
        (Shouting("hello"), "convert it to a plain str first"),
        ({Shouting("hello"): 1}, "$: a map key is of type"),
        ({1: "int"}, "$: a map key is of type int"),
        ({1.0: "float"}, "$: a map key is of type float"),
        ({True: "bool"}, "$: a map key is of type bool"),
        ({None: "none"}, "$: a map key is of type NoneType"),
        ({b"a": "bytes"}, "$: a map key is of type bytes"),
        ({"a": {("b",): 1}}, "$.a: a map key is of type tuple"),
        ("e\u0301", "$: the text is not in Unicode Normalization Form C"),
        ({"n": {"e\u0301": 1}}, '$.n["e\u0301"] (key): the text is not in Unicode Normalization Form C'),
        ("\u212b", "$: the text is not in Unicode Normalization Form C"),
        ("a\ud800", "$: the text has a lone surrogate (U+D800 at index 1)"),
        ({"\udfff": 1}, '$["\\udfff"] (key): the text has a lone surrogate'),
        (nested(MAX_DEPTH + 1), f"the value nests deeper than {MAX_DEPTH} containers"),
        (CYCLE, f"the value nests deeper than {MAX_DEPTH} containers"),
    ],
)
def test_values_outside_the_profile_are_refused(value: object, message: str) -> None:
    """Whatever has no single encoding is refused, and the error names its path, the reason and what to do."""
    with pytest.raises(EncodingError) as refusal:
        encode(value)
    assert message in str(refusal.value)
    assert str(refusal.value).isprintable()
    assert refusal.value.fix


class Hydra(dict[str, int]):
    """A map that shows the same key twice."""

    def items(self) -> Any:
        return [("a", 1), ("a", 2)]


def test_a_map_that_repeats_a_key_is_refused() -> None:
    """A map whose items repeat a key is refused rather than merged."""
    with pytest.raises(EncodingError, match=r"two keys are both encoded as \.a"):
        encode(Hydra())


def test_the_deepest_allowed_value_is_encoded_and_decoded() -> None:
    """Exactly `MAX_DEPTH` containers are within the profile."""
    assert nested(MAX_DEPTH) == decode(encode(nested(MAX_DEPTH)))


def test_an_exhausted_call_stack_is_a_clear_error() -> None:
    """A caller that is nearly out of stack gets an encoding error, not a RecursionError."""

    def descend() -> None:
        try:
            descend()
        except RecursionError:
            encode(nested(MAX_DEPTH))

    with pytest.raises(EncodingError, match="call stack"):
        descend()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "byte 0: the data ends where a value is expected"),
        ("1800", "byte 0: the number is not in its shortest form"),
        ("190017", "byte 0: the number is not in its shortest form"),
        ("1a0000ffff", "byte 0: the number is not in its shortest form"),
        ("1b00000000ffffffff", "byte 0: the number is not in its shortest form"),
        ("3800", "byte 0: the number is not in its shortest form"),
        ("580161", "byte 0: the number is not in its shortest form"),
        ("980100", "byte 0: the number is not in its shortest form"),
        ("fa3f800000", "the value has another, canonical encoding"),
        ("fb3ff0000000000000", "the value has another, canonical encoding"),
        ("f97e00", "the float nan is not finite"),
        ("f97c00", "the float inf is not finite"),
        ("fb7ff8000000000001", "the float nan is not finite"),
        ("5f4101ff", "byte 0: indefinite lengths"),
        ("7f6161ff", "byte 0: indefinite lengths"),
        ("9f00ff", "byte 0: indefinite lengths"),
        ("bf616100ff", "byte 0: indefinite lengths"),
        ("ff", "byte 0: a simple value other than"),
        ("1c", "byte 0: indefinite lengths and reserved forms"),
        ("fc", "byte 0: a simple value other than"),
        ("f7", "byte 0: a simple value other than"),
        ("f0", "byte 0: a simple value other than"),
        ("f8ff", "byte 0: a simple value other than"),
        ("c11a514b67b0", "byte 0: tags"),
        ("82 00 c249010000000000000000", "byte 2: tags"),
        ("d9010280", "byte 0: tags"),
        ("d81c81d81d00", "byte 0: tags"),
        ("a2 6162 01 6161 02", "the value has another, canonical encoding"),
        ("a2 626161 01 6162 02", "the value has another, canonical encoding"),
        ("a2 6161 01 6161 02", "the value has another, canonical encoding"),
        ("a1 01 02", "a map key is of type int"),
        ("a1 80 02", "the bytes hold a value outside the profile"),
        ("a1 a0 02", "the bytes hold a value outside the profile"),
        ("63 65cc81", "not in Unicode Normalization Form C"),
        ("61ff", "the bytes hold a value outside the profile"),
        ("63eda080", "the bytes hold a value outside the profile"),
        ("62c080", "the bytes hold a value outside the profile"),
        ("0000", "byte 1: there are further bytes"),
        ("a000", "byte 1: there are further bytes"),
        ("82 00", "byte 0: a container claims 2 entries"),
        ("a1 6161", "byte 3: the data ends where a value is expected"),
        ("19 01", "byte 0: the data ends inside a number"),
        ("62 61", "byte 0: a string claims 2 bytes"),
        ("9b ffffffffffffffff", "byte 0: a container claims 18446744073709551615 entries"),
        ("bb 7fffffffffffffff", "byte 0: a container claims 9223372036854775807 entries"),
        ("5b 00007fffffffffff", "byte 0: a string claims 140737488355327 bytes"),
        pytest.param(
            "81" * (MAX_DEPTH + 1) + "00", f"byte {MAX_DEPTH}: the value nests deeper", id="one array too deep"
        ),
        pytest.param("81" * 100_000 + "00", "the value nests deeper", id="a bomb of arrays"),
        pytest.param("a16161" * 100_000 + "00", "the value nests deeper", id="a bomb of maps"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data: str, message: str) -> None:
    """Every other way to write a value, and everything that is no value, is refused with the byte where it shows."""
    with pytest.raises(EncodingError) as refusal:
        decode(bytes.fromhex(data))
    assert message in str(refusal.value)


@given(st.binary(max_size=40))
def test_whatever_is_accepted_is_canonical(data: bytes) -> None:
    """Random bytes are either refused with the codec's own error or are exactly the encoding of what they decode to."""
    try:
        value = decode(data)
    except EncodingError:
        return
    assert data == encode(value)


@given(values, st.data())
def test_a_changed_byte_never_decodes_to_the_same_value(value: object, data: st.DataObject) -> None:
    """Flipping bits of one byte gives other evidence or a refusal, never the same value."""
    original = bytearray(encode(value))
    position = data.draw(st.integers(0, len(original) - 1))
    original[position] ^= data.draw(st.integers(1, 255))
    try:
        changed = decode(bytes(original))
    except EncodingError:
        return
    assert encode(value) != encode(changed)


@pytest.mark.parametrize("data", ["00", bytearray(b"\0"), memoryview(b"\0"), None])
def test_only_bytes_are_decoded(data: object) -> None:
    """Text, buffers and None are refused instead of converted."""
    with pytest.raises(EncodingError, match="decode takes bytes"):
        decode(data)  # type: ignore[arg-type]  # the point of it


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_composing_gives_the_bytes_of_the_composed_text(text: str) -> None:
    """`encode_composed` writes any spelling as `encode` writes its Normalization Form C."""
    assert encode(unicodedata.normalize("NFC", text)) == encode_composed(unicodedata.normalize("NFD", text))


def test_verbatim_text_is_encoded_as_it_is_and_not_decoded() -> None:
    """`encode_verbatim` tells two spellings apart, equals `encode` on the profile, and `decode` refuses the rest."""
    assert encode_verbatim("\u00e9") == encode("\u00e9")
    assert encode_verbatim({"e\u0301": 1}) == bytes.fromhex("a16365cc8101")
    with pytest.raises(EncodingError, match="Normalization Form C"):
        decode(encode_verbatim("e\u0301"))
    with pytest.raises(EncodingError, match="lone surrogate"):
        encode_verbatim("\ud800")


def test_an_error_survives_pickling() -> None:
    """The error crosses a process boundary with its path, reason and advice."""
    error = pickle.loads(pickle.dumps(EncodingError("a", "b", "c")))
    assert [*"abc"] == [error.path, error.reason, error.fix]


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (b"abc", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ],
)
def test_addresses_are_blake3(data: bytes, digest: str) -> None:
    """The address is the published BLAKE3 digest in lower-case hexadecimal digits."""
    assert digest == address(data)


@given(st.binary(max_size=5000))
def test_an_independent_blake3_agrees(data: bytes) -> None:
    """A BLAKE3 written after its specification gives the same address, over several chunks too."""
    assert independent_key.blake3(data).hex() == address(data)
