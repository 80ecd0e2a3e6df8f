"""What a node says of itself: the model behind `node.toml`, schema 1.

Rules this module keeps:

- a manifest is data: nothing here imports the node or touches the world;
- every unknown field is refused, and every value is frozen once read;
- durations and sizes are written with a unit and held as seconds and bytes;
- what fields mean together is judged in `consistency`, here and in the loader alike.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from certify.manifest import consistency

REQUIRED_ANSWERS = consistency.REQUIRED_ANSWERS
FURTHER_ANSWERS = consistency.FURTHER_ANSWERS
INCONSISTENT = "inconsistent"
"""The type of the validation error of a table whose fields do not go together."""

_DURATION = r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(us|ms|s|m|h|d)"
_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(B|KiB|MiB|GiB|kB|MB|GB)"
_PRERELEASE = r"(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = rf"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-{_PRERELEASE}(\.{_PRERELEASE})*)?$"
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def seconds(text: object) -> float:
    """Seconds in a duration such as ``250ms``, ``2s``, ``24h`` or ``30d``.

    Raises:
        ValueError: not a number with one of the units us, ms, s, m, h, d.
    """
    match = re.fullmatch(_DURATION, text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('write a duration as a number with a unit, such as "250ms", "2s" or "24h"')
    return float(match[1]) * _UNITS[match[2]]


def size(text: object) -> int:
    """Bytes in a size such as ``64KiB``, ``256MiB`` or ``1GiB``.

    Raises:
        ValueError: not a number with one of the units B, KiB, MiB, GiB, kB, MB, GB.
    """
    match = re.fullmatch(_SIZE, text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('write a size as a number with a unit, such as "256MiB" or "1GiB"')
    return int(float(match[1]) * _SIZES[match[2]])


_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION}$", "examples": ["250ms", "2s", "24h"]}
_SIZE_SCHEMA = {"type": "string", "pattern": f"^{_SIZE}$", "examples": ["64KiB", "256MiB"]}

Duration = Annotated[float, Field(gt=0), BeforeValidator(seconds), WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[int, Field(gt=0), BeforeValidator(size), WithJsonSchema(_SIZE_SCHEMA)]
Text = Annotated[str, Field(min_length=1)]
TypeName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
    ),
]
FunctionName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$")
]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]


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
    EARLIER_CALLS = "earlier_calls"
    UPSTREAM = "upstream"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def _demand(self, judge: consistency.Judge) -> Self:
        """This table, if `judge` finds nothing wrong with what its author wrote."""
        problems = list(judge(self.model_dump(mode="json", by_alias=True, exclude_unset=True)))
        if problems:
            reasons = "; ".join(problem.message for problem in problems)
            raise PydanticCustomError(INCONSISTENT, "{reasons}", {"reasons": reasons})
        return self


class Answer(_Model):
    """How the node must answer when an upstream gives one particular answer."""

    outcome: Literal["value", "error"]
    """`value`: the node returns; `error`: the node raises."""
    error: Text | None = None
    """With `error`: the class name of the exception, or of one of its bases."""
    output: dict[str, Any] | None = None
    """With `value`: fields of the output that must have these values."""
    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """The most requests the node may send; with a fault that goes on, it must send exactly so many."""
    within: Duration | None = None
    """The longest time that the node may take to answer."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self._demand(consistency.of_answer)


class Resource(_Model):
    """Something outside the node that it reads or writes."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    """The name the node uses, such as `payments`."""
    kind: ResourceKind
    """What it is: one of the context's capabilities, or a kind of direct use."""
    mode: Mode = Mode.READ
    """Whether the node only reads it."""
    url: str | None = None
    """`http`: scheme, host and port of the upstream; everything else is undeclared egress."""
    path: str | None = None
    """`fs`, `db`, `blob`: a path relative to the node's working folder."""
    variables: tuple[Text, ...] = ()
    """`env`, `secrets`: the names that the node may read."""
    scopes: tuple[Text, ...] = ()
    """Credential scopes the node needs there, such as `charges:write`."""
    region: Text | None = None
    """Where the data goes to rest, such as `eu-west-1`."""
    carries: tuple[DataClass, ...] = ()
    """Data classes that may be sent there."""
    idempotency_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")] | None = None
    """`http`: the request header by which the upstream recognises a repeated request."""
    simulator: FunctionName | None = None
    """`http`: `module:app` in the node's folder, an ASGI application that plays the upstream in the laboratory."""
    answers: dict[str, Answer] = {}
    """`http`: what the node must do on each answer of the upstream."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self._demand(consistency.of_resource)


class Payload(_Model):
    """The input or the output of a node."""

    type: TypeName | None = None
    """`module:Type` when the function's annotation does not say it."""
    classes: dict[str, DataClass] = {}
    """The data class of every field, by path (`customer.email`, `lines[].sku`, `tags{}`; `$` is the whole value)."""


