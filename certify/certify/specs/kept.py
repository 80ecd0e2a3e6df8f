"""Whole results kept between runs, so that what has not changed is neither read again nor encoded again.

Rules this module keeps:

- only a machine of which everything is proved is kept, and only if there was nothing to warn of;
- a result is named by a digest of all that it depends on: the text, how it is called, the settings, the versions of
  the solvers, the source of the language, the verifier and the views; what it refines is compared by digests too;
- a damaged entry is no entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from certify.specs.engine import Headed, Verified
from certify.specs.explain import Standing, explained_proof
from certify_spec import model as m
from certify_spec.diagnostics import Place
from certify_verifier.cache import solver_version
from certify_verifier.obligation import Obligation, Purpose
from certify_verifier.verdict import Finding, Proved
from certify_verifier.verify import Settings

_SOURCES: Final = ("certify_spec", "certify_verifier", "certify.specs")


@dataclass(frozen=True, slots=True)
class Heading:
    """What a kept result still says of its specification, and which files that refines."""

    name: str
    doc: str
    path: str
    text: str
    place: Place
    refines: tuple[Path, ...] = ()


class Results:
    """A folder of results.

    Args:
        folder: where; it is made when something is first kept.
        settings: how the results were, or would be, found.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings

    def find(self, file: Path, shown: str) -> Verified | None:
        """The result of a file that has not changed, nor anything that it refines.

        Args:
            file: the file.
            shown: how its places name it.
        """
        try:
            text = file.read_text(encoding="utf-8-sig")
            data = json.loads(self._path(text, shown).read_text(encoding="utf-8"))
            refines = {file.parent / name: digest for name, digest in data["refines"].items()}
            if any(digest_of(path) != digest for path, digest in refines.items()):
                return None
            place = Place(**data["place"])
            return _verified(data, Heading(data["name"], data["doc"], shown, text, place, tuple(refines)))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, file: Path, verified: Verified, refines: Iterable[Path]) -> None:
        """Keep a result, if everything in it is proved.

        Args:
            file: the file.
            verified: what is known of it.
            refines: the files that it refines, by whatever way.

        Raises:
            OSError: it cannot be written.
        """
        if verified.trouble or any(each.standing is not Standing.HELD for each in verified.explained):
            return
        others = {os.path.relpath(path.resolve(), file.parent.resolve()): digest_of(path) for path in refines}
        path = self._path(verified.specification.text, verified.specification.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            json.dump(_data(verified) | {"refines": others}, written)
        Path(name).replace(path)

    def _path(self, text: str, shown: str) -> Path:
        asked = self._settings
        versions = [solver_version(solver) for solver in ("z3", "cvc5")]
        depends = [program(), *versions, repr(asked), shown, text]
        digest = hashlib.blake2b("\0".join(depends).encode(), digest_size=20).hexdigest()
        return self._folder / "results" / digest[:2] / f"{digest[2:]}.json"


def digest_of(file: Path) -> str:
    """A digest of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.blake2b(file.read_bytes(), digest_size=20).hexdigest()


@cache
def program() -> str:
    """A digest of the source that results come from."""
    digest = hashlib.blake2b(digest_size=20)
    for package in _SOURCES:
        for file in sorted(Path(str(resources.files(package))).glob("*.*")):
            if file.suffix in (".py", ".lark"):
                digest.update(f"{package}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def refined(specification: Headed) -> tuple[Path, ...]:
    """The files that a specification refines, by whatever way."""
    if isinstance(specification, Heading):
        return specification.refines
    assert isinstance(specification, m.Specification)
    abstract = [refinement.abstract for refinement in specification.refinements]
    return tuple(dict.fromkeys(path for each in abstract for path in (Path(each.path), *refined(each))))


def _data(verified: Verified) -> dict[str, Any]:
    return {
        "name": verified.specification.name,
        "doc": verified.specification.doc,
        "place": verified.specification.place.to_data(),
        "seconds": verified.seconds,
        "findings": [each.finding.to_data() for each in verified.explained],
        "obligations": {
            digest: [o.claim, o.purpose.name, o.action, o.detail] for digest, o in verified.obligations.items()
        },
        "answers": {digest: dict(said) for digest, said in verified.answers.items()},
    }


def _verified(data: Mapping[str, Any], heading: Heading) -> Verified:
    obligations = {
        digest: Obligation(claim, Purpose[purpose], action, detail, "")
        for digest, (claim, purpose, action, detail) in data["obligations"].items()
    }
    explained = tuple(explained_proof(_finding(found)) for found in data["findings"])
    return Verified(heading, explained, obligations, data["answers"], data["seconds"])


def _finding(data: Mapping[str, Any]) -> Finding:
    if data["verdict"] != "proved":
        raise ValueError("only what is proved is kept")
    return Finding(
        data["property"],
        data["kind"],
        Proved(data["method"], data.get("lemma", "")),
        Place(**data["place"]),
        data["doc"],
        data["seconds"],
        data["solvers"],
        tuple(data["obligations"]),
    )
