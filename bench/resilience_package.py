"""The shipped patterns as a generated package, for benchmarks: what `certify generate` writes, without the proof.

`folder()` gives a folder to put on the path; the package in it is called `resilience`. It is made once for each state
of specifications, templates and generator. Its certificates name no proof: what is shipped is made by
`certify generate`.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from certify_codegen import generate
from certify_codegen.patterns import CONVENTIONS
from certify_spec.loader import Loader, shipped

KEPT = Path(__file__).resolve().parent.parent / ".certify" / "bench"


def folder() -> Path:
    """The folder that holds the package."""
    names = {convention.template for convention in CONVENTIONS.values()}
    paths = [path for path in shipped() if path.parent.name == "patterns"]
    texts = b"".join(path.read_bytes() for path in paths)
    state = hashlib.sha256(texts + generate.templates_digest().encode() + generate.generator_digest().encode())
    kept = KEPT / state.hexdigest()[:16]
    if not (kept / "resilience").is_dir():
        _make(kept, [path for path in paths if path.stem in names])
    return kept


def _make(kept: Path, paths: list[Path]) -> None:
    options = generate.Options()
    loader = Loader()
    proofs = {}
    modules = []
    for path in paths:
        specification = loader.load(path)
        if specification.name in CONVENTIONS:
            proofs[specification.name] = "0" * 64
            modules.append(generate.module(generate.Proved(specification, "0" * 64), options))
    KEPT.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=KEPT))
    (made / "resilience").mkdir()
    for name, text in generate.package(modules, options, proofs).items():
        (made / "resilience" / name).write_text(text, encoding="utf-8")
    try:
        made.rename(kept)
    except OSError:
        if not (kept / "resilience").is_dir():
            raise


if __name__ == "__main__":
    print(folder())
