"""Validation errors of pydantic, in the words of somebody who writes a `node.toml`.

Rules this module keeps:

- one problem for one place: the members of a union that a value fits none of are one problem;
- no word of pydantic reaches the user, but for messages of our own validators.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from certify.manifest import rules
from certify.manifest.consistency import At, Path, Problem, nearest
from certify.manifest.model import INCONSISTENT, Manifest

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list in brackets",
    "dict_type": "a table",
    "model_type": "a table",
}


def problems(errors: Iterable[ErrorDetails], document: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems that pydantic found in `document`; those of several fields together are left to the judges."""
    by_place: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        if error["type"] == INCONSISTENT or (error["type"] == "too_short" and error["input"]):
            continue  # pydantic counts valid items only, and what is wrong with the others is said already
        place = error["loc"] if error["type"] == "missing" else _existing(error["loc"], document)
        by_place.setdefault(place, []).append(error)
    for path, found in by_place.items():
        if path != ("schema",):
            yield _problem(path, found, document)


def _existing(path: Path, document: object) -> Path:
    """The longest part of `path` that is in the document: pydantic adds the members of unions to paths."""
    here: Any = document
    for length, step in enumerate(path):
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return path[:length]
    return path


def _problem(path: Path, errors: list[ErrorDetails], document: Mapping[str, Any]) -> Problem:
    kinds = [error["type"] for error in errors]
    if kinds[0] == "missing":
        return _missing(path, document)
    value = _value(document, path)
    if kinds[0] == "extra_forbidden":
        return _unknown(path, document)
    if all(kind in _EXPECTED for kind in kinds):
        return _wrong_type(path, list(dict.fromkeys(_EXPECTED[kind] for kind in kinds)), value)
    if kinds[0] in {"enum", "literal_error"}:
        return _not_one_of(path, value)
    return _malformed(path, errors[0], value)


def _missing(path: Path, document: Mapping[str, Any]) -> Problem:
    table, name = path[:-1], str(path[-1])
    holder = type_at(table)
    what = _is_table(path)
    about = _about(holder, name)
    inline = not table or isinstance(_value(document, table), Mapping)
    header = {"table": f"[{name}]", "array": f"[[{name}]]"}.get(what, f"`{name} = …`")
    return Problem(
        rules.MISSING,
        table,
        f"{_named(table)} has no {header if what else f'`{name}`'}",
        because=about,
        fix=f"add {header}" if inline else "",
        at=At.TABLE,
    )


def _about(holder: object, name: str) -> str:
    field = _fields(holder).get(name)
    return field.description or "" if field is not None else ""


def _unknown(path: Path, document: Mapping[str, Any]) -> Problem:
    table, name = path[:-1], str(path[-1])
    known = [field for field in _fields(type_at(table)) if field not in (_value(document, table) or {})]
    close = nearest(name, known)
    elsewhere = [where for where, fields in _HOMES.items() if name in fields]
    if close:
        fix = f"did you mean `{close}`?"
    elif elsewhere:
        fix = f"`{name}` is a field of {' and of '.join(elsewhere)}: write it there"
    else:
        fix = f"remove it; still free here: {', '.join(known)}" if known else "remove it"
    return Problem(rules.UNKNOWN_FIELD, path, f"{_named(table)} has no field `{name}`", fix=fix, at=At.KEY)


def _wrong_type(path: Path, expected: list[str], value: object) -> Problem:
    name = _leaf(path)
    wanted = " or ".join(expected)
    fix = f"write {wanted}"
    if isinstance(value, Mapping) and "a list in brackets" in expected and len(path) == 1:
        fix = f"write [[{name}]] in double brackets: there may be several"
    elif isinstance(value, list) and expected == ["a table"]:
        fix = f"write [{name}] in single brackets: there is one"
    return Problem(rules.WRONG_TYPE, path, f"`{name}` is {wanted}, and this is {describe(value)}", fix=fix)


def _not_one_of(path: Path, value: object) -> Problem:
    name = _leaf(path)
    allowed = _choices(type_at(path))
    fix = ""
    if isinstance(value, Mapping) and "classes" in path:
        fix = f'put the whole path in quotes: "{name}.{next(iter(value), "…")}" = "…"'
    elif isinstance(value, str) and (close := nearest(value, allowed)):
        fix = f'did you mean "{close}"?'
    return Problem(
        rules.NOT_ONE_OF,
        path,
        f"`{name}` cannot be {describe(value)}",
        because=f"it is one of {', '.join(allowed)}",
        fix=fix or f"write one of {', '.join(json.dumps(choice) for choice in allowed)}",
    )


