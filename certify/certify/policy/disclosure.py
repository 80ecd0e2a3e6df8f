"""Which sensitive values of an input a run disclosed, and to whom.

Rules this module keeps:

- a value is looked for in whatever the run sent, stored or logged, through percent-encoding, JSON and HTML escapes,
  Base64 at any alignment, hexadecimal, UTF-16 and gzip, one inside another;
- what is too short to be told from chance is looked for only under its own field's name;
- a value that a public or internal field of the same input holds too proves nothing, and is left alone;
- the search is bounded in time and memory, whatever the node sent: all of it is read as it is, encodings are undone in
  its first MiB.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import html
import json
import re
import unicodedata
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from certify.manifest.model import DataClass
from certify.manifest.paths import lookup, parse
from certify_spec.diagnostics import Place

_DEPTH: Final = 3
_LONGEST_TEXT: Final = 2**20
_MOST_VIEWS: Final = 400
_MOST_WORDS: Final = 200
_MOST_BYTES: Final = 4 * _LONGEST_TEXT
_SHORTEST_ANYWHERE: Final = 5
_SECRET: Final = re.compile(r"<secret:([^<>]{1,200})>")


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A value of the input that must not go everywhere.

    Attributes:
        path: the input field that holds it.
        text: the value as text.
    """

    path: str
    data_class: DataClass
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """Something that left the node.

    Attributes:
        resource: name of the declared resource that it went to; for a kind of which there is one, the kind.
        kind: the kind of that resource.
        part: what it is, such as ``the body of POST /charges``.
        content: the bytes.
        place: the node's line that sent it, if known.
        in_url: whether it is a request's path and query, which proxies and servers write into their logs.
    """

    resource: str
    kind: str
    part: str
    content: bytes
    place: Place | None = None
    in_url: bool = False


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A sensitive value, found in something that left the node; `form` says how it was written there."""

    sensitive: Sensitive
    sent: Sent
    form: str


def sensitive_values(value: object, classes: Mapping[str, DataClass]) -> tuple[Sensitive, ...]:
    """The values of an input in fields above internal, but for those that a less sensitive field holds as well."""
    open_to_all = {
        _folded(text)
        for path, data_class in classes.items()
        if data_class in {DataClass.PUBLIC, DataClass.INTERNAL}
        for text in _texts_at(value, path)
    }
    found = {
        Sensitive(path, data_class, text): None
        for path, data_class in classes.items()
        if data_class not in {DataClass.PUBLIC, DataClass.INTERNAL}
        for text in _texts_at(value, path)
        if text.strip() and _folded(text) not in open_to_all
    }
    return tuple(found)


def disclosures(sensitive: Iterable[Sensitive], sent: Iterable[Sent]) -> Iterator[Disclosure]:
    """Every value of `sensitive` that is in one of `sent`, once for each of them."""
    wanted = list(sensitive)
    for each in sent:
        views = list(_views(each.content))
        for value in wanted:
            form = next((view.form for view in views if view.holds(value)), None)
            if form is not None:
                yield Disclosure(value, each, form)


def secrets_in(content: bytes) -> tuple[str, ...]:
    """Names of the secrets for which a placeholder of the recording stands in `content`, in any encoding."""
    return tuple(sorted({name for view in _views(content) for name in _SECRET.findall(view.text)}))


def texts_in(content: bytes) -> Iterator[str]:
    """`content` as text, and what its encodings hold."""
    return (view.text for view in _views(content))


def scalars(value: object) -> Iterator[object]:
    """Every scalar in a value, the keys of maps included."""
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, Mapping):
            yield from here
            stack.extend(here.values())
        elif isinstance(here, list | tuple):
            stack.extend(here)
        else:
            yield here


def _texts_at(value: object, path: str) -> Iterator[str]:
    try:
        found = lookup(value, path)
    except ValueError:
        return
    for here in found:
        for scalar in scalars(here):
            if scalar is not None and not isinstance(scalar, bool):
                yield str(scalar)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


# ---------------------------------------------------------------------------------------------------------- views


@dataclass(frozen=True, slots=True)
class _View:
    """One reading of bytes as text, and how they were read."""

    text: str
    folded: str
    compact: str
    leaves: tuple[tuple[str, str], ...]
    form: str

    def holds(self, value: Sensitive) -> bool:
        wanted = _folded(value.text)
        digits = re.sub(r"[\s.-]", "", wanted)
        if digits.isdecimal() and len(digits) >= 9:
            return digits in self.compact
        if len(wanted) >= _SHORTEST_ANYWHERE and not (wanted.isdecimal() and len(wanted) < 8):
            return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", self.folded) is not None or (
                len(wanted) >= 8 and wanted in self.folded
            )
        names = [step for step in parse(value.path) if isinstance(step, str)]
        return bool(names) and (_key(names[-1]), wanted) in self.leaves


def _views(content: bytes) -> Iterator[_View]:
    """The readings of `content`, plain first; at most `_MOST_VIEWS`, and `_MOST_BYTES` besides the first."""
    queue: deque[tuple[bytes, str, int]] = deque([(content, "plain", 0)])
    seen: set[bytes] = set()
    left = _MOST_BYTES + len(content)
    while queue and len(seen) < _MOST_VIEWS and left > 0:
        raw, form, depth = queue.popleft()
        if raw in seen:
            continue
        seen.add(raw)
        left -= len(raw)
        text = raw.decode("utf-8", "replace")
        folded = _folded(text)
        yield _View(text, folded, re.sub(r"[\s.-]", "", folded), tuple(_leaves(text)), form)
        if depth < _DEPTH:
            head = raw[:_LONGEST_TEXT]
            queue += [(inner, _named(form, how), depth + 1) for inner, how in _decoded(head, text[:_LONGEST_TEXT])]


def _named(outer: str, inner: str) -> str:
    return inner if outer == "plain" else f"{outer}, then {inner}"


def _decoded(raw: bytes, text: str) -> Iterator[tuple[bytes, str]]:
    """What `raw` may be an encoding of."""
    if raw[:2] in {b"\x1f\x8b", b"\x78\x9c", b"\x78\xda", b"\x78\x01"}:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(47).decompress(raw, _LONGEST_TEXT), "compressed"
    if b"\x00" in raw:
        for order in ("utf-16-le", "utf-16-be"):
            yield raw.decode(order, "ignore").encode("utf-8", "ignore"), "UTF-16"
    if "%" in text or "+" in text:
        yield unquote_plus(text).encode("utf-8", "replace"), "percent-encoded"
    if "\\" in text:
        yield _unescaped(text).encode("utf-8", "replace"), "JSON-escaped"
    if "&" in text and ";" in text:
        yield html.unescape(text).encode("utf-8", "replace"), "HTML-escaped"
    for match in islice(re.finditer(r"[A-Za-z0-9+/_-]{8,}", text), _MOST_WORDS):
        yield from ((decoded, "Base64") for decoded in _from_base64(match[0]))
    for match in islice(re.finditer(r"(?:[0-9a-fA-F]{2}){5,}", text), _MOST_WORDS):
        yield bytes.fromhex(match[0]), "hexadecimal"


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(match[2], match[2])

    joined = re.sub(r"\\(?:u([0-9a-fA-F]{4})|x[0-9a-fA-F]{2}|(.))", lambda m: one(m) if m[1] or m[2] else m[0], text)
    # a pair of surrogates stands for one character
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _from_base64(word: str) -> Iterator[bytes]:
    """The word decoded from each of its first four characters on, where the result is mostly text."""
    standard = word.translate(str.maketrans("-_", "+/"))
    for start in range(4):
        cut = standard[start:]
        cut = cut[: len(cut) - 1] if len(cut) % 4 == 1 else cut
        try:
            decoded = base64.b64decode(cut + "=" * (-len(cut) % 4))
        except (binascii.Error, ValueError):
            continue
        if decoded[:2] == b"\x1f\x8b" or _is_mostly_text(decoded):
            yield decoded


def _is_mostly_text(raw: bytes) -> bool:
    text = raw.decode("utf-8", "ignore")
    return len(text) >= 4 and sum(sign.isprintable() for sign in text) * 5 >= len(raw) * 3


def _leaves(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of a JSON document, or of a form or query."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        query = text.partition("?")[2] or text
        if "=" in query and len(query) < 65_536:
            yield from ((_key(name), _folded(value)) for name, value in parse_qsl(query, max_num_fields=1000) if value)
        return
    stack: list[tuple[str, Any]] = [("", document)]
    while stack:
        name, here = stack.pop()
        if isinstance(here, Mapping):
            stack.extend((str(key), item) for key, item in here.items())
        elif isinstance(here, list):
            stack.extend((name, item) for item in here)
        elif here is not None and not isinstance(here, bool):
            yield _key(name), _folded(str(here))


def _key(name: str) -> str:
    return re.sub(r"[\W_]", "", _folded(name))
