"""The node's entry point and its types: finding it, describing it, reading its input and writing its output."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal

import typing_extensions
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic._internal import _generate_schema
from pydantic.plugin import _loader

_CONTEXT_NAMES: Final = {"Context"}
_NODE: Final = "/node/"


class EntryError(Exception):
    """The entry point cannot be used; `where` is its file and line when it was found."""

    def __init__(self, message: str, where: tuple[str, int] | None = None) -> None:
        super().__init__(message)
        self.where = where


class Rejected(Exception):
    """The input does not have the input's type."""


class Misfit(Exception):
    """The output does not have the output's type, or has no JSON form."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry point with its types; `name` as the manifest has it."""

    name: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    context: str | None
    keyword_only: frozenset[str]
    input: TypeAdapter[Any]
    output: TypeAdapter[Any]
    is_async: bool
    file: str
    line: int

    def describe(self) -> dict[str, Any]:
        """The signature as a map.

        Raises:
            EntryError: the input's or the output's type has no JSON form.
        """
        return {
            "input_schema": _schema(self.input, "validation", self),
            "output_schema": _schema(self.output, "serialization", self),
            "parameters": list(self.parameters),
            "context": self.context,
            "is_async": self.is_async,
            "file": self.file,
            "line": self.line,
        }

    def read(self, text: bytes) -> Any:
        """The input from JSON text.

        Raises:
            Rejected: it does not have the input's type.
        """
        try:
            return self.input.validate_json(text)
        except ValidationError as error:
            raise Rejected(_first_errors(error)) from None
        except RecursionError:
            raise Rejected("the input nests too deeply") from None

    def arguments(self, value: Any, context: Any) -> dict[str, Any]:
        """The call's arguments by name."""
        arguments = dict(value) if len(self.parameters) != 1 else {self.parameters[0]: value}
        if self.context is not None:
            arguments[self.context] = context
        return arguments

    def write(self, value: Any) -> Any:
        """The output as JSON-like data.

        Raises:
            Misfit: it does not have the output's type, or has no JSON form.
        """
        try:
            checked = self.output.validate_python(value)
        except ValidationError as error:
            raise Misfit(f"the output does not have its declared type: {_first_errors(error)}") from None
        try:
            return self.output.dump_python(checked, mode="json", warnings="error")
        except (ValueError, TypeError, RecursionError) as error:
            raise Misfit(f"the output has no JSON form: {str(error)[:300]}") from None


def _first_errors(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:3]:
        where = ".".join(str(step) for step in item["loc"]) or "the whole value"
        parts.append(f"{where}: {item['msg']}")
    return "; ".join(parts)


def find(
    entry: str, input_type: str | None, output_type: str | None, aside: Callable[[], AbstractContextManager[None]]
) -> Entry:
    """Import the node and look its entry point over, which happens `aside`: it is no work of the node's.

    Raises:
        EntryError: it is not there, is not a function, or its types cannot be used.
        BaseException: whatever importing the node raises.
    """
    module_name, _colon, _name = entry.partition(":")
    module = importlib.import_module(module_name)
    for reference in filter(None, (input_type, output_type)):
        importlib.import_module(reference.partition(":")[0])
    with aside():
        return _look_over(entry, module, input_type, output_type)


def _look_over(entry: str, module: ModuleType, input_type: str | None, output_type: str | None) -> Entry:
    module_name, _, name = entry.partition(":")
    function = getattr(module, name, None)
    if function is None:
        import difflib

        near = difflib.get_close_matches(name, [n for n in vars(module) if not n.startswith("_")], 1)
        raise EntryError(f"module `{module_name}` has no `{name}`" + (f"; did you mean `{near[0]}`?" if near else ""))
    if not callable(function):
        raise EntryError(f"`{entry}` is not a function but {type(function).__name__}")
    plain, settled = _plain(function)
    file, line = _where(plain)
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise EntryError(f"`{entry}` is a generator; a node answers once", (file, line))
    try:
        hints = typing.get_type_hints(plain, include_extras=True)
        signature = _open(inspect.signature(function), settled)
    except (NameError, TypeError, ValueError, AttributeError) as error:
        raise EntryError(f"the annotations of `{entry}` cannot be read: {error}", (file, line)) from None
    names, context, keyword_only = _split(entry, signature, hints, (file, line))
    given = _adapter(
        _named_type(input_type) if input_type else _input_type(entry, names, signature, hints, (file, line)),
        entry,
        "input",
        (file, line),
    )
    if not output_type and "return" not in hints:
        raise EntryError(
            f"`{entry}` does not say what it returns: add `-> SomeType`, or `type` under [output]", (file, line)
        )
    returned = _adapter(_named_type(output_type) if output_type else hints["return"], entry, "output", (file, line))
    is_async = inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(function)
    return Entry(entry, function, names, context, keyword_only, given, returned, is_async, file, line)


