"""What a node says of itself: the model behind `node.toml`, schema 1.

Rules this module keeps:

- a manifest is data: nothing here imports the node or touches the world;
- every unknown field is refused, and every value is frozen once read;
- durations and sizes are written with a unit and held as seconds and bytes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def seconds(text: object) -> float:
    """Seconds in a duration such as ``250ms``, ``2s``, ``24h`` or ``30d``.

    Raises:
        ValueError: not a number with one of the units us, ms, s, m, h, d.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('write a duration as a number with a unit, such as "250ms", "2s" or "24h"')
    return float(match[1]) * _UNITS[match[2]]


def size(text: object) -> int:
    """Bytes in a size such as ``64KiB``, ``256MiB`` or ``1GiB``.

    Raises:
        ValueError: not a number with one of the units B, KiB, MiB, GiB, kB, MB, GB.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|kB|MB|GB)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('write a size as a number with a unit, such as "256MiB" or "1GiB"')
    return int(float(match[1]) * _SIZES[match[2]])


Duration = Annotated[float, BeforeValidator(seconds, json_schema_input_type=str)]
Size = Annotated[int, BeforeValidator(size, json_schema_input_type=str)]


class Effects(StrEnum):
    """The effects lattice: pure < read_only < effectful."""

    PURE = "pure"
    READ_ONLY = "read_only"
    EFFECTFUL = "effectful"

    @property
    def rank(self) -> int:
        """Position in the lattice, 0 for pure."""
        return list(Effects).index(self)


class Determinism(StrEnum):
    """The determinism lattice: strict < stable < best_effort."""

    STRICT = "strict"
    STABLE = "stable"
    BEST_EFFORT = "best_effort"


class Profile(StrEnum):
    """The host a node is written for."""

    WEB = "web"
    QUEUE = "queue"
    TEMPORAL = "temporal"
    DEV = "dev"
    WASM = "wasm"


class ResourceKind(StrEnum):
    """What a resource is. `fs`, `env`, `process` and `network` name direct use without a capability."""

    HTTP = "http"
    KV = "kv"
    BLOB = "blob"
    DB = "db"
    CLOCK = "clock"
    RANDOM = "random"
    SECRETS = "secrets"
    DEDUPE = "dedupe"
    BUDGET = "budget"
    LOG = "log"
    FS = "fs"
    ENV = "env"
    PROCESS = "process"
    NETWORK = "network"


class Mode(StrEnum):
    """How a resource is used. Writing includes reading."""

    READ = "read"
    WRITE = "write"


class DataClass(StrEnum):
    """What kind of data a field holds, least sensitive first."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    FINANCIAL = "financial"
    PII = "pii"
    CREDENTIAL = "credential"


class Factor(StrEnum):
    """An outside input that the laboratory can pin or perturb."""

    HASH_SEED = "hash_seed"
    CLOCK = "clock"
    RANDOM = "random"
    TIMEZONE = "timezone"
    LOCALE = "locale"
    HOSTNAME = "hostname"
    PID = "pid"
    CWD = "cwd"
    ENV = "env"
    ASLR = "aslr"
    CPU_COUNT = "cpu_count"
    THREADS = "threads"
    DIRECTORY_ORDER = "directory_order"
    UPSTREAM = "upstream"


