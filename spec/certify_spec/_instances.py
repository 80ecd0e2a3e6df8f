"""Finite instances: sizes of sorts, values of parameters, ranges of number types."""

from __future__ import annotations

from certify_spec import model as m
from certify_spec import rules
from certify_spec import syntax as s
from certify_spec._scope import Globals, Report, unknown
from certify_spec.datatypes import BOOL, EnumType, Scalar, SortType

MAX_SORT = 12
"""Elements of a sort in a finite instance; more cannot be searched."""

MAX_RANGE = 1000
"""Values of a range in a finite instance."""

_RANGED = ("Int", "Duration", "Instant")


def instance(declaration: s.InstanceDeclaration, names: Globals, report: Report) -> m.Instance:
    """The meaning of an instance's declaration."""
    sizes: dict[str, int] = {}
    values: dict[str, tuple[bool | int | str, ...]] = {}
    ranges: dict[str, tuple[int, int]] = {}
    for setting in declaration.settings:
        name = setting.name.text
        if name in sizes or name in values or name in ranges:
            report.error(rules.TWICE, f"`{name}` is set twice", setting.name.place)
        elif name in names.sorts:
            sizes[name] = _size(setting, report)
        elif name in _RANGED:
            ranges[name] = _range(setting, report)
        elif name in names.functions and not names.functions[name].parameters:
            values[name] = _values(setting, names, report)
        else:
            known = [*names.sorts, *_RANGED, *(n for n, f in names.functions.items() if not f.parameters)]
            if name in names.places:
                report.error(
                    rules.BAD_SETTING,
                    f"`{name}` is a {names.kinds[name]}: an instance sets sorts, parameters and number types",
                    setting.name.place,
                )
            elif name not in names.broken:
                unknown(report, rules.UNKNOWN_NAME, "sort or parameter", name, setting.name.place, known)
    return m.Instance(declaration.name.text, sizes, values, ranges, declaration.name.place)


def _number(syntax: s.Syntax, report: Report) -> int:
    match syntax:
        case s.Number(value):
            return value
        case s.Unary("-", s.Number(value)):
            return -value
        case _:
            report.error(rules.BAD_SETTING, "an instance is given in numbers", syntax.place)
            return 1


def _size(setting: s.Setting, report: Report) -> int:
    size = _number(setting.value, report)
    if setting.to is not None or not 1 <= size <= MAX_SORT:
        report.error(
            rules.BAD_SETTING,
            f"the size of `{setting.name.text}` is not a number from 1 to {MAX_SORT}",
            setting.value.place,
        )
        return 1
    return size


def _range(setting: s.Setting, report: Report) -> tuple[int, int]:
    first = _number(setting.value, report)
    last = first if setting.to is None else _number(setting.to, report)
    if not first <= last < first + MAX_RANGE:
        report.error(
            rules.BAD_SETTING,
            f"the range of `{setting.name.text}` is empty or has more than {MAX_RANGE} values",
            setting.value.place,
        )
        return 0, 0
    return first, last


def _values(setting: s.Setting, names: Globals, report: Report) -> tuple[bool | int | str, ...]:
    kind = names.functions[setting.name.text].result
    match kind, setting.value:
        case Scalar(), s.Truth(value) if kind == BOOL and setting.to is None:
            return (value,)
        case EnumType(name=enum), s.Name(case) if names.cases.get(case) == enum and setting.to is None:
            return (case,)
        case ((Scalar() | SortType()), (s.Number() | s.Unary())) if kind != BOOL:
            first, last = _range(setting, report)
            return tuple(range(first, last + 1))
        case _:
            report.error(
                rules.BAD_SETTING,
                f"`{setting.name.text}` has type `{kind}`, and this is no value of it",
                setting.value.place,
            )
            return ()
