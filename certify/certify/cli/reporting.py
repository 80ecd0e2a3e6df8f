"""Behind `report`: the views of a published node's evidence."""

from __future__ import annotations

import sys
from pathlib import Path

from certify.cli import registries
from certify.cli.status import Status
from certify.evidence.bundle import Evidence
from certify.report import FORMATS, render
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

CLI010 = Rule("CLI010", "There is no report of that form.", "Use one of the forms that the message lists.")


def show(subject: str, form: str, output: Path | None, registry: str) -> int:
    """Render the evidence that the registry holds, and print it or write it to a file.

    Raises:
        RequestError: the form, the registry or the release is not there.
    """
    if form not in FORMATS:
        raise RequestError(
            Diagnostic(
                CLI010, f"no report has the form {form!r}", because=f"there are {', '.join(FORMATS)}", fix=CLI010.advice
            )
        )
    with registries.opened(registry) as opened:
        shown = opened.show(subject)
        evidence = Evidence.decode(opened.blob(shown.published.evidence))
        blobs = {digest: opened.blob(digest) for digest in sorted(evidence.references)}
    content = render(evidence, blobs, form)
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)
    return Status.HELD
