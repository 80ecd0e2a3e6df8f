"""Machines of specifications as Lean files.

`machine` writes a file, `terms` its expressions; `generated` knows the generated files of a package.
"""

from certify_verifier.lean.emit.generated import FOLDER, SHIPPED, fresh, source_of
from certify_verifier.lean.emit.machine import digest, emit

__all__ = ["FOLDER", "SHIPPED", "digest", "emit", "fresh", "source_of"]
