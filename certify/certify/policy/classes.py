"""The data class of every field: whether each has one, and whether it fits what the field seems to hold.

Rules this module keeps:

- every field of the types has a class of its own, and every class belongs to a field that exists;
- a field that looks more sensitive than its class is a finding that says why and never repeats the value;
- a sure sign refuses, a hint warns.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certify.manifest.model import DataClass
from certify.manifest.paths import fields, lookup, parse
from certify.policy.disclosure import scalars
from certify.policy.evaluation import plain
from certify.policy.facts import Origin
from certify.policy.personal import Sign, signs_of_credential, signs_of_name, signs_of_value
from certify_spec.diagnostics import Diagnostic, Rule, Severity

UNTAGGED: Final = Rule(
    "POL110", "A field has no data class.", "Write its class under [input.classes] or [output.classes]."
)
NO_FIELD: Final = Rule("POL111", "A data class is given to a field that does not exist.", "Correct or remove the path.")
PERSONAL: Final = Rule(
    "POL112",
    "A field looks like personal data, money or a credential, and has a lesser class.",
    "Raise the class; if the field holds no such thing, rename it or have the finding waived.",
)

_ORDER: Final = list(DataClass)
_Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """The input or the output of a node: its type, its classes, and values that it took in fixtures.

    Attributes:
        name: ``input`` or ``output``.
    """

    name: str
    schema: _Schema
    classes: Mapping[str, DataClass]
    samples: tuple[tuple[str, object], ...]


def class_findings(origin: Origin, side: Side) -> Iterator[Diagnostic]:
    """What is wrong with the classes of one side.

    Raises:
        ValueError: the schema cannot be read.
    """
    leaves = {path: leaf for path, leaf in fields(side.schema).items() if leaf.get("type") != "null"}
    yield from _untagged(origin, side, leaves)
    yield from _without_field(origin, side, leaves)
    for path, leaf in leaves.items():
        yield from _too_low(origin, side, path, leaf)


def field_count(side: Side) -> int:
    """How many fields the side has."""
    return sum(leaf.get("type") != "null" for leaf in fields(side.schema).values())


def _untagged(origin: Origin, side: Side, leaves: Mapping[str, _Schema]) -> Iterator[Diagnostic]:
    place = origin.key((side.name, "classes"))
    for path, leaf in leaves.items():
        if path in side.classes:
            continue
        signs = list(_signs(side, path, leaf))
        proposed = max((sign.least for sign in signs), key=_ORDER.index, default=None)
        hint = f'"{proposed.value}"' if proposed else "one of " + ", ".join(each.value for each in DataClass)
        yield Diagnostic(
            UNTAGGED,
            f"the {side.name} field `{plain(path)}` has no data class",
            place,
            because="; ".join(f"it looks like {sign.what}: {sign.why}" for sign in signs),
            fix=f"under [{side.name}.classes] write {json.dumps(plain(path), ensure_ascii=False)} = {hint}",
            data={"about": f"{side.name} field {plain(path)}", "field": plain(path), "side": side.name},
        )


def _without_field(origin: Origin, side: Side, leaves: Mapping[str, _Schema]) -> Iterator[Diagnostic]:
    for path in side.classes:
        if path in leaves:
            continue
        near = difflib.get_close_matches(path, leaves, 1)
        yield Diagnostic(
            NO_FIELD,
            f"the {side.name} has no field `{plain(path)}`",
            origin.key((side.name, "classes", path)),
            because=f"its fields are {', '.join(plain(each) for each in list(leaves)[:20]) or 'none'}",
            fix=f"write `{plain(near[0])}`, or remove the line" if near else "remove the line",
            data={"about": f"{side.name} field {plain(path)}", "field": plain(path), "side": side.name},
        )


def _too_low(origin: Origin, side: Side, path: str, leaf: _Schema) -> Iterator[Diagnostic]:
    data_class = side.classes.get(path)
    if data_class is None:
        return
    signs = [sign for sign in _signs(side, path, leaf) if _ORDER.index(data_class) < _ORDER.index(sign.least)]
    if not signs:
        return
    sure = [sign for sign in signs if sign.sure]
    least = max((sign.least for sign in sure or signs), key=_ORDER.index)
    first = (sure or signs)[0]
    yield Diagnostic(
        PERSONAL,
        f"the {side.name} field `{plain(path)}` looks like {first.what} and is tagged {data_class.value}",
        origin.at(side.name, "classes", path),
        because="\n".join(dict.fromkeys(f"{sign.what}: {sign.why}" for sign in signs)),
        fix=f'tag it "{least.value}"',
        severity=Severity.ERROR if sure else Severity.WARNING,
        data={
            "about": f"{side.name} field {plain(path)}",
            "field": plain(path),
            "side": side.name,
            "class": data_class.value,
            "least": least.value,
        },
    )


def _signs(side: Side, path: str, leaf: _Schema) -> Iterator[Sign]:
    """Every sign, by name and by value, one of each kind."""
    names = [step for step in parse(path) if isinstance(step, str)]
    found: dict[str, Sign] = {}
    if not _is_switch(leaf):
        for sign in signs_of_name(*names):
            found.setdefault(sign.what, sign)
    about_version = bool(names) and any(word in names[-1].casefold() for word in ("version", "release", "build"))
    for _fixture, sample in side.samples:
        for sign in _signs_in(lookup(sample, path)):
            if not (about_version and sign.what == "an ip address"):
                found.setdefault(sign.what, sign)
    yield from found.values()


def _signs_in(values: Iterable[object]) -> Iterator[Sign]:
    for value in values:
        for scalar in scalars(value):
            yield from signs_of_value(scalar)
            if isinstance(scalar, str):
                yield from signs_of_credential(scalar)


def _is_switch(leaf: _Schema) -> bool:
    """Whether the field holds true or false only: then its name speaks about data that it does not hold."""
    kinds = leaf.get("type")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return set(listed) <= {"boolean", "null"} and "boolean" in listed
