"""Canonical bytes and their addresses: one value, one encoding, one digest.

The encoding is the core deterministic one of RFC 8949, section 4.2.1 (shortest integers and floats, definite lengths,
map keys in bytewise order of their encodings), narrowed to a profile in which equal bytes mean equal values.

Rules this module keeps:

- values are ``None``, ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``list`` or ``tuple`` (one array form), and
  maps with text keys; anything else, subclasses of the scalar types included, is refused and never guessed;
- integers lie in -2**64 ... 2**64 - 1; floats are finite; -0.0 and 0.0 are two values, and so are 1 and 1.0;
- text is in Unicode Normalization Form C and has no lone surrogate; text that is not is refused, never repaired
  (`encode_composed` and `encode_verbatim` say what they do instead, and differ in that alone);
- there are no tags, no indefinite lengths and no duplicate keys, and containers nest at most `MAX_DEPTH` deep;
- `decode` accepts exactly the bytes that `encode` gives.
"""

from __future__ import annotations

import math
import struct
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from blake3 import blake3

MAX_DEPTH: Final = 128
"""Arrays and maps may nest this deep; a scalar on its own has depth 0."""

MAX_INT: Final = 2**64 - 1
MIN_INT: Final = -(2**64)

_BYTES, _TEXT, _ARRAY, _MAP = 2, 3, 4, 5
_TextWriter = Callable[[str], bytes]

_PATH_LIMIT = 200
_KEY_LIMIT = 40


class EncodingError(ValueError):
    """A value has no canonical encoding, or bytes are not one.

    Attributes:
        path: where the value sits, such as ``$.customer.tags[2]``; for bytes, ``byte 17``.
        reason: why it is refused.
        fix: what to do about it.
    """

    def __init__(self, path: str, reason: str, fix: str) -> None:
        super().__init__(f"{path}: {reason}; {fix}")
        self.path = path
        self.reason = reason
        self.fix = fix

    def __reduce__(self) -> tuple[type[EncodingError], tuple[str, str, str]]:
        """Keep the parts when the error crosses a process boundary."""
        return type(self), (self.path, self.reason, self.fix)


class _Refusal(Exception):
    """A refusal that collects the steps to the offending value while the recursion unwinds."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.steps: list[str] = []

    def at(self, step: str) -> _Refusal:
        self.steps.append(step)
        return self


def address(data: bytes) -> str:
    """The content address of `data`: its BLAKE3 digest as 64 lower-case hexadecimal digits."""
    return blake3(data).hexdigest()


def encode(value: object) -> bytes:
    """The one canonical encoding of `value`.

    Raises:
        EncodingError: the value, or one inside it, lies outside the profile; the error names its path.
    """
    return _encode(value, _strict_text)


def encode_composed(value: object) -> bytes:
    """The encoding of `value` with its text, map keys included, brought to Normalization Form C first.

    Two spellings of the same text give the same bytes. For idempotency keys; evidence is never repaired.

    Raises:
        EncodingError: as `encode`, and when two keys of a map become equal.
    """
    return _encode(value, _composed_text)


def encode_verbatim(value: object) -> bytes:
    """The encoding of `value` with its text as it is, in whatever normalization form.

    For comparing what programs answer, where two spellings of a text are two answers. `decode` refuses such text.

    Raises:
        EncodingError: as `encode`, but for text that is not in Normalization Form C.
    """
    return _encode(value, _utf8)


def _encode(value: object, text: _TextWriter) -> bytes:
    chunks: list[bytes] = []
    try:
        _write(value, chunks, 0, text)
    except _Refusal as refusal:
        raise EncodingError(_path(refusal.steps), refusal.reason, refusal.fix) from None
    except RecursionError:
        raise EncodingError("$", "the call stack is too deep to encode anything here", "call from less deep") from None
    return b"".join(chunks)


def decode(data: bytes) -> Any:
    """The value whose canonical encoding is `data`; arrays come back as lists, maps as dicts.

    Raises:
        EncodingError: `data` is not exactly the canonical encoding of one value; the error names the byte.
    """
    import cbor2  # here, because a node that only derives keys never decodes

    _survey(data)
    try:
        value = cbor2.loads(data)
        again = encode(value)
    except (cbor2.CBORError, ValueError) as error:
        raise _not_canonical(0, f"the bytes hold a value outside the profile ({error})") from None
    if again != data:
        raise _not_canonical(_first_difference(data, again), "the value has another, canonical encoding")
    return value


def member(key: str) -> str:
    """The step of a path that leads to a map's member: ``.name``, or ``["any text"]`` where it is no name."""
    shown = key if len(key) <= _KEY_LIMIT else key[:_KEY_LIMIT] + "…"
    if shown.isascii() and shown.isidentifier():
        return f".{shown}"
    quoted = "".join(c if c.isprintable() and c not in '"\\' else c.encode("unicode_escape").decode() for c in shown)
    return f'["{quoted}"]'


