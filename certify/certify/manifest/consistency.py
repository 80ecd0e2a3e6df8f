"""What the fields of a manifest mean together: the rules that no single field can break.

Rules this module keeps:

- a judge reads a table as its author wrote it and yields every problem, each with the path of the words at fault;
- a judge passes over values of the wrong type: whoever checks types speaks about those;
- nothing here reads a file; the model and the loader call the same judges.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from certify.manifest import paths, rules
from certify_spec.diagnostics import Rule

#: The upstream answers that every `http` resource must declare an expectation for.
REQUIRED_ANSWERS = ("401", "429", "5xx", "timeout", "malformed", "slow")
#: Answers that may be declared besides; each HTTP status as three digits too.
FURTHER_ANSWERS = ("200", "4xx", "reset", "redirect", "tls")

#: Resources that a pure node may use: they take what the node says and tell it nothing of the world.
PURE_RESOURCES = ("log", "budget")
#: Resources that nobody can write.
READ_ONLY_RESOURCES = ("clock", "random", "secrets")

#: The fields of a resource that belong to some kinds only.
_BELONGS: Final[Mapping[str, tuple[str, ...]]] = {
    "url": ("http",),
    "idempotency_header": ("http",),
    "simulator": ("http",),
    "answers": ("http",),
    "path": ("fs", "db", "blob"),
    "variables": ("env", "secrets"),
}

Path = tuple[str | int, ...]


class At(Enum):
    """Which words of the manifest a problem points to."""

    KEY = "key"
    VALUE = "value"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a manifest, at a path of it.

    Attributes:
        related: further paths that matter, each with a remark.
        elsewhere: file, line and column of the fault itself, when it is in a file that the manifest names.
    """

    rule: Rule
    path: Path
    message: str
    because: str = ""
    fix: str = ""
    at: At = At.VALUE
    related: tuple[tuple[Path, str], ...] = ()
    elsewhere: tuple[str, int, int] | None = None

    def below(self, path: Path) -> Problem:
        """The same problem, seen from the table that holds this one at `path`."""
        related = tuple(((*path, *where), remark) for where, remark in self.related)
        return replace(self, path=(*path, *self.path), related=related)


Table = Mapping[str, Any]
Judge = Callable[[Table], Iterable[Problem]]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def of_answer(answer: Table) -> Iterator[Problem]:
    """An answer expects either an error or an output, in accord with its outcome."""
    if answer.get("outcome") == "value" and answer.get("error") is not None:
        yield _at_odds(("error",), '`error` names an exception: it goes with outcome = "error"')
    if answer.get("outcome") == "error" and answer.get("output") is not None:
        yield _at_odds(("output",), '`output` describes a returned value: it goes with outcome = "value"')


def _at_odds(path: Path, message: str, fix: str = "") -> Problem:
    return Problem(rules.AT_ODDS, path, message, fix=fix or "change one of the two, or remove it", at=At.KEY)


def of_resource(resource: Table) -> Iterator[Problem]:
    """A resource has the fields of its kind, and an upstream says what happens on each answer."""
    kind = resource.get("kind")
    if not isinstance(kind, str):
        return
    for name, kinds in _BELONGS.items():
        if kind not in kinds and resource.get(name) not in (None, {}, [], ()):
            yield _at_odds((name,), f"`{name}` does not belong to a {kind} resource, but to {' and '.join(kinds)}")
    if kind in READ_ONLY_RESOURCES and resource.get("mode") == "write":
        yield Problem(rules.AT_ODDS, ("mode",), f"a {kind} resource cannot be written", fix='write mode = "read"')
    if isinstance(path := resource.get("path"), str):
        yield from _of_path(path)
    if kind == "http":
        yield from _of_url(resource.get("url"))
        yield from _of_answers(resource.get("answers", {}))


def _of_path(path: str) -> Iterator[Problem]:
    if why := leaves_folder(path):
        yield Problem(
            rules.OUTSIDE, ("path",), f"the path {path!r} {why}", fix="write a path below the node's working folder"
        )


def leaves_folder(path: str) -> str:
    """Why a relative path is refused, as the end of a sentence; empty when it stays in its folder."""
    if not path or "\0" in path or "\\" in path:
        return "is no relative path with forward slashes"
    if PurePosixPath(path).is_absolute() or path.startswith("~"):
        return "is not relative to the folder"
    if ".." in PurePosixPath(path).parts:
        return "leads upwards with `..`"
    return ""


def _of_url(url: object) -> Iterator[Problem]:
    if url is None:
        yield Problem(rules.MISSING, (), "an http resource needs a `url`", fix='add url = "https://host"', at=At.TABLE)
    elif isinstance(url, str) and not _is_origin(url):
        yield Problem(
            rules.MALFORMED,
            ("url",),
            f"{url!r} is not the origin of an upstream",
            because="paths, queries and credentials are the node's business, and hosts are matched exactly",
            fix="write a scheme, a host and perhaps a port, such as https://api.example.com:8443",
        )


def _is_origin(url: str) -> bool:
    if not re.fullmatch(r"https?://[^/\s?#@\\]+/?", url):
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False


