"""The NDJSON export format 3.x, read strictly and checked.

Rules this module keeps (leanprover/lean4export, `format_ndjson.md`, versions 3.0 and 3.1):

- the first line announces the format; every further line is one item: a name, a level, an expression or a declaration;
- an item has exactly the fields of its kind; indices are given in order and refer only to what stands above;
- whatever else stands in the file is refused with line and column, and nothing after it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from certify_spec.diagnostics import Diagnostic, Place, RequestError, Rule
from certify_verifier.lean import axioms, levels, names, rules
from certify_verifier.lean import exprs as ex
from certify_verifier.lean.environment import (
    ABBREVIATION_HEIGHT,
    OPAQUE_HEIGHT,
    Axiom,
    Constructor,
    Definition,
    Inductive,
    Opaque,
    Quotient,
    QuotPart,
    Recursor,
    RecursorRule,
    Theorem,
)
from certify_verifier.lean.exprs import Binder, Expr
from certify_verifier.lean.kernel import InductiveClaim
from certify_verifier.lean.levels import Level
from certify_verifier.lean.names import Name
from certify_verifier.lean.report import Declined, LeanReport, overall
from certify_verifier.lean.session import DEFAULT_STEPS, Item, Session, refusal, run_deep

MAX_BYTES: Final = 256 * 1024 * 1024
"""The greatest export file read."""

MAX_DIGITS: Final = 4000
"""The longest number literal read, in decimal digits."""

_T = TypeVar("_T")


class _Malformed(Exception):
    def __init__(self, rule: Rule, message: str, place: Place) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.place = place


class _Unsafe(Exception):
    def __init__(self, name: Name) -> None:
        super().__init__(name)
        self.name = name


def check_export(
    path: Path | str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS, name: str = ""
) -> LeanReport:
    """Check every declaration of an export file.

    Args:
        path: the file.
        allowed: axioms that theorems may rest on.
        steps: steps that one declaration may take before it is left undecided.
        name: how messages name the file; the path when empty.

    Returns:
        The report; a malformed file gives a rejection with line and column.

    Raises:
        RequestError: the file cannot be read.
    """
    shown = name or str(path)
    try:
        size = Path(path).stat().st_size
        data = Path(path).read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        message = f"cannot read `{shown}`: {error.strerror or error}"
        raise RequestError(Diagnostic(rules.UNREADABLE, message, Place(shown), fix=rules.UNREADABLE.advice)) from error
    if size > MAX_BYTES:
        verdict = refusal(rules.TOO_LARGE, f"the export has {size} bytes, {MAX_BYTES} are read", Place(shown))
        return LeanReport(shown, (), verdict)
    return check_export_bytes(data, shown, allowed=allowed, steps=steps)


def check_export_bytes(
    data: bytes, name: str, *, allowed: frozenset[Name] = axioms.STANDARD, steps: int = DEFAULT_STEPS
) -> LeanReport:
    """Check the bytes of an export file; `name` is how messages name it. Otherwise as `check_export`."""
    return run_deep(lambda: _check(data, Session(name, allowed=allowed, steps=steps)))


def read_items(data: bytes, name: str) -> list[tuple[Item, Place]]:
    """The declarations of an export without checking them; call inside `run_deep`.

    Raises:
        RequestError: the export is malformed.
    """
    items = []
    try:
        for item, place in _Reader(name).read(data):
            if not isinstance(item, _Unsafe):
                items.append((item, place))
    except _Malformed as wrong:
        raise RequestError(Diagnostic(wrong.rule, wrong.message, wrong.place, fix=wrong.rule.advice)) from wrong
    return items


def _check(data: bytes, session: Session) -> LeanReport:
    undecided: list[Declined] = []
    report = None
    try:
        for item, place in _Reader(session.file).read(data):
            if isinstance(item, _Unsafe):
                undecided.append(Declined(f"`{item.name}` is unsafe or partial: it proves nothing and is not checked"))
            else:
                session.check(item, place)
        report = session.report()
        if not session.entries and not undecided:
            verdict = refusal(rules.NO_THEOREM, "the export declares nothing", Place(session.file, 1, 1))
            return LeanReport(session.file, (), verdict)
    except _Malformed as wrong:
        report = session.report()
        verdict = refusal(wrong.rule, wrong.message, wrong.place)
        return LeanReport(session.file, report.entries, verdict, report.steps, report.comparisons)
    verdict_ = overall((report.verdict, *undecided))
    return LeanReport(session.file, report.entries, verdict_, report.steps, report.comparisons)


class _Line:
    """One line, its fields taken out strictly."""

    def __init__(self, text: str, file: str, number: int) -> None:
        self.text = text
        self.file = file
        self.number = number

    def fail(self, rule: Rule, message: str, key: str = "") -> _Malformed:
        """The exception for something wrong at a key of this line."""
        column = self.text.find(json.dumps(key, ensure_ascii=False)) + 1 if key else 1
        return _Malformed(rule, message, Place(self.file, self.number, max(column, 1)))

    def parse(self, decoder: json.JSONDecoder) -> dict[str, Any]:
        """The line as one JSON object."""
        try:
            value = decoder.decode(self.text)
        except json.JSONDecodeError as error:
            place = Place(self.file, self.number, error.colno)
            raise _Malformed(rules.NOT_JSON, f"this is no JSON: {error.msg}", place) from error
        except (RecursionError, ValueError) as error:
            raise self.fail(rules.NOT_JSON, "this line is nested too deeply or has too long a number") from error
        if not isinstance(value, dict):
            raise self.fail(rules.NOT_JSON, "a line is one JSON object")
        return value

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """The pairs of a JSON object as a map; a key that stands twice is refused."""
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add gives None
            raise self.fail(rules.DUPLICATE_KEY, f"the key `{twice}` stands twice", twice)
        return found

    def no_float(self, text: str) -> Any:
        """Refuse a number that is not whole."""
        raise self.fail(rules.BAD_FIELD, f"{text} is no whole number")

    def fields(self, value: Any, wanted: tuple[str, ...], what: str) -> dict[str, Any]:
        """The value as an object with exactly these fields."""
        if not isinstance(value, dict):
            raise self.fail(rules.BAD_FIELD, f"{what} is not an object", what)
        for key in value:
            if key not in wanted:
                raise self.fail(rules.BAD_FIELD, f"{what} has the unknown field `{key}`", key)
        for key in wanted:
            if key not in value:
                raise self.fail(rules.BAD_FIELD, f"{what} lacks the field `{key}`", what)
        return value

    def integer(self, value: Any, key: str) -> int:
        """The value as a natural number."""
        if type(value) is not int or value < 0:
            raise self.fail(rules.BAD_FIELD, f"`{key}` is not a natural number", key)
        return value

    def text_of(self, value: Any, key: str) -> str:
        """The value as text without lone surrogates."""
        if not isinstance(value, str):
            raise self.fail(rules.BAD_FIELD, f"`{key}` is not text", key)
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise self.fail(rules.BAD_FIELD, f"`{key}` has half a character (a lone surrogate)", key)
        return value

    def boolean(self, value: Any, key: str) -> bool:
        """The value as true or false."""
        if not isinstance(value, bool):
            raise self.fail(rules.BAD_FIELD, f"`{key}` is neither true nor false", key)
        return value

    def choice(self, value: Any, key: str, choices: tuple[str, ...]) -> str:
        """The value as one of these words."""
        if not isinstance(value, str) or value not in choices:
            raise self.fail(rules.BAD_FIELD, f"`{key}` is none of {', '.join(choices)}", key)
        return value

    def array(self, value: Any, key: str, item: Callable[[Any, str], _T]) -> tuple[_T, ...]:
        """The value as a list, each item read."""
        if not isinstance(value, list):
            raise self.fail(rules.BAD_FIELD, f"`{key}` is not a list", key)
        return tuple(item(part, key) for part in value)


_INDUCTIVE_KEYS: Final = (("types", "ctors", "recs"), ("inductiveVals", "constructorVals", "recursorVals"))
_COMMON: Final = ("name", "levelParams", "type")
_PARTS: Final = tuple(part.value for part in QuotPart)
_BINDERS: Final = tuple(binder.value for binder in Binder)


class _Reader:
    """The tables of names, levels and expressions read so far, and the declarations in order."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.names: list[Name] = [names.ANONYMOUS]
        self.levels: list[Level] = [levels.ZERO]
        self.exprs: list[Expr] = []
        self.line = _Line("", file, 1)
        self.in_lists = False

    def read(self, data: bytes) -> Iterator[tuple[Item | _Unsafe, Place]]:
        """Every declaration with its place.

        Raises:
            _Malformed: something is wrong; nothing after it is read.
        """
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_float=self._no_float)
        for number, raw in enumerate(lines or [b""], start=1):
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                place = Place(self.file, number, error.start + 1)
                raise _Malformed(rules.NOT_JSON, "this line is not UTF-8", place) from error
            self.line = _Line(text, self.file, number)
            value = self.line.parse(decoder)
            if number == 1:
                self._meta(value)
            else:
                for item in self._item(value):
                    yield item, Place(self.file, number, 1)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return self.line.object(pairs)

    def _no_float(self, text: str) -> Any:
        return self.line.no_float(text)

    def _meta(self, value: dict[str, Any]) -> None:
        line = self.line
        try:
            meta = line.fields(line.fields(value, ("meta",), "line")["meta"], ("exporter", "format", "lean"), "meta")
            line.fields(meta["exporter"], ("name", "version"), "exporter")
            line.fields(meta["lean"], ("githash", "version"), "lean")
            version = line.text_of(line.fields(meta["format"], ("version",), "format")["version"], "version")
        except _Malformed as wrong:
            raise _Malformed(
                rules.BAD_META, f"the first line announces no format: {wrong.message}", wrong.place
            ) from wrong
        parts = version.split(".")
        if parts[0] != "3" or not 2 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
            raise line.fail(rules.BAD_META, f"format {version!r} is announced, 3.x is read", "format")
        self.in_lists = parts[1] == "0"

    def _item(self, value: dict[str, Any]) -> Iterator[Item | _Unsafe]:
        if "in" in value:
            self._primitive(value, "in", _NAME_ITEMS, self.names)
            return
        if "il" in value:
            self._primitive(value, "il", _LEVEL_ITEMS, self.levels)
            return
        if "ie" in value:
            self._primitive(value, "ie", _EXPR_ITEMS, self.exprs)
            return
        if len(value) != 1 or next(iter(value)) not in _DECLARATIONS:
            keys = ", ".join(sorted(value)) or "none"
            raise self.line.fail(rules.UNKNOWN_ITEM, f"no item of the format has the keys {keys}")
        kind = next(iter(value))
        body = value[kind]
        if self.in_lists and isinstance(body, list):
            if not body:
                raise self.line.fail(rules.BAD_FIELD, f"{kind} is an empty list", kind)
            for part in body:
                yield _DECLARATIONS[kind](self, part)
        else:
            yield _DECLARATIONS[kind](self, body)

    def _primitive(
        self, value: dict[str, Any], index_key: str, kinds: Mapping[str, Callable[[_Reader, Any], _T]], table: list[_T]
    ) -> None:
        line = self.line
        others = [key for key in value if key != index_key]
        if len(others) != 1 or others[0] not in kinds:
            keys = ", ".join(sorted(value))
            raise line.fail(rules.UNKNOWN_ITEM, f"no item of the format has the keys {keys}", index_key)
        index = line.integer(value[index_key], index_key)
        if index != len(table):
            raise line.fail(rules.REDEFINED_INDEX, f"`{index_key}` is {index} where {len(table)} is next", index_key)
        table.append(kinds[others[0]](self, value[others[0]]))

    # references ---------------------------------------------------------------------------------------------------

    def _lookup(self, table: list[_T], value: Any, key: str) -> _T:
        index = self.line.integer(value, key)
        if index >= len(table):
            raise self.line.fail(rules.DANGLING, f"`{key}` refers to {index}, which is not given above", key)
        return table[index]

    def name(self, value: Any, key: str) -> Name:
        return self._lookup(self.names, value, key)

    def declared_name(self, value: Any, key: str) -> Name:
        found = self.name(value, key)
        if not found:
            raise self.line.fail(rules.BAD_FIELD, f"`{key}` is the anonymous name", key)
        return found

    def level(self, value: Any, key: str) -> Level:
        return self._lookup(self.levels, value, key)

    def expr(self, value: Any, key: str) -> Expr:
        return self._lookup(self.exprs, value, key)

    # primitives ---------------------------------------------------------------------------------------------------

    def name_str(self, body: Any) -> Name:
        got = self.line.fields(body, ("pre", "str"), "str")
        return names.child(self.name(got["pre"], "pre"), self.line.text_of(got["str"], "str"))

    def name_num(self, body: Any) -> Name:
        got = self.line.fields(body, ("pre", "i"), "num")
        return names.child(self.name(got["pre"], "pre"), self.line.integer(got["i"], "i"))

    def level_succ(self, body: Any) -> Level:
        return levels.succ(self.level(body, "succ"))

    def level_max(self, body: Any) -> Level:
        return levels.max_of(*self._two_levels(body, "max"))

    def level_imax(self, body: Any) -> Level:
        return levels.imax_of(*self._two_levels(body, "imax"))

    def _two_levels(self, body: Any, key: str) -> tuple[Level, Level]:
        pair = self.line.array(body, key, self.level)
        if len(pair) != 2:
            raise self.line.fail(rules.BAD_FIELD, f"`{key}` has {len(pair)} levels, not two", key)
        return pair[0], pair[1]

    def level_param(self, body: Any) -> Level:
        return levels.param(self.declared_name(body, "param"))

    def bvar(self, body: Any) -> Expr:
        return ex.bvar(self.line.integer(body, "bvar"))

    def sort(self, body: Any) -> Expr:
        return ex.sort(self.level(body, "sort"))

    def const(self, body: Any) -> Expr:
        got = self.line.fields(body, ("name", "us"), "const")
        return ex.const(self.declared_name(got["name"], "name"), self.line.array(got["us"], "us", self.level))

    def app(self, body: Any) -> Expr:
        got = self.line.fields(body, ("fn", "arg"), "app")
        return ex.app(self.expr(got["fn"], "fn"), self.expr(got["arg"], "arg"))

    def lam(self, body: Any) -> Expr:
        return ex.lam(*self._binding(body, "lam"))

    def pi(self, body: Any) -> Expr:
        return ex.pi(*self._binding(body, "forallE"))

    def _binding(self, body: Any, what: str) -> tuple[Name, Expr, Expr, Binder]:
        got = self.line.fields(body, ("name", "type", "body", "binderInfo"), what)
        info = Binder(self.line.choice(got["binderInfo"], "binderInfo", _BINDERS))
        return self.name(got["name"], "name"), self.expr(got["type"], "type"), self.expr(got["body"], "body"), info

    def let(self, body: Any) -> Expr:
        got = self.line.fields(body, ("name", "type", "value", "body", "nondep"), "letE")
        self.line.boolean(got["nondep"], "nondep")
        type_, value = self.expr(got["type"], "type"), self.expr(got["value"], "value")
        return ex.let(self.name(got["name"], "name"), type_, value, self.expr(got["body"], "body"))

    def proj(self, body: Any) -> Expr:
        got = self.line.fields(body, ("typeName", "idx", "struct"), "proj")
        type_name = self.declared_name(got["typeName"], "typeName")
        return ex.proj(type_name, self.line.integer(got["idx"], "idx"), self.expr(got["struct"], "struct"))

    def nat_lit(self, body: Any) -> Expr:
        text = self.line.text_of(body, "natVal")
        if not text.isascii() or not text.isdecimal() or (text[0] == "0" and text != "0"):
            raise self.line.fail(rules.BAD_FIELD, "`natVal` is no decimal number", "natVal")
        if len(text) > MAX_DIGITS:
            raise self.line.fail(rules.TOO_LARGE, f"`natVal` has {len(text)} digits, {MAX_DIGITS} are read", "natVal")
        return ex.nat(int(text))

    def str_lit(self, body: Any) -> Expr:
        return ex.string(self.line.text_of(body, "strVal"))

    def mdata(self, body: Any) -> Expr:
        got = self.line.fields(body, ("expr", "data"), "mdata")
        if not isinstance(got["data"], dict):
            raise self.line.fail(rules.BAD_FIELD, "`data` is not an object", "data")
        return self.expr(got["expr"], "expr")

    # declarations -------------------------------------------------------------------------------------------------

    def _common(self, got: dict[str, Any]) -> tuple[Name, tuple[Name, ...], Expr]:
        params = self.line.array(got["levelParams"], "levelParams", self.declared_name)
        return self.declared_name(got["name"], "name"), params, self.expr(got["type"], "type")

    def _all(self, got: dict[str, Any]) -> tuple[Name, ...]:
        return self.line.array(got["all"], "all", self.declared_name)

    def axiom(self, body: Any) -> Item | _Unsafe:
        got = self.line.fields(body, (*_COMMON, "isUnsafe"), "axiom")
        common = self._common(got)
        return _Unsafe(common[0]) if self.line.boolean(got["isUnsafe"], "isUnsafe") else Axiom(*common)

    def definition(self, body: Any) -> Item | _Unsafe:
        got = self.line.fields(body, (*_COMMON, "value", "hints", "safety", "all"), "def")
        common, value = self._common(got), self.expr(got["value"], "value")
        self._all(got)
        height = self._height(got["hints"])
        safety = self.line.choice(got["safety"], "safety", ("safe", "unsafe", "partial"))
        return Definition(*common, value, height) if safety == "safe" else _Unsafe(common[0])

    def _height(self, hints: Any) -> int:
        if isinstance(hints, dict):
            got = self.line.fields(hints, ("regular",), "hints")
            return self.line.integer(got["regular"], "regular")
        word = self.line.choice(hints, "hints", ("opaque", "abbrev"))
        return OPAQUE_HEIGHT if word == "opaque" else ABBREVIATION_HEIGHT

    def theorem(self, body: Any) -> Item | _Unsafe:
        got = self.line.fields(body, (*_COMMON, "value", "all"), "thm")
        self._all(got)
        return Theorem(*self._common(got), self.expr(got["value"], "value"))

    def opaque(self, body: Any) -> Item | _Unsafe:
        got = self.line.fields(body, (*_COMMON, "value", "isUnsafe", "all"), "opaque")
        self._all(got)
        common, value = self._common(got), self.expr(got["value"], "value")
        return _Unsafe(common[0]) if self.line.boolean(got["isUnsafe"], "isUnsafe") else Opaque(*common, value)

    def quot(self, body: Any) -> Item | _Unsafe:
        got = self.line.fields(body, (*_COMMON, "kind"), "quot")
        return Quotient(*self._common(got), QuotPart(self.line.choice(got["kind"], "kind", _PARTS)))

    def inductive(self, body: Any) -> Item | _Unsafe:
        line = self.line
        keys = next((k for k in _INDUCTIVE_KEYS if isinstance(body, dict) and k[0] in body), _INDUCTIVE_KEYS[0])
        got = line.fields(body, keys, "inductive")
        types = line.array(got[keys[0]], keys[0], self._inductive_type)
        constructors = line.array(got[keys[1]], keys[1], self._constructor)
        recursors = line.array(got[keys[2]], keys[2], self._recursor)
        unsafe = [constant.name for constant, is_unsafe in (*types, *constructors, *recursors) if is_unsafe]
        if unsafe:
            return _Unsafe(unsafe[0])
        return InductiveClaim(
            tuple(t for t, _ in types), tuple(c for c, _ in constructors), tuple(r for r, _ in recursors)
        )

    def _inductive_type(self, body: Any, _key: str) -> tuple[Inductive, bool]:
        counts = ("numParams", "numIndices", "numNested")
        flags = ("isRec", "isReflexive", "isUnsafe")
        got = self.line.fields(body, (*_COMMON, *counts, *flags, "all", "ctors"), "types")
        params, indices, nested = (self.line.integer(got[key], key) for key in counts)
        recursive, reflexive, unsafe = (self.line.boolean(got[key], key) for key in flags)
        constructors = self.line.array(got["ctors"], "ctors", self.declared_name)
        name, levels_, type_ = self._common(got)
        group = self._all(got)
        made = Inductive(name, levels_, type_, params, indices, group, constructors, recursive, reflexive, nested)
        return made, unsafe

    def _constructor(self, body: Any, _key: str) -> tuple[Constructor, bool]:
        counts = ("cidx", "numParams", "numFields")
        got = self.line.fields(body, (*_COMMON, *counts, "induct", "isUnsafe"), "ctors")
        index, params, fields = (self.line.integer(got[key], key) for key in counts)
        owner = self.declared_name(got["induct"], "induct")
        unsafe = self.line.boolean(got["isUnsafe"], "isUnsafe")
        return Constructor(*self._common(got), owner, index, params, fields), unsafe

    def _recursor(self, body: Any, _key: str) -> tuple[Recursor, bool]:
        counts = ("numParams", "numIndices", "numMotives", "numMinors")
        got = self.line.fields(body, (*_COMMON, *counts, "all", "rules", "k", "isUnsafe"), "recs")
        params, indices, motives, minors = (self.line.integer(got[key], key) for key in counts)
        rules_ = self.line.array(got["rules"], "rules", self._rule)
        owner = (*self._all(got), "")[0]
        k, unsafe = self.line.boolean(got["k"], "k"), self.line.boolean(got["isUnsafe"], "isUnsafe")
        return Recursor(*self._common(got), owner, params, indices, motives, minors, rules_, k), unsafe

    def _rule(self, body: Any, _key: str) -> RecursorRule:
        got = self.line.fields(body, ("ctor", "nfields", "rhs"), "rules")
        constructor = self.declared_name(got["ctor"], "ctor")
        return RecursorRule(constructor, self.line.integer(got["nfields"], "nfields"), self.expr(got["rhs"], "rhs"))


_NAME_ITEMS: Final = {"str": _Reader.name_str, "num": _Reader.name_num}
_LEVEL_ITEMS: Final = {
    "succ": _Reader.level_succ,
    "max": _Reader.level_max,
    "imax": _Reader.level_imax,
    "param": _Reader.level_param,
}
_EXPR_ITEMS: Final = {
    "bvar": _Reader.bvar,
    "sort": _Reader.sort,
    "const": _Reader.const,
    "app": _Reader.app,
    "lam": _Reader.lam,
    "forallE": _Reader.pi,
    "letE": _Reader.let,
    "proj": _Reader.proj,
    "natVal": _Reader.nat_lit,
    "strVal": _Reader.str_lit,
    "mdata": _Reader.mdata,
}
_DECLARATIONS: Final[dict[str, Callable[[_Reader, Any], Item | _Unsafe]]] = {
    "axiom": _Reader.axiom,
    "def": _Reader.definition,
    "thm": _Reader.theorem,
    "opaque": _Reader.opaque,
    "quot": _Reader.quot,
    "inductive": _Reader.inductive,
}
