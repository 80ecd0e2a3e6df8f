"""Behind `gate`: certify several nodes in a pipeline, with one exit status and one set of reports."""

from __future__ import annotations

from pathlib import Path

from certify.cli import certifying
from certify.cli.output import Output
from certify.cli.status import Status, of
from certify.evidence.verdict import name
from certify.report import render

_FILES = {"junit": "{}.junit.xml", "sarif": "{}.sarif", "md": "{}.md"}


def run(
    manifests: list[Path], out: Path, policy: Path | None, registry: str, jobs: int | None, *, as_json: bool
) -> int:
    """Certify each node; the worst verdict gives the exit status: refused before undecided before held.

    Raises:
        RequestError: a manifest cannot be used; nodes before it have their reports.
    """
    output = Output(as_json=as_json)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str]] = []
    states: list[Status] = []
    for manifest in manifests:
        found, report = certifying.certify(manifest, [], policy, registry, jobs, as_json=as_json)
        evidence = found.evidence
        stem = f"{evidence.node.replace('/', '--')}-{evidence.version}"
        for form, pattern in _FILES.items():
            (out / pattern.format(stem)).write_bytes(render(evidence, found.blobs, form))
        output.diagnostics([finding for result in evidence.results for finding in result.findings])
        rows.append((evidence.name, name(found.verdict), str(report.page)))
        states.append(of(found.verdict))
    output.table(("node", "verdict", "report"), rows)
    output.data({"nodes": [{"subject": s, "verdict": v, "report": r} for s, v, r in rows], "reports": str(out)})
    return next((state for state in (Status.REFUSED, Status.UNDECIDED) if state in states), Status.HELD)