def _of_answers(answers: object) -> Iterator[Problem]:
    if not isinstance(answers, Mapping):
        return
    missing = [answer for answer in REQUIRED_ANSWERS if answer not in answers]
    if missing:
        yield Problem(
            rules.ANSWERS,
            ("answers",) if answers else (),
            f"`answers` must say what the node does on {', '.join(missing)}",
            because="every upstream gives these answers some day",
            fix="\n".join(f'add [resource.answers.{answer}] with outcome = "value" or "error"' for answer in missing),
            at=At.TABLE,
        )
    known = REQUIRED_ANSWERS + FURTHER_ANSWERS
    for answer in answers:
        if answer not in known and not re.fullmatch(r"[2-5][0-9][0-9]", answer):
            close = nearest(answer, known)
            yield Problem(
                rules.ANSWERS,
                ("answers", answer),
                f"no upstream answer is called {answer!r}",
                because=f"an answer is a status such as 404, or one of {', '.join(known)}",
                fix=f"did you mean {close}?" if close else "use one of these",
                at=At.KEY,
            )


def of_node(node: Table) -> Iterator[Problem]:
    """`pins` and `tolerance` say how stable a stable node is."""
    determinism = node.get("determinism")
    if isinstance(determinism, str) and determinism != "stable":
        for name in ("pins", "tolerance"):
            if node.get(name):
                yield _at_odds((name,), f'`{name}` goes with determinism = "stable", and this says {determinism!r}')


def of_names(manifest: Table) -> Iterator[Problem]:
    """Resources and fixtures are told apart by name, patterns by spec, proofs by file; lists name nothing twice."""
    for what, name in (("resource", "name"), ("fixture", "name"), ("pattern", "spec"), ("proof", "file")):
        named = [((what, i, name), each.get(name)) for i, each in enumerate(tables(manifest, what))]
        yield from _twice(what, named)
    key = table(manifest, "idempotency").get("key")
    if isinstance(key, list | tuple):
        yield from _twice("key field", [(("idempotency", "key", i), value) for i, value in enumerate(key)])


def _twice(what: str, named: Iterable[tuple[Path, object]]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path, name in named:
        if not isinstance(name, str):
            continue
        if name in first:
            yield Problem(
                rules.NAMED_TWICE,
                path,
                f"two {what}s are called {name}",
                fix="rename one, or remove it",
                related=((first[name], f"the first {name} is here"),),
            )
        first.setdefault(name, path)


def of_claims(manifest: Table) -> Iterator[Problem]:
    """The claim about effects fits the declared resources, and what writes has an idempotency key."""
    node = table(manifest, "node")
    effects = node.get("effects")
    if effects == "effectful" and "idempotency" not in manifest:
        yield Problem(
            rules.NO_KEY,
            ("node", "effects"),
            "an effectful node needs an idempotency key, and [idempotency] is missing",
            because="a request is delivered twice some day, and nothing says that it is the same",
            fix="add [idempotency] with `flow` and `key`",
        )
    if effects not in ("pure", "read_only"):
        return
    claim: Path = ("node", "effects")
    for i, resource in enumerate(tables(manifest, "resource")):
        kind, name = resource.get("kind"), resource.get("name", "?")
        related = ((claim, f'effects = "{effects}" is claimed here'),)
        if not isinstance(kind, str) or kind in PURE_RESOURCES:
            continue
        if resource.get("mode") == "write":
            yield Problem(
                rules.WRITES_UNCLAIMED,
                ("resource", i, "mode"),
                f"resource `{name}` is written, and the node claims to be {effects}",
                fix='claim effects = "effectful", or write mode = "read"',
                related=related,
            )
        elif effects == "pure":
            yield Problem(
                rules.NOT_PURE,
                ("resource", i, "kind"),
                f"resource `{name}` is read, and the node claims to be pure",
                because=f"what a pure node returns depends on its input alone; it may use {', '.join(PURE_RESOURCES)}",
                fix='claim effects = "read_only", or remove the resource',
                related=related,
            )


def of_field_paths(manifest: Table) -> Iterator[Problem]:
    """Fields are named by well-formed paths."""
    for side in ("input", "output"):
        classes = table(manifest, side).get("classes")
        for name in classes if isinstance(classes, Mapping) else ():
            yield from _of_field_path((side, "classes", name), name, At.KEY)
    idempotency = table(manifest, "idempotency")
    key = idempotency.get("key")
    for i, name in enumerate(key if isinstance(key, list | tuple) else ()):
        yield from _of_field_path(("idempotency", "key", i), name, At.VALUE)
    if "partition" in idempotency:
        yield from _of_field_path(("idempotency", "partition"), idempotency["partition"], At.VALUE)


def _of_field_path(path: Path, name: object, at: At) -> Iterator[Problem]:
    if not isinstance(name, str):
        return
    try:
        paths.parse(name)
    except ValueError as error:
        yield Problem(
            rules.FIELD_PATH,
            path,
            f"{name!r} is no path of a field",
            because=str(error),
            fix='write paths like "customer.email", "lines[].sku", "tags{}", or "$" for the whole value',
            at=at,
        )


def of_manifest(manifest: Table) -> Iterator[Problem]:
    """Everything that a manifest's text alone can tell, each problem seen from the whole."""
    yield from (problem.below(("node",)) for problem in of_node(table(manifest, "node")))
    for i, resource in enumerate(tables(manifest, "resource")):
        yield from (problem.below(("resource", i)) for problem in of_resource(resource))
        for name in table(resource, "answers"):
            answer = table(table(resource, "answers"), name)
            yield from (problem.below(("resource", i, "answers", name)) for problem in of_answer(answer))
    yield from of_names(manifest)
    yield from of_claims(manifest)
    yield from of_field_paths(manifest)


def table(holder: Table, name: str) -> Table:
    """The table of that name; empty when it is missing or something else."""
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def tables(holder: Table, name: str) -> tuple[Table, ...]:
    """The array of tables of that name; whatever is no table counts as an empty one."""
    value = holder.get(name)
    items = value if isinstance(value, list | tuple) else ()
    return tuple(item if isinstance(item, Mapping) else {} for item in items)
