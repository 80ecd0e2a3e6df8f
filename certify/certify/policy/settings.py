"""What an organisation tells the policies about itself: ``policy.toml``, schema 1.

Rules this module keeps:

- settings are data; what follows from them is for the policies to say;
- a file of an organisation changes the keys that it names and keeps the shipped value of the rest;
- every mistake in a file is reported at once, each with line and column (POL007).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeGuard

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from certify.manifest.model import seconds, size
from certify.manifest.positions import Path, Positions, TooDeep, index
from certify.policy import rules
from certify_spec.diagnostics import Diagnostic, Place, RequestError

SETTINGS_FILE: Final = "policy.toml"
LONGEST: Final = 2**63 - 1
"""The largest number that policies can compare."""


_EVIDENCE: Final = "evidence"
"""The validation context in which times and sizes are whole microseconds and bytes."""


def _microseconds(value: object, info: ValidationInfo) -> int:
    return value if _is_whole(value, info) else min(round(seconds(value) * 1e6), LONGEST)


def _bytes(value: object, info: ValidationInfo) -> int:
    return value if _is_whole(value, info) else min(size(value), LONGEST)


def _is_whole(value: object, info: ValidationInfo) -> TypeGuard[int]:
    return info.context == _EVIDENCE and type(value) is int and 0 <= value <= LONGEST


def _host_pattern(text: str) -> str:
    if not re.fullmatch(r"[^\s/:@?#\\]+|\[[0-9A-Fa-f:.]+\]", text):
        raise ValueError('write a host name in which `*` stands for any text, such as "*.example.com"')
    return text.lower()


def _egress_pattern(text: str) -> str:
    if not re.fullmatch(r"(?:https?|\*)://(?:[^\s/:@?#\\]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", text):
        raise ValueError('write scheme://host or scheme://host:port, such as "https://*.example.com"')
    return text.lower()


def _text_pattern(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty pattern matches nothing; remove it")
    return text


Microseconds = Annotated[int, BeforeValidator(_microseconds)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Count = Annotated[int, Field(ge=0, le=LONGEST, strict=True)]
HostPattern = Annotated[str, AfterValidator(_host_pattern)]
EgressPattern = Annotated[str, AfterValidator(_egress_pattern)]
TextPattern = Annotated[str, AfterValidator(_text_pattern)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Defaults(_Model):
    """What is done with the shipped policies."""

    leave_out: tuple[str, ...] = ()
    """Ids of shipped policies that do not count for this organisation."""


class Egress(_Model):
    """Which hosts nodes may talk to."""

    allow: tuple[EgressPattern, ...]
    plain_http: tuple[HostPattern, ...]


class Scopes(_Model):
    """Which credential scopes nodes may hold."""

    allow: tuple[TextPattern, ...]
    refuse: tuple[TextPattern, ...]


class Regions(_Model):
    """Where data may rest."""

    regions: tuple[TextPattern, ...]


class Trusts(_Model):
    """Which modules may be taken on trust."""

    modules: tuple[TextPattern, ...]


class Ceiling(_Model):
    """The most that one call, and all calls at the planned rate, may use."""

    wall: Microseconds
    cpu: Microseconds
    memory: Bytes
    requests: Count
    tokens: Count
    money_micros: Count
    processors: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    burst_memory: Bytes
    requests_per_second: Count
    tokens_per_day: Count
    money_micros_per_day: Count


class Settings(_Model):
    """A whole policy.toml."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    defaults: Defaults = Defaults()
    egress: Egress
    scopes: Scopes
    residency: Regions
    trusts: Trusts
    ceiling: Ceiling

    def to_data(self) -> dict[str, Any]:
        """The settings as a map; `from_data` is its inverse."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Settings:
        """Read settings back from evidence.

        Raises:
            RequestError: they are no settings of this schema.
        """
        return _validated(data, "evidence", Positions(), _EVIDENCE)


def read_settings(content: str, file: str) -> Settings:
    """The settings of a complete policy.toml.

    Raises:
        RequestError: every mistake in it (POL007).
    """
    return _validated(*_parsed(content, file))


def merge_settings(shipped: str, content: str, file: str) -> Settings:
    """The settings of the text `shipped`, with every key that an organisation's policy.toml names changed to its value.

    Raises:
        RequestError: every mistake in it (POL007).
    """
    own, _, positions = _parsed(content, file)
    merged = tomllib.loads(shipped)
    if "schema" not in own:
        raise RequestError(_problem(file, positions, (), "the file does not say its schema", "add `schema = 1`"))
    for name, value in own.items():
        known = merged.get(name)
        merged[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return _validated(merged, file, positions)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\\\*|\*+)", pattern)
    return re.compile(
        "".join(".*" if part and not part.strip("*") else re.escape("*" if part == r"\*" else part) for part in parts),
        re.DOTALL,
    )


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    r"""Whether one of the patterns is `text`; in a pattern `*` stands for any text and ``\*`` for a star."""
    return any(_pattern(pattern).fullmatch(text) for pattern in patterns)


def _parsed(content: str, file: str) -> tuple[dict[str, Any], str, Positions]:
    try:
        positions = index(content)  # first: it bounds the nesting that the parser would follow without end
        return tomllib.loads(content), file, positions
    except TooDeep as error:
        raise RequestError(_at(file, error.line, error.column, "the file nests too deep", "flatten it")) from None
    except ValueError as error:  # also an integer of more digits than Python converts
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        reason = str(error).partition(" (at ")[0]
        raise RequestError(_at(file, line, column, f"the file is not TOML: {reason}", "")) from None


def _validated(data: Mapping[str, Any], file: str, positions: Positions, context: str | None = None) -> Settings:
    try:
        return Settings.model_validate(data, context=context)
    except ValidationError as error:
        raise RequestError(*(_explained(file, positions, each) for each in error.errors())) from None


def _explained(file: str, positions: Positions, error: Any) -> Diagnostic:
    path: Path = error["loc"]
    name = ".".join(str(step) for step in path)
    if error["type"] == "extra_forbidden":
        return _problem(file, positions, path, f"`{name}` is not a setting", "remove it, or correct its name")
    if error["type"] == "missing":
        return _problem(file, positions, path, f"`{name}` is missing", "add it")
    reason = error["msg"].removeprefix("Value error, ")
    return _problem(file, positions, path, f"`{name}` is wrong: {reason}", "", of_value=True)


def _problem(
    file: str, positions: Positions, path: Path, message: str, fix: str, *, of_value: bool = False
) -> Diagnostic:
    span = positions.value(path) if of_value else positions.key(path)
    return Diagnostic(rules.SETTINGS, message, span.within(file), fix=fix)


def _at(file: str, line: int, column: int, message: str, fix: str) -> Diagnostic:
    return Diagnostic(rules.SETTINGS, message, Place(file, line, column), fix=fix)