#: The upstream answers that every `http` resource must declare an expectation for.
REQUIRED_ANSWERS = ("401", "429", "5xx", "timeout", "malformed", "slow")
#: Answers that may be declared besides; each HTTP status as three digits too.
FURTHER_ANSWERS = ("200", "4xx", "reset", "redirect", "tls")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(_Model):
    """How the node must answer when an upstream gives one particular answer."""

    outcome: Literal["value", "error"]
    """`value`: the node returns; `error`: the node raises."""
    error: str | None = None
    """With `error`: the class name of the exception, or of one of its bases."""
    output: dict[str, Any] | None = None
    """With `value`: fields of the output that must have these values."""
    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """The most requests the node may send; with a fault that goes on, it must send exactly so many."""
    within: Duration | None = None
    """The longest time that the node may take to answer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.outcome == "value" and self.error is not None:
            raise ValueError('`error` names an exception: it goes with outcome = "error"')
        if self.outcome == "error" and self.output is not None:
            raise ValueError('`output` describes a returned value: it goes with outcome = "value"')
        return self


class Resource(_Model):
    """Something outside the node that it reads or writes."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """The name the node uses, such as `payments`."""
    kind: ResourceKind
    mode: Mode = Mode.READ
    url: str | None = None
    """`http`: scheme, host and port of the upstream; everything else is undeclared egress."""
    path: str | None = None
    """`fs`, `db`, `blob`: a path relative to the node's working folder."""
    variables: tuple[str, ...] = ()
    """`env`, `secrets`: the names that the node may read."""
    scopes: tuple[str, ...] = ()
    """Credential scopes the node needs there, such as `charges:write`."""
    region: str | None = None
    """Where the data goes to rest, such as `eu-west-1`."""
    carries: tuple[DataClass, ...] = ()
    """Data classes that may be sent there."""
    idempotency_header: str | None = None
    """`http`: the request header by which the upstream recognises a repeated request."""
    simulator: str | None = None
    """`http`: `module:app` in the node's folder, an ASGI application that plays the upstream in the laboratory."""
    answers: dict[str, Answer] = Field(default_factory=dict)
    """`http`: what the node must do on each answer of the upstream."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        http = self.kind is ResourceKind.HTTP
        if http and self.url is None:
            raise ValueError("an http resource needs a `url`")
        if http and not re.fullmatch(r"https?://[^/\s]+/?", self.url or ""):
            raise ValueError("`url` is a scheme, a host and perhaps a port, such as https://api.example.com:8443")
        if not http and (self.url or self.answers or self.idempotency_header or self.simulator):
            raise ValueError("`url`, `answers`, `idempotency_header` and `simulator` belong to http resources")
        if http:
            missing = [answer for answer in REQUIRED_ANSWERS if answer not in self.answers]
            if missing:
                raise ValueError(f"`answers` must say what the node does on {', '.join(missing)}")
            for answer in self.answers:
                if answer not in REQUIRED_ANSWERS + FURTHER_ANSWERS and not re.fullmatch(r"[2-5]\d\d", answer):
                    raise ValueError(
                        f"no upstream answer is called {answer!r}: use a status such as 404, or one of "
                        f"{', '.join(REQUIRED_ANSWERS + FURTHER_ANSWERS)}"
                    )
        return self


class Payload(_Model):
    """The input or the output of a node."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")] | None = None
    """`module:Type` when the function's annotation does not say it."""
    classes: dict[str, DataClass] = Field(default_factory=dict)
    """The data class of every field, by dotted path (`customer.email`, `lines[].sku`)."""


class Idempotency(_Model):
    """What makes two inputs the same request (C-KEY)."""

    flow: str
    """The flow that the node belongs to: `f` of the key."""
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    """Dotted paths of the input fields that identify a request: `x` of the key."""
    partition: str | None = None
    """Dotted path of the field that is `p` of the key."""
    retention: Duration = 86400.0
    """How long a key is remembered."""


class Residency(_Model):
    """Where the node's data may rest."""

    regions: tuple[str, ...]


class Budget(_Model):
    """The most that one call may use."""

    wall: Duration
    cpu: Duration
    memory: Size
    requests: Annotated[int, Field(ge=0)] = 0
    """Requests to upstreams in one call, retries included, when all goes well."""
    tokens: Annotated[int, Field(ge=0)] = 0
    money_micros: Annotated[int, Field(ge=0)] = 0
    """Millionths of the policy's currency for one call."""
    qps: Annotated[float, Field(gt=0)] = 1.0
    """Calls a second that the node is planned for."""
    burst: Annotated[int, Field(ge=1)] = 1


class Pattern(_Model):
    """A resilience pattern, named by its spec, with the values of its parameters."""

    spec: str
    params: dict[str, int | float | str | bool] = Field(default_factory=dict)


class Fixture(_Model):
    """An example input, and what must come of it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    input: str
    """Path of a JSON file with the input, relative to the manifest."""
    output: str | None = None
    """Path of a JSON file with the expected output."""


class Node(_Model):
    """Who the node is and what it claims."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$", max_length=128)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")]
    entry: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """`module:function`, importable from the manifest's folder."""
    summary: str = ""
    owner: str = ""
    profile: Profile = Profile.DEV
    effects: Effects
    determinism: Determinism
    pins: tuple[Factor, ...] = ()
    """`stable` only: the factors that must be pinned for the output to be equal."""
    tolerance: Annotated[float, Field(ge=0.0)] = 0.0
    """`stable` only: the largest absolute difference between two floats that counts as equal."""
    trusts: tuple[str, ...] = ()
    """Third-party modules whose effects are taken on trust: the evidence says so, and policy may refuse."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.determinism is not Determinism.STABLE and (self.pins or self.tolerance):
            raise ValueError('`pins` and `tolerance` go with determinism = "stable"')
        return self


class Manifest(_Model):
    """A whole `node.toml`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    """The version of this schema."""
    node: Node
    input: Payload = Payload()
    output: Payload = Payload()
    resource: tuple[Resource, ...] = ()
    idempotency: Idempotency | None = None
    residency: Residency | None = None
    budget: Budget
    pattern: tuple[Pattern, ...] = ()
    fixture: Annotated[tuple[Fixture, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, names in (("resource", [r.name for r in self.resource]), ("fixture", [f.name for f in self.fixture])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what}s are called {', '.join(twice)}")
        return self
