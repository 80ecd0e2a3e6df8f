"""Reads the cases of `tests/quality/determinism_cases`: nodes as text, with what must be found in them.

A case is a file of sections. The first is `node.py`; a line ``# --- NAME`` begins the file NAME, and ``# --- manifest``
what is added to the manifest. Comments at the top say `expect` (the rule codes; ``A|B`` for either), `input` (JSON),
`effects` and `node` (a line under ``[node]``). The line that must be named ends in ``# leak``; a race may
first be seen at any of several.

Most cases share one node, which imports the case that its input names, and so share its sandboxes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from certify.checks import determinism
from certify.checks.determinism import BASE, same
from certify.checks.workbench import Workbench
from certify.cli.replaying import changed
from certify.evidence.verdict import CheckResult
from certify.laboratory.laboratory import Laboratory
from certify.laboratory.record import Delivery, Observe, Plan
from certify.manifest.model import Effects
from certify.subject import NodeFolder, read_subject
from certify_spec.diagnostics import Diagnostic, Place
from lab_support import write_node

CASES = Path(__file__).parent / "quality/determinism_cases"
_SANDBOXES = 32

_DISPATCH = """
    import importlib
    from typing import Any


    async def node(case: str, value: Any) -> Any:
        answer = importlib.import_module(case).node(value)
        return await answer if hasattr(answer, "__await__") else answer
"""
_ANSWERS = "".join(
    f'[resource.answers.{what}]\noutcome = "error"\n' for what in ("401", "429", "5xx", "timeout", "malformed", "slow")
)
_IDEMPOTENCY = """
[idempotency]
flow = "flow"
key = ["$"]
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A node, and what must be found in it."""

    name: str
    expect: frozenset[frozenset[str]]
    leaks: frozenset[Place]
    files: dict[str, str]
    manifest: str
    settings: dict[str, str]

    @property
    def module(self) -> str:
        """Its module's name within the shared node."""
        return "case_" + self.name.replace("-", "_")

    @property
    def alone(self) -> bool:
        """Whether it needs a manifest of its own."""
        return 'kind = "http"' in self.manifest or "[[fixture]]" in self.manifest

    def write(self, folder: Path) -> Path:
        """Write it as a node; gives the manifest's path."""
        effects = self.settings.get("effects", "pure")
        answers = _ANSWERS if 'kind = "http"' in self.manifest else ""
        return write_node(
            folder,
            self.files["node.py"],
            json.loads(self.settings.get("input", "1")),
            effects=effects,
            node=self.settings.get("node", ""),
            rest=self.manifest + answers + (_IDEMPOTENCY if effects == "effectful" else ""),
            files={name: text for name, text in self.files.items() if name != "node.py"},
        )


def read(path: Path) -> Case:
    """Read a case."""
    parts = re.split(r"^# --- (\S+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    files = {"node.py": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))
    manifest = files.pop("manifest", "")
    settings = dict(re.findall(r"^# (expect|input|effects|node): (.+)$", parts[0], re.MULTILINE))
    leaks = frozenset(
        Place(name, number)
        for name, text in files.items()
        for number, line in enumerate(text.splitlines(), 1)
        if line.endswith("  # leak")
    )
    expect = frozenset(frozenset(codes.split("|")) for codes in settings.get("expect", "").split())
    return Case(path.name.partition(".")[0], expect, leaks, files, manifest, settings)


def cases(kind: str) -> dict[str, Case]:
    """The cases of a folder by name."""
    found = [read(path) for path in sorted((CASES / kind).glob("*.py.txt"))]
    return {case.name: case for case in found}


def write_shared(folder: Path, shared: Mapping[str, Case]) -> Path:
    """Write one node that holds many cases; gives the manifest's path."""
    files: dict[str, str] = {}
    for case in shared.values():
        for name, text in case.files.items():
            files[f"{case.module}.py" if name == "node.py" else name] = text
    listed = json.dumps(sorted(files))
    return write_node(folder, _DISPATCH, {"case": "", "value": 0}, node=f"files = {listed}", files=files)


@dataclass(frozen=True, slots=True)
class Bench:
    """A laboratory, and the cases that can be judged in it."""

    folder: NodeFolder
    laboratory: Laboratory

    def judge(self, case: Case, **claims: Any) -> CheckResult:
        """What C-DETERMINISM says of a case of the shared node, under these claims about the node."""
        inputs = {
            "one": json.dumps({"case": case.module, "value": json.loads(case.settings.get("input", "1"))}).encode()
        }
        effects = Effects(case.settings.get("effects", "pure"))
        return self.judge_inputs(inputs, **{"effects": effects} | claims)

    def judge_inputs(self, inputs: Mapping[str, bytes], **claims: Any) -> CheckResult:
        """What C-DETERMINISM says of these inputs."""
        manifest = self.folder.subject.manifest
        node = manifest.node.model_copy(update=claims)
        subject = replace(self.folder.subject, manifest=manifest.model_copy(update={"node": node}))
        return determinism.check(Workbench(subject, self.laboratory, inputs, {}))

    def shows(self, finding: Diagnostic, inputs: Mapping[str, bytes], tolerance: float = 0.0) -> bool:
        """Whether the finding's command gives two different answers; a race may need a few turns."""
        words = shlex.split(finding.replay)
        environment = changed([word for before, word in pairwise(words) if before == "--set"])
        delivery = (Delivery(inputs[words[words.index("--fixture") + 1]]),)
        sides = [Plan(delivery, each, observe=Observe.LINES) for each in (BASE, environment)]
        turns = 8 if finding.code in {"DET010", "DET012", "DET020"} else 1  # chance decides
        return any(not same(*self.laboratory.run_all(sides), tolerance) for _ in range(turns))


@contextmanager
def opened(manifest: Path) -> Iterator[Bench]:
    """A laboratory on a node, which keeps a sandbox for each of the surroundings."""
    folder = read_subject(manifest)
    with Laboratory(folder.subject, jobs=1, idle=_SANDBOXES, rehearsal=folder.rehearsal) as laboratory:
        yield Bench(folder, laboratory)