class Idempotency(_Model):
    """What makes two inputs the same request (C-KEY)."""

    flow: Text
    """The flow that the node belongs to: `f` of the key."""
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    """Paths of the input fields that identify a request: `x` of the key."""
    partition: str | None = None
    """Path of the input field that is `p` of the key."""
    retention: Duration = Field(default=86400.0, json_schema_extra={"default": "24h"})
    """How long a key is remembered."""


class Residency(_Model):
    """Where the node's data may rest."""

    regions: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of regions, such as `eu-west-1`."""


class Budget(_Model):
    """The most that one call may use."""

    wall: Duration
    """Time from call to answer."""
    cpu: Duration
    """Processor time, system calls included."""
    memory: Size
    """Resident memory at its largest."""
    requests: Annotated[int, Field(ge=0)] = 0
    """Requests to upstreams in one call, retries included, when all goes well."""
    tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens of language models for one call."""
    money_micros: Annotated[int, Field(ge=0)] = 0
    """Millionths of the policy's currency for one call."""
    qps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Calls a second that the node is planned for."""
    burst: Annotated[int, Field(ge=1)] = 1
    """Calls that may arrive at once."""


class Pattern(_Model):
    """A resilience pattern, named by its spec, with the values of its parameters."""

    spec: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
    """Name of a shipped spec, such as `retry`."""
    params: dict[str, int | float | str | bool] = {}
    """Values of the spec's parameters, by name."""


class Proof(_Model):
    """A proof bundle in Lean's export format, checked without Lean."""

    file: Annotated[str, Field(pattern=r"\.ndjson$")]
    """Path of the bundle, relative to the manifest: NDJSON, format 3.x, as `lean4export` writes it."""
    theorems: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of theorems that the bundle must prove, on standard axioms at most."""


class Fixture(_Model):
    """An example input, and what must come of it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """What findings and reports call it."""
    input: str
    """Path of a JSON file with the input, relative to the manifest."""
    output: str | None = None
    """Path of a JSON file with the expected output."""


class Node(_Model):
    """Who the node is and what it claims."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$", max_length=128)]
    """The node's name in the registry: lower-case words, joined by `-`, `_` and `/`."""
    version: Annotated[str, Field(pattern=_VERSION, max_length=64)]
    """Semantic version without build metadata, such as `1.4.0` or `2.0.0-rc.1`."""
    entry: FunctionName
    """`module:function`, importable from the manifest's folder."""
    summary: str = ""
    """One sentence for people."""
    owner: str = ""
    """Who answers for it: a team or an address."""
    profile: Profile = Profile.DEV
    """The host it is written for."""
    effects: Effects
    """What it does to the world: `pure` nothing, `read_only` looks, `effectful` changes."""
    determinism: Determinism
    """When its output is equal: `strict` always, `stable` with `pins` pinned, `best_effort` perhaps."""
    pins: tuple[Factor, ...] = ()
    """`stable` only: the factors that must be pinned for the output to be equal."""
    tolerance: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    """`stable` only: the largest absolute difference between two floats that counts as equal."""
    trusts: tuple[ModuleName, ...] = ()
    """Third-party modules whose effects are taken on trust: the evidence says so, and policy may refuse."""
    files: tuple[str, ...] = ()
    """Further files that the node reads at run time, relative to the manifest: nothing else of its folder is there."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self._demand(consistency.of_node)


class Manifest(_Model):
    """A whole `node.toml`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    """The version of this schema."""
    node: Node
    input: Payload = Payload()
    output: Payload = Payload()
    resource: tuple[Resource, ...] = ()
    """Everything outside the node that it reads or writes."""
    idempotency: Idempotency | None = None
    """Required of an effectful node."""
    residency: Residency | None = None
    budget: Budget
    pattern: tuple[Pattern, ...] = ()
    """The resilience patterns that the node relies on."""
    proof: tuple[Proof, ...] = ()
    """Proofs made with the official Lean tools that belong to the node."""
    fixture: Annotated[tuple[Fixture, ...], Field(min_length=1)]
    """Example inputs: the laboratory begins with them."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self._demand(consistency.of_names)
