"""Answers kept between runs, by the digest of what was asked.

Rules this module keeps:

- only `unsat` and `sat` are kept: an unknown may be known tomorrow;
- the key names the solver and its version: a new solver is asked again;
- a damaged entry is no entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from certify_verifier.solving import Answer, Question, Status


@cache
def solver_version(solver: str) -> str:
    """The installed version of a solver; empty if it is not installed."""
    try:
        return metadata.version("z3-solver" if solver in ("z3", "spacer") else solver)
    except metadata.PackageNotFoundError:
        return ""


class Cache:
    """A folder of answers.

    Args:
        folder: where; it is made when something is first kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, question: Question) -> Answer | None:
        """The answer to a question, if it is known."""
        try:
            data = json.loads(self._path(question).read_text(encoding="utf-8"))
            return Answer(Status(data["status"]), "", float(data["seconds"]), dict(data["model"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, question: Question, answer: Answer) -> None:
        """Keep an answer, if it is one."""
        if answer.status is Status.UNKNOWN:
            return
        path = self._path(question)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {"status": answer.status.value, "seconds": answer.seconds, "model": dict(answer.model)}
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file)
        Path(name).replace(path)

    def _path(self, question: Question) -> Path:
        asked = f"{question.solver} {solver_version(question.solver)} {question.model}\n{question.text}"
        digest = hashlib.blake2b(asked.encode(), digest_size=20).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:]}.json"
