"""Claims about places in TOML text."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.manifest.positions import MAX_DEPTH, Path, Span, TooDeep, index

SCALARS = [
    "1", "-0", "0x1F", "1_000", "1.5e3", "inf", "-nan", "true", "false", "1979-05-27", "1979-05-27 07:32:00",
    "1979-05-27T00:32:00.999999-07:00", "07:32:00", '""', "''", '"a # ] } , = [ { b"', '"\\" \\\\ \\u00e9 é 𝔘"',
    "'C:\\no # escape'", '"""one "two" ""\nthree\\" # no \\\n  comment"""', '"""x"""""', "'''it's ''\n[no.table]\n'''",
    '"""\n"""', "''''quoted''''",
]  # fmt: skip
KEYS = ["a", "b-1", "_", "42", '"a b"', '"a.b"', "'x#y'", '"é\\u0041"', '""', "'='"]

Tree = dict[str, Any]


def trees(depth: int) -> st.SearchStrategy[Tree]:
    """Tables by written key; a leaf is TOML text, a list of tables an array of them."""
    leaf = st.sampled_from(SCALARS)
    values: st.SearchStrategy[Any] = leaf
    if depth:
        inner = trees(depth - 1)
        values = st.one_of(leaf, st.lists(leaf, max_size=3).map(tuple), inner, st.lists(inner, min_size=1, max_size=2))
    return st.dictionaries(st.sampled_from(KEYS), values, max_size=4)


class Writer:
    """Writes a tree as TOML in every style, as `choose` decides."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def choose(self, *options: str) -> str:
        return self.data.draw(st.sampled_from(options))

    def blank(self) -> str:
        return self.choose("", " ", "\t")

    def document(self, tree: Tree) -> str:
        return "".join(self.table((), tree))

    def table(self, path: tuple[str, ...], tree: Tree) -> Iterator[str]:
        later: list[tuple[str, Any]] = []
        for key, value in tree.items():
            header = isinstance(value, dict | list) and self.choose("header", "inline") == "header"
            if header:
                later.append((key, value))
            else:
                yield self.pair(key, value) + self.choose("\n", " # a = [\n", "\n\n", "\r\n")
        for key, value in later:
            for table in value if isinstance(value, list) else [value]:
                name = f"{self.blank()}.{self.blank()}".join((*path, key))
                one, two = ("[[", "]]") if isinstance(value, list) else ("[", "]")
                yield f"{self.blank()}{one}{self.blank()}{name}{self.blank()}{two}{self.choose('', ' # ]')}\n"
                yield from self.table((*path, key), table)

    def pair(self, key: str, value: Any) -> str:
        while isinstance(value, dict) and len(value) == 1 and self.choose("dotted", "inline") == "dotted":
            (below, value), *_ = value.items()
            key = f"{key}{self.blank()}.{self.blank()}{below}"
        return f"{self.blank()}{key}{self.blank()}={self.blank()}{self.value(value)}{self.blank()}"

    def value(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(self.pair(key, inner) for key, inner in value.items()) + self.blank() + "}"
        if isinstance(value, str):
            return value
        gap = self.choose("", " ", "\n", " # , ]\n")
        items = f",{gap}".join(self.value(item) + self.choose("", " ", "\n") for item in value)
        return f"[{gap}{items}{self.choose('', ',') if items else ''}{gap}]"


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf of a document with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, (*path, i))
    else:
        yield path, value


def stretch(text: str, span: Span) -> str:
    """The text at a span."""
    lines = text.replace("\r\n", "\n").split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_every_value_that_tomllib_reads_is_found_where_it_is_written(data: st.DataObject) -> None:
    """The text at each value's span, read alone, gives the value that tomllib reads there in the document."""
    text = Writer(data).document(data.draw(trees(3)))
    document = tomllib.loads(text)
    places = index(text)

    read = {path: tomllib.loads(f"v = {stretch(text, places.values[path])}")["v"] for path, _ in leaves(document)}

    assert {path: repr(value) for path, value in leaves(document)} == {path: repr(v) for path, v in read.items()}


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_every_key_is_found_where_it_is_first_written(data: st.DataObject) -> None:
    """The text at each key's span, read as a key, is that key; and there is a span for every key of the document."""
    text = Writer(data).document(data.draw(trees(3)))
    places = index(text)

    def keys(value: Any, path: Path = ()) -> Iterator[Path]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield (*path, key)
                yield from keys(inner, (*path, key))
        elif isinstance(value, list):
            for i, inner in enumerate(value):
                yield from keys(inner, (*path, i))

    expected = {path: path[-1] for path in keys(tomllib.loads(text))}
    actual = {path: next(iter(tomllib.loads(f"{stretch(text, places.keys[path])} = 0"))) for path in expected}
    assert expected == actual


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab.=[]{}\"'\\#,\n\r \t1é", max_size=60))
def test_any_text_is_indexed_without_an_error_and_valid_text_in_full(text: str) -> None:
    """Whatever the text, indexing ends quietly; and where tomllib accepts it, no value is without a place."""
    places = index(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert {path for path, _ in leaves(document)} <= places.values.keys()


def test_places_are_counted_in_lines_and_characters_from_one() -> None:
    """A header, a key and a value have the lines and columns that an editor shows."""
    places = index('# é\r\n[node]\r\n  "é" = "𝔘" # x\r\n')

    assert (Span(2, 1, 2, 7), Span(3, 3, 3, 6), Span(3, 9, 3, 12)) == (
        places.table(("node",)),
        places.key(("node", "é")),
        places.value(("node", "é")),
    )


def test_what_is_not_written_is_placed_at_the_table_around_it() -> None:
    """A missing field has its table's place, and a missing table the document's start."""
    places = index("a = 1\n[[r]]\n[[r]]\nx = 1\n")

    assert (Span(3, 1, 3, 6), Span(1, 1, 1, 1)) == (places.table(("r", 1, "url")), places.table(("budget",)))


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * MAX_DEPTH + " = 1",
        "[" + "a." * MAX_DEPTH + "a]",
        "a = " + "[" * 100_000,
        "a = " + "{b = " * MAX_DEPTH,
        "[x]\n" + "a." * 500_000 + "a = 1",
    ],
)
def test_deep_nesting_is_refused_before_another_parser_sees_it(text: str) -> None:
    """Nesting is bounded in keys, headers, arrays and inline tables, with the place where it goes too far."""
    with pytest.raises(TooDeep) as caught:
        index(text)
    assert caught.value.column > 1
