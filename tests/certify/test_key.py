"""The idempotency key (C-KEY): published vectors, an independent implementation, and what is refused."""

import json
import math
import os
import random
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import independent_key
from certify.codec import MAX_DEPTH, EncodingError
from certify.key import KEY_BYTES, idempotency_key, preimage

VECTORS_FILE = Path(__file__).parents[2] / "docs" / "vectors" / "idempotency-key.json"
VECTORS: list[dict[str, Any]] = json.loads(VECTORS_FILE.read_text(encoding="utf-8"))["vectors"]


def value_of(tagged: Any) -> object:
    """The value that a vector writes: plain JSON for text, lists and null; one-member maps that name other types."""
    if isinstance(tagged, list):
        return [value_of(item) for item in tagged]
    if not isinstance(tagged, dict):
        return tagged
    [(kind, written)] = tagged.items()
    if kind == "map":
        return {name: value_of(item) for name, item in written}
    readers: dict[str, Callable[[str], object]] = {"int": int, "float": float, "bytes": bytes.fromhex}
    return readers[kind](written)


def arguments(vector: Mapping[str, Any]) -> tuple[str, str, str, dict[str, object]]:
    """The arguments of the key function that a vector stands for."""
    fields = {name: value_of(item) for name, item in vector["fields"]}
    return vector["flow"], vector["node"], vector["partition"], fields


vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])


@vectors
def test_published_vectors_hold(vector: Mapping[str, Any]) -> None:
    """C-KEY: the product gives the published bytes and key."""
    assert vector["cbor"] == preimage(*arguments(vector)).hex()
    assert vector["key"] == idempotency_key(*arguments(vector)).hex()


@vectors
def test_an_independent_implementation_gives_the_published_vectors(vector: Mapping[str, Any]) -> None:
    """C-KEY: an implementation that shares no code with the product gives the published key."""
    assert vector["key"] == independent_key.key(*arguments(vector)).hex()


def test_vectors_agree_and_differ_where_they_say_so() -> None:
    """C-KEY: composed and decomposed text share a key; every other vector has a key of its own."""
    by_name = {vector["name"]: vector["key"] for vector in VECTORS}
    assert by_name["composed text"] == by_name["decomposed text"]
    assert len(VECTORS) - 1 == len(set(by_name.values()))


TEXTS = [
    "",
    "a",
    "z\u00fcrich",
    "\u00c5",
    "\u212b",
    "A\u030a",
    "e\u0301\u0323",
    "\u1e69",
    "\ud55c",
    "\u1112\u1161\u11ab",
    "\u65e5\u672c",
    "\U0001f600",
    "x" * 24,
    "y" * 256,
]
INTEGERS = [0, 23, 24, 255, 256, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**53 + 1, 2**64 - 1]


def random_text(source: random.Random) -> str:
    """Text from a list of hard cases, or of random characters from several planes, spelled in any form."""
    if source.random() < 0.4:
        return source.choice(TEXTS)
    planes = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x1E00, 0x1EFF), (0xAC00, 0xD7A3), (0x1F600, 0x1F64F)]
    text = "".join(chr(source.randint(*source.choice(planes))) for _ in range(source.randint(0, 12)))
    return unicodedata.normalize(source.choice(["NFC", "NFD", "NFKD"]), text)