def _path(steps_inside_out: Iterable[str]) -> str:
    path = "$" + "".join(reversed(list(steps_inside_out)))
    return path if len(path) <= _PATH_LIMIT else f"{path[:_PATH_LIMIT]}…"


def _write(value: object, chunks: list[bytes], depth: int, text: _TextWriter) -> None:
    kind = type(value)
    if kind is str:
        chunks.append(text(value))  # type: ignore[arg-type]  # `kind is` does not narrow
    elif kind is bool:
        chunks.append(b"\xf5" if value else b"\xf4")
    elif kind is int:
        chunks.append(_integer(value))  # type: ignore[arg-type]  # as above
    elif value is None:
        chunks.append(b"\xf6")
    elif kind is float:
        chunks.append(_float(value))  # type: ignore[arg-type]  # as above
    elif kind is bytes:
        chunks.append(_head(_BYTES, len(value)) + value)  # type: ignore[arg-type, operator]  # as above
    elif isinstance(value, list | tuple) and kind in {list, tuple}:
        _write_array(value, chunks, _deeper(depth), text)
    elif isinstance(value, Mapping):
        _write_map(value, chunks, _deeper(depth), text)
    else:
        raise _unsupported(value)


def _write_array(items: list[object] | tuple[object, ...], chunks: list[bytes], depth: int, text: _TextWriter) -> None:
    chunks.append(_head(_ARRAY, len(items)))
    for index, item in enumerate(items):
        try:
            _write(item, chunks, depth, text)
        except _Refusal as refusal:
            raise refusal.at(f"[{index}]") from None


def _write_map(members: Mapping[object, object], chunks: list[bytes], depth: int, text: _TextWriter) -> None:
    encoded: dict[bytes, bytes] = {}
    for key, value in members.items():
        name = _key(key, text)
        inner: list[bytes] = []
        try:
            _write(value, inner, depth, text)
        except _Refusal as refusal:
            raise refusal.at(member(str(key))) from None
        if name in encoded:
            raise _Refusal(f"two keys are both encoded as {member(str(key))}", "keep one of the two")
        encoded[name] = b"".join(inner)
    chunks.append(_head(_MAP, len(encoded)))
    for name in sorted(encoded):
        chunks += (name, encoded[name])


def _key(key: object, text: _TextWriter) -> bytes:
    if type(key) is not str:
        raise _Refusal(
            f"a map key is of type {_type_name(key)}, and keys must be text",
            "write the key as text, or use a list of pairs",
        )
    try:
        return text(key)
    except _Refusal as refusal:
        raise refusal.at(f"{member(key)} (key)") from None


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise _Refusal(f"the value nests deeper than {MAX_DEPTH} containers", "flatten it, or break the cycle")
    return depth + 1


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 2**8:
        return struct.pack(">BB", major << 5 | 24, argument)
    if argument < 2**16:
        return struct.pack(">BH", major << 5 | 25, argument)
    if argument < 2**32:
        return struct.pack(">BI", major << 5 | 26, argument)
    return struct.pack(">BQ", major << 5 | 27, argument)


def _integer(value: int) -> bytes:
    if not MIN_INT <= value <= MAX_INT:
        raise _Refusal(
            f"an integer of {value.bit_length()} bits lies outside -2**64 ... 2**64 - 1", "write it as text or bytes"
        )
    return _head(0, value) if value >= 0 else _head(1, -1 - value)


