"""An independent checker for Lean 4: kernel, export reader, front end.

What to read first: `kernel` says what enters an environment, `infer` what is well typed, `equality` and `reduce` what
computes to what, `inductive` and `nested` what an inductive declaration gives. `export` reads proofs that the official
tools wrote; `source` and `package` check source files with the front end in `front`. `session` runs the kernel over
declarations and `report` says what was concluded.
"""

from certify_verifier.lean.axioms import STANDARD as STANDARD_AXIOMS
from certify_verifier.lean.export import check_export, check_export_bytes
from certify_verifier.lean.package import PackageReport, check_package
from certify_verifier.lean.report import Accepted, Declined, Entry, LeanReport, LeanVerdict, Rejected, verdict_name
from certify_verifier.lean.source import check_source, check_text

__all__ = [
    "STANDARD_AXIOMS",
    "Accepted",
    "Declined",
    "Entry",
    "LeanReport",
    "LeanVerdict",
    "PackageReport",
    "Rejected",
    "check_export",
    "check_export_bytes",
    "check_package",
    "check_source",
    "check_text",
    "verdict_name",
]