def random_float(source: random.Random) -> float:
    """A finite float of random bits in one of the three widths, or a zero, or a small fraction."""
    form, bits = source.choice([(">e", 16), (">f", 32), (">d", 64)])
    value = float(struct.unpack(form, source.getrandbits(bits).to_bytes(bits // 8, "big"))[0])
    return value if math.isfinite(value) else source.choice([0.0, -0.0, 1.0, 0.1, -2.5, 1e23])


def random_value(source: random.Random, depth: int = 0) -> object:
    """A value of any kind that a key takes."""
    kinds = ["none", "bool", "int", "hard int", "float", "text", "bytes"] + ["list", "map"] * (depth < 4)
    match source.choice(kinds):
        case "none":
            return None
        case "bool":
            return source.random() < 0.5
        case "int":
            return source.getrandbits(source.randint(1, 64)) * source.choice([1, -1])
        case "hard int":
            return source.choice(INTEGERS) if source.random() < 0.5 else ~source.choice(INTEGERS)
        case "float":
            return random_float(source)
        case "text":
            return random_text(source)
        case "bytes":
            return source.randbytes(source.choice([0, 1, 23, 24, 255, 256]))
        case "list":
            items = [random_value(source, depth + 1) for _ in range(source.randint(0, 4))]
            return tuple(items) if source.random() < 0.5 else items
        case _:
            return random_map(source, depth + 1)


def random_map(source: random.Random, depth: int = 0) -> dict[str, object]:
    """A map whose names stay different when they are composed."""
    names = {unicodedata.normalize("NFC", name): name for name in (random_text(source) for _ in range(5))}
    return {name: random_value(source, depth) for name in list(names.values())[: source.randint(0, 5)]}


def test_an_independent_implementation_agrees_on_ten_thousand_random_values() -> None:
    """C-KEY: on 10,000 random requests of every kind the independent bytes and key are the product's."""
    source = random.Random(20260101)
    for _ in range(10_000):
        flow, node, partition = (random_text(source) for _ in range(3))
        fields = random_map(source)
        written = independent_key.cbor({"f": flow, "n": node, "p": partition, "x": fields})
        assert written == preimage(flow, node, partition, fields), fields
        assert independent_key.blake3(written) == idempotency_key(flow, node, partition, fields)


@given(st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(0, 9)))
def test_spelling_leaves_no_trace(fields: dict[str, int]) -> None:
    """C-KEY: fields spelled composed and decomposed give one key, unless two names become one."""
    composed = {unicodedata.normalize("NFC", name): number for name, number in fields.items()}
    if len(composed) < len(fields):
        with pytest.raises(EncodingError, match="two keys"):
            idempotency_key("f", "n", "p", fields)
        return
    decomposed = {unicodedata.normalize("NFD", name): number for name, number in fields.items()}
    assert idempotency_key("f", "n", "p", composed) == idempotency_key("f", "n", "p", decomposed)


def test_names_that_become_equal_are_refused() -> None:
    """C-KEY: a composed and a decomposed name in one map are refused, because one would hide the other."""
    with pytest.raises(EncodingError) as refusal:
        idempotency_key("f", "n", "p", {"who": {"\u00e9": 1, "e\u0301": 2}})
    assert refusal.value.path == "$.x.who"


def test_flow_node_partition_and_fields_each_change_the_key() -> None:
    """C-KEY: no text can move from one part of the key to another unnoticed."""
    keys = {
        idempotency_key(*parts, fields)
        for parts in (("ab", "c", ""), ("a", "bc", ""), ("a", "b", "c"), ("", "abc", ""), ("abc", "", ""))
        for fields in ({}, {"a": "b"}, {"ab": ""}, {"a": ["b"]}, {"a": None}, {"a": b"b"})
    }
    assert len(keys) == 30


def test_numbers_of_different_kinds_are_different_requests() -> None:
    """C-KEY: 1, 1.0, true and "1" are four requests, and 0.0 and -0.0 are two."""
    values = [1, 1.0, True, "1", 0, 0.0, -0.0, False, None, ""]
    assert len(values) == len({idempotency_key("f", "n", "p", {"v": value}) for value in values})


def test_order_of_fields_leaves_no_trace() -> None:
    """C-KEY: the order in which fields were named does not change the key."""
    assert idempotency_key("f", "n", "p", {"a": 1, "b": 2}) == idempotency_key("f", "n", "p", {"b": 2, "a": 1})


def test_a_key_has_32_bytes() -> None:
    """C-KEY: a key is 32 bytes."""
    assert (KEY_BYTES, bytes) == (len(idempotency_key("", "", "", {})), type(idempotency_key("", "", "", {})))


class Currency(StrEnum):
    EUR = "EUR"


class Opaque:
    """An object without a meaning of its own."""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a", "b"}, "type set"),
        (frozenset("ab"), "type frozenset"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (-math.inf, "not finite"),
        (datetime(2026, 1, 1, tzinfo=UTC), "type datetime.datetime"),
        (date(2026, 1, 1), "type datetime.date"),
        (Decimal("1.10"), "type decimal.Decimal"),
        (UUID(int=1), "type uuid.UUID"),
        (bytearray(b"a"), "type bytearray"),
        (memoryview(b"a"), "type memoryview"),
        (2**64, "integer of 65 bits"),
        (-(2**64) - 1, "integer of 65 bits"),
        (1j, "type complex"),
        (Opaque(), "Opaque has no canonical encoding"),
        (Opaque, "type type"),
        (len, "builtin_function_or_method"),
        (iter([1]), "list_iterator"),
        (Currency.EUR, "Currency has no canonical encoding"),
        ("\udcff", "lone surrogate"),
        ({1: "a"}, "map key is of type int"),
        ({None: "a"}, "map key is of type NoneType"),
    ],
)
def test_values_without_a_deterministic_encoding_are_refused(value: object, reason: str) -> None:
    """C-KEY: such a value is refused with its path, wherever it sits, and never guessed."""
    with pytest.raises(EncodingError) as refusal:
        idempotency_key("f", "n", "p", {"lines": [{"sku": value}]})
    assert (refusal.value.path, reason in refusal.value.reason) == ("$.x.lines[0].sku", True)


def test_a_field_that_contains_itself_is_refused() -> None:
    """C-KEY: a cycle is refused as too deep, without an endless walk through its branches."""
    cycle: list[object] = []
    cycle.extend([cycle, cycle])
    with pytest.raises(EncodingError, match=f"deeper than {MAX_DEPTH} containers"):
        idempotency_key("f", "n", "p", {"v": cycle})


@pytest.mark.parametrize(
    ("call", "path"),
    [
        ((None, "n", "p", {}), "$.f"),
        (("f", 7, "p", {}), "$.n"),
        (("f", "n", b"p", {}), "$.p"),
        (("f", "n", Currency.EUR, {}), "$.p"),
        (("f", "n", "\ud800", {}), "$.p"),
        (("f", "n", "p", ["a"]), "$.x"),
        (("f", "n", "p", None), "$.x"),
        (("f", "n", "p", [("a", 1)]), "$.x"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused(call: tuple[Any, Any, Any, Any], path: str) -> None:
    """C-KEY: flow, node and partition are text and the fields are a map; anything else names its place."""
    with pytest.raises(EncodingError) as refusal:
        idempotency_key(*call)
    assert path == refusal.value.path


def test_the_key_is_equal_in_processes_with_other_hash_seeds() -> None:
    """C-KEY: neither the hash seed nor the order it gives to sets reaches the key."""
    program = (
        "from certify.key import idempotency_key as key\n"
        "fields = {name: 1 for name in {'a', 'b', 'c', 'd', 'zürich', 'x' * 300}}\n"
        "print(key('f', 'n', 'p', fields).hex())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


def test_a_node_that_derives_keys_imports_little() -> None:
    """C-KEY: deriving a key imports of this project the codec alone, and of others BLAKE3 alone."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "from certify.key import idempotency_key; idempotency_key('f', 'n', 'p', {'a': [1, 2.5, 'é']})\n"
        "new = {m for m in set(sys.modules) - before if m.split('.')[0] not in sys.stdlib_module_names}\n"
        "print(sorted(new))"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "['blake3', 'blake3.blake3', 'certify', 'certify.codec', 'certify.key']"