def _float(value: float) -> bytes:
    if not math.isfinite(value):
        raise _Refusal(f"the float {value!r} is not finite", "use None or text for a missing or unbounded number")
    for form, head in ((">e", b"\xf9"), (">f", b"\xfa")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            return head + packed
    return b"\xfb" + struct.pack(">d", value)


def _strict_text(value: str) -> bytes:
    if not value.isascii() and not unicodedata.is_normalized("NFC", value):
        raise _Refusal(
            "the text is not in Unicode Normalization Form C",
            'pass unicodedata.normalize("NFC", text) if that is meant',
        )
    return _utf8(value)


def _composed_text(value: str) -> bytes:
    return _utf8(unicodedata.normalize("NFC", value))


def _utf8(value: str) -> bytes:
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Refusal(
            f"the text has a lone surrogate (U+{ord(value[error.start]):04X} at index {error.start})",
            "decode the original bytes properly, or pass them as bytes",
        ) from None
    return _head(_TEXT, len(data)) + data


_ADVICE: Final[Mapping[str, str]] = {
    "set": "use a sorted list",
    "frozenset": "use a sorted list",
    "datetime": "use text in RFC 3339 form",
    "date": "use text in RFC 3339 form",
    "time": "use text in RFC 3339 form",
    "Decimal": "use text, or an integer of the smallest unit",
    "Fraction": "use text, or a list of two integers",
    "complex": "use a list of two floats",
    "bytearray": "use bytes(...)",
    "memoryview": "use bytes(...)",
    "UUID": "use its text",
}


def _unsupported(value: object) -> _Refusal:
    advice = _ADVICE.get(type(value).__name__)
    base = next((kind for kind in (str, int, float, bytes, list, tuple) if isinstance(value, kind)), None)
    if advice is None and base is not None:
        advice = f"convert it to a plain {base.__name__} first"
    return _Refusal(
        f"a value of type {_type_name(value)} has no canonical encoding",
        advice or "use None, bool, int, float, str, bytes, list, tuple or a map with text keys",
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _not_canonical(offset: int, reason: str) -> EncodingError:
    return EncodingError(f"byte {offset}", reason, "the bytes were not written by this codec, or were changed since")


def _first_difference(left: bytes, right: bytes) -> int:
    return next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), len(right))


def _survey(data: bytes) -> None:
    """Refuse, in linear time and without allocating what they claim, bytes that no call of `encode` can give.

    It keeps from the decoder whatever could make it build something else than plain data: tags, which may call code,
    lengths beyond the end, deep nesting, indefinite lengths and bytes after the value.
    """
    if type(data) is not bytes:
        raise EncodingError("$", f"decode takes bytes, not {_type_name(data)}", "pass bytes")
    position = 0
    open_containers: list[int] = [1]
    while open_containers:
        if open_containers[-1] == 0:
            open_containers.pop()
            continue
        open_containers[-1] -= 1
        start = position
        major, argument, position = _read_head(data, start)
        if major in {_BYTES, _TEXT}:
            position += argument
        if position > len(data):
            raise _not_canonical(start, f"a string claims {argument} bytes and the data ends before that")
        if major in {_ARRAY, _MAP}:
            items = argument * 2 if major == _MAP else argument
            if items > len(data) - position:
                raise _not_canonical(start, f"a container claims {argument} entries and the data ends before that")
            if len(open_containers) > MAX_DEPTH:
                raise _not_canonical(start, f"the value nests deeper than {MAX_DEPTH} containers")
            open_containers.append(items)
    if position != len(data):
        raise _not_canonical(position, "there are further bytes after the value")


def _read_head(data: bytes, start: int) -> tuple[int, int, int]:
    """Major type, argument and the position after the head at `start`; refuses heads outside the profile."""
    if start >= len(data):
        raise _not_canonical(start, "the data ends where a value is expected")
    major, info = data[start] >> 5, data[start] & 31
    if major == 6:
        raise _not_canonical(start, "tags are not part of the profile")
    if major == 7 and info not in {20, 21, 22, 25, 26, 27}:
        raise _not_canonical(start, "a simple value other than false, true and null is not part of the profile")
    if info < 24:
        return major, info, start + 1
    if info > 27:
        raise _not_canonical(start, "indefinite lengths and reserved forms are not part of the profile")
    end = start + 1 + (1 << (info - 24))
    if end > len(data):
        raise _not_canonical(start, "the data ends inside a number")
    argument = int.from_bytes(data[start + 1 : end])
    if major != 7 and argument < (24 if info == 24 else 1 << (8 << (info - 25))):
        raise _not_canonical(start, "the number is not in its shortest form")
    return major, argument, end