def _malformed(path: Path, error: ErrorDetails, value: object) -> Problem:
    name, context = _leaf(path), error.get("ctx", {})
    because, fix = "", ""
    match error["type"]:
        case "value_error":
            fix = str(context["error"])
        case "string_pattern_mismatch":
            because = f"it must match {context['pattern']}"
            fix = _EXAMPLES.get(name, "")
        case "string_too_short" | "too_short":
            because, fix = "it must not be empty", "write at least one"
        case "string_too_long":
            because = f"it has at most {context['max_length']} characters"
            fix = "shorten it"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = next(iter(context.values()))
            because = (
                f"it must be {error['type'].replace('_', ' ').replace('than equal', 'than or equal to')} {bound:g}"
            )
        case _:
            because = error["msg"]
    return Problem(
        rules.MALFORMED,
        path,
        f"`{name}` cannot be {describe(value)}",
        because,
        fix or "write a value that fits",
    )


_EXAMPLES: Final[Mapping[str, str]] = {
    "id": 'write lower-case words, such as "payments/charge"',
    "version": 'write three numbers, such as "1.4.0"',
    "entry": 'write "module:function", such as "charge:handle"',
    "simulator": 'write "module:app", such as "upstream:app"',
    "type": 'write "module:Type", such as "models:Order"',
    "name": 'write a lower-case word, such as "payments"',
    "spec": 'write the name of a shipped spec, such as "retry"',
    "idempotency_header": 'write a header\'s name, such as "Idempotency-Key"',
}


def describe(value: object) -> str:
    """A value of a TOML document, in a few words."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value if len(value) <= 60 else f"{value[:60]}…", ensure_ascii=False)
        case int() | float():
            text = repr(value) if isinstance(value, float) or value.bit_length() < 200 else "a huge number"
            return f"the number {text}" if text[0] != "a" else text
        case Mapping():
            return "a table"
        case list() | tuple():
            return "an empty list" if not value else "a list"
        case datetime() | date() | time():
            return "a date or time"
        case _:
            return f"{value!r}"


def _value(document: object, path: Path) -> Any:
    here: Any = document
    for step in path:
        here = here[step]
    return here


def _leaf(path: Path) -> str:
    names = [step for step in path if isinstance(step, str)]
    return names[-1] if names else "manifest"


def _named(table: Path) -> str:
    names = [step for step in table if isinstance(step, str)]
    if not names:
        return "the manifest"
    brackets = "[[{}]]" if table and isinstance(table[-1], int) else "[{}]"
    return brackets.format(".".join(names))


def _is_table(path: Path) -> str:
    """Whether the field at `path` is a ``table``, an ``array`` of tables, or neither (empty)."""
    kind = type_at(path)
    if _fields(kind):
        return "table"
    return "array" if get_origin(kind) is tuple and _fields(get_args(kind)[0]) else ""


def _fields(kind: object) -> Mapping[str, Any]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def type_at(path: Path) -> object:
    """The declared type of what is at `path` of a manifest; None when nothing is declared there."""
    kind: object = Manifest
    for step in path:
        if isinstance(step, int):
            kind = get_args(kind)[0] if get_origin(kind) is tuple else None
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            field = _fields(kind).get(step)
            kind = field.annotation if field is not None else None
        kind = _plain(kind)
    return kind


def _plain(kind: object) -> object:
    """The type without `None`, `Annotated` and the like."""
    if get_origin(kind) in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        kind = members[0] if len(members) == 1 else kind
    return _plain(get_args(kind)[0]) if hasattr(kind, "__metadata__") else kind


def _choices(kind: object) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    return [member.value for member in kind] if isinstance(kind, type) and issubclass(kind, StrEnum) else []


_HOMES: Final[Mapping[str, tuple[str, ...]]] = {
    "the manifest's top": tuple(_fields(Manifest)),
    "[node]": tuple(_fields(type_at(("node",)))),
    "[[resource]]": tuple(_fields(type_at(("resource", 0)))),
    "[idempotency]": tuple(_fields(type_at(("idempotency",)))),
    "[budget]": tuple(_fields(type_at(("budget",)))),
}
