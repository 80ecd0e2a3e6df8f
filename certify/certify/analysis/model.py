"""What the walk of a node's text says: effects, blind spots and assumptions, as values.

Rules this module keeps:

- an effect says what is touched, how, where in the text, and by which path the entry point gets there;
- what the walk cannot follow is a `Blind` spot, never silence;
- everything here is immutable and has a data form of text, integers, lists and maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from certify.manifest.model import Mode, ResourceKind
from certify_spec.diagnostics import Diagnostic, Place


class Kind(StrEnum):
    """What an effect touches: the manifest's resource kinds, and threads, which no manifest declares."""

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
    THREAD = "thread"

    @property
    def resource(self) -> ResourceKind | None:
        """The manifest's kind that declares it; None for threads, which need no declaration."""
        return None if self is Kind.THREAD else ResourceKind(self.value)


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One link of a witness path: `label` says in words what stands at `place`."""

    label: str
    place: Place


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect that the text allows.

    Attributes:
        kind: what is touched.
        mode: how.
        target: a host and port, a path, a variable, as far as the text says; empty when it does not.
        exact: whether `target` is the whole of it, or only how it begins.
        resource: the name of the resource, when it is reached through the context.
        call: what does it, in dotted form, such as ``time.time``.
        reason: what that call does, in a few words.
        place: where the call or the mention stands.
        path: the witness: from the entry point to `place`, both included.
    """

    kind: Kind
    mode: Mode
    call: str
    place: Place
    target: str = ""
    exact: bool = True
    resource: str = ""
    reason: str = ""
    path: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """Kind and target in one word, such as ``kv:orders`` or ``clock``."""
        target = self.resource or (self.target and (self.target if self.exact else self.target + "…"))
        return f"{self.kind}:{target}" if target else self.kind.value


@dataclass(frozen=True, slots=True)
class Blind:
    """A place where the walk goes blind; whatever happens there may have any effect."""

    what: str
    why: str
    place: Place
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Assumption:
    """A module whose effects are taken on trust, and where the node first imports it."""

    module: str
    place: Place


@dataclass(frozen=True, slots=True)
class Analysis:
    """The upper bound of a node's effects.

    Attributes:
        effects: every effect of the code that the entry point reaches, import time included.
        blind: every place where the walk goes blind; empty means that `effects` is all there is.
        assumptions: the trusted modules that are used.
        diagnostics: files that could not be read as Python; each is a blind spot too.
        implied: kinds that the library calls on a line have for their own housekeeping, by file and line: a logger
            reads the clock for its own records, an event loop to plan its work.
        imports: lines that import modules of others, by file and line, with the modules' names.
        files: the node's files that the entry point reaches.
    """

    effects: tuple[Effect, ...]
    blind: tuple[Blind, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    implied: Mapping[tuple[str, int], frozenset[Kind]] = field(default_factory=dict)
    imports: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Effects, blind spots and assumptions as lists of maps, for reports."""
        return {
            "effects": [
                {
                    "name": effect.name,
                    "kind": effect.kind.value,
                    "mode": effect.mode.value,
                    "call": effect.call,
                    "place": str(effect.place),
                    "path": [f"{step.place}: {step.label}" for step in effect.path],
                }
                for effect in self.effects
            ],
            "blind": [{"what": spot.what, "why": spot.why, "place": str(spot.place)} for spot in self.blind],
            "assumptions": [{"module": a.module, "place": str(a.place)} for a in self.assumptions],
        }