def _plain(function: Any) -> tuple[Any, frozenset[str]]:
    """The function whose text says what is taken and given, and the parameters that are given already, by name.

    A partial is looked through, and an object that can be called is what its class's `__call__` is.
    """
    settled: set[str] = set()
    plain = inspect.unwrap(function)
    while isinstance(plain, functools.partial):
        settled.update(plain.keywords)
        plain = inspect.unwrap(plain.func)
    if not inspect.isroutine(plain) and not inspect.isclass(plain):
        plain = inspect.unwrap(type(plain).__call__)
    return plain, frozenset(settled)


def _open(signature: inspect.Signature, settled: frozenset[str]) -> inspect.Signature:
    """The signature without parameters that are given already."""
    return signature.replace(parameters=[p for p in signature.parameters.values() if p.name not in settled])


def _where(function: Any) -> tuple[str, int]:
    code = getattr(function, "__code__", None) or getattr(getattr(function, "__init__", None), "__code__", None)
    if code is None or not code.co_filename.startswith(_NODE):
        return "", 0
    return code.co_filename.removeprefix(_NODE), code.co_firstlineno


def _split(
    entry: str, signature: inspect.Signature, hints: dict[str, Any], where: tuple[str, int]
) -> tuple[tuple[str, ...], str | None, frozenset[str]]:
    names: list[str] = []
    context: str | None = None
    keyword_only: set[str] = set()
    for name, parameter in signature.parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
            raise EntryError(f"`{entry}` takes `{parameter}`: give every parameter a name of its own", where)
        if getattr(hints.get(name), "__name__", None) in _CONTEXT_NAMES or (name == "ctx" and name not in hints):
            context = name
            continue
        names.append(name)
        if parameter.kind is parameter.KEYWORD_ONLY:
            keyword_only.add(name)
    if not names:
        raise EntryError(f"`{entry}` takes no input: give it a parameter", where)
    return tuple(names), context, frozenset(keyword_only)


def _named_type(reference: str) -> Any:
    module_name, _, path = reference.partition(":")
    found: Any = importlib.import_module(module_name)
    for part in path.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise EntryError(f"there is no type `{reference}`")
    return found


def _input_type(
    entry: str, names: tuple[str, ...], signature: inspect.Signature, hints: dict[str, Any], where: tuple[str, int]
) -> Any:
    missing = [name for name in names if name not in hints]
    if missing:
        raise EntryError(
            f"`{entry}` does not say the type of {', '.join(missing)}: annotate it, or write `type` under [input]",
            where,
        )
    if len(names) == 1:
        return hints[names[0]]
    optional = {name for name in names if signature.parameters[name].default is not inspect.Parameter.empty}
    fields = {name: typing_extensions.NotRequired[hints[name]] if name in optional else hints[name] for name in names}
    return typing_extensions.TypedDict(f"{entry.partition(':')[2]}_input", fields)  # type: ignore[operator]  # made at run time


def _adapter(kind: Any, entry: str, role: str, where: tuple[str, int]) -> TypeAdapter[Any]:
    try:
        with _own_typed_dicts():
            adapter: TypeAdapter[Any] = TypeAdapter(kind)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        first = str(error).splitlines()[0]
        raise EntryError(f"the {role} type of `{entry}` has no JSON form: {first}", where) from None
    return adapter


@contextlib.contextmanager
def _own_typed_dicts() -> Iterator[None]:
    """Have pydantic read `typing.TypedDict` before Python 3.12 too: a node need not be written for the laboratory.

    What it would miss there is the parents of generic ones. In the node's own models the refusal stays as it is.
    """
    before = getattr(_generate_schema, "_SUPPORTS_TYPEDDICT", True)
    vars(_generate_schema)["_SUPPORTS_TYPEDDICT"] = True
    try:
        yield
    finally:
        vars(_generate_schema)["_SUPPORTS_TYPEDDICT"] = before


def _schema(adapter: TypeAdapter[Any], mode: Literal["validation", "serialization"], entry: Entry) -> dict[str, Any]:
    try:
        return adapter.json_schema(mode=mode)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        role = "input" if mode == "validation" else "output"
        first = str(error).splitlines()[0]
        raise EntryError(
            f"the {role} type of `{entry.name}` has no JSON form: {first}", (entry.file, entry.line)
        ) from None


@dataclass
class _Warm:
    text: str


def warm_up(*, plugins: bool) -> None:
    """Have everything imported that reading and writing needs, so that every delivery starts with it.

    Pydantic also looks for its plugins now, among all installed packages: otherwise every delivery would. Unless it is
    known that there are no `plugins`: the search takes a fifth of a sandbox's start.
    """
    searched = vars(_loader)
    if not plugins and "_plugins" in searched:
        searched["_plugins"] = {}
    adapter = TypeAdapter(_Warm)
    adapter.json_schema()
    adapter.dump_python(adapter.validate_json(b'{"text": ""}'), mode="json")
