"""Views of one evidence: a page, a comment, and three forms for machines.

Rules this package keeps:

- a view is a pure function of the evidence and the bytes that it names: equal evidence gives equal bytes;
- nothing is judged here: verdicts, findings and measurements are the checks';
- what comes from a node is hostile: it is escaped, and what cannot be seen is made visible, in every form;
- *unknown*, *not run* and *waived* are said as such in every form, and never look like *passed*.

The package's table of contents: `view` reads the evidence, `measured` and `generic` say what was measured as `panels`,
`source` quotes the node's text, `text` neutralises; `html`, `markdown`, `json_view`, `sarif` and `junit` write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from certify.evidence.bundle import Evidence
from certify.report.view import Report, read

FORMATS: Final[tuple[str, ...]] = ("html", "md", "json", "sarif", "junit")
"""The forms that `render` knows."""


def render(evidence: Evidence, blobs: Mapping[str, bytes], form: str) -> bytes:
    """The evidence in one form, in UTF-8.

    Args:
        evidence: what is shown.
        blobs: the bytes that it names, by digest; what is missing or altered is not shown, and the page says so.
        form: one of `FORMATS`.

    Raises:
        ValueError: there is no such form.
        certify.codec.EncodingError: the evidence has no canonical form.
        certify.evidence.errors.EvidenceError: it is not evidence of a schema that this release knows.
    """
    return _writer(form)(read(evidence, blobs))


def _writer(form: str) -> Callable[[Report], bytes]:
    # each form loads its own library only when it is asked for
    match form:
        case "html":
            from certify.report.html import render as write
        case "md":
            from certify.report.markdown import render as write
        case "json":
            from certify.report.json_view import render as write
        case "sarif":
            from certify.report.sarif import render as write
        case "junit":
            from certify.report.junit import render as write
        case _:
            raise ValueError(f"no report has the form {form!r}; there are {', '.join(FORMATS)}")
    return write
