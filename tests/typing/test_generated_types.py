"""Generated code and typical uses of it, as type checkers, the formatter and other interpreters see them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from certify_codegen import fusion
from certify_codegen.generate import Fused, adapters, fused_file
from codegen_support import generated, names, specification, write_package

USAGE = Path(__file__).with_name("generated_usage.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages `patterns` and `patterns_sync`, two fused functions, and the uses."""
    made = tmp_path_factory.mktemp("typing")
    write_package(made / "patterns")
    write_package(made / "patterns_sync", asynchronous=False)
    modules = [generated(name) for name in names()]
    proofs = {"Stack": ""} | {each.convention.machine: "" for each in modules}
    for order, shape in (
        ("retry,breaker,bulkhead", "fetch(user: int, fresh: bool = False) -> bytes"),
        ("retry,breaker,bulkhead,timeout", "async afetch(user: int, *, fresh: bool = False) -> bytes"),
        (
            "bulkhead,timeout,retry,breaker",
            'long(a: int, /, b: str = "x", *rest: float, c: bytes, **more: str) -> None',
        ),
        ("limiter,breaker", "nothing() -> None"),
        ("retry,window,bulkhead", "async within(key: str) -> bytes"),
    ):
        fused = Fused(fusion.layers(order.split(",")), fusion.signature(shape))
        name, text = fused_file(fused, specification("stack"), modules, proofs)
        (made / "patterns" / name).write_text(text, encoding="utf-8")
    for name, text in adapters(["opentelemetry", "prometheus"]).items():
        (made / "patterns" / name).write_text(text, encoding="utf-8")
    shutil.copy(USAGE, made / "usage.py")
    return made


def ran(command: list[str], folder: Path) -> str:
    """What a command says that is to succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_mypy_accepts_generated_code_and_its_uses(folder: Path) -> None:
    """Strictly, wrong uses are errors and right ones have the types of the functions that were decorated."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--warn-unused-ignores",
        "--warn-unreachable",
        "--no-incremental",
    ]
    assert "no issues found" in ran([*command, "patterns", "patterns_sync", "usage.py"], folder)


def test_pyright_accepts_generated_code_and_its_uses(folder: Path) -> None:
    """So does the second type checker."""
    assert "0 errors, 0 warnings" in ran([sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "."], folder)


def test_generated_code_is_formatted(folder: Path) -> None:
    """Nobody who formats a project with it has a file changed, and thereby broken."""
    command = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--line-length", "120"]
    ran([*command, "patterns", "patterns_sync"], folder)


def test_plain_code_imports_no_event_loop(folder: Path) -> None:
    """Neither a package for plain functions nor one for both imports asyncio before a coroutine function needs it."""
    for package in ("patterns_sync", "patterns"):
        code = f"import sys, {package}; sys.exit('asyncio' in sys.modules)"
        ran([sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}"], folder)
    assert not any("async" in line for line in (folder / "patterns_sync" / "retry.py").read_text().splitlines()[12:])


def test_generated_code_needs_the_standard_library_only(folder: Path) -> None:
    """No import leads anywhere else, but in the adapters, which are beside it."""
    for file in sorted(f for f in (folder / "patterns").glob("*.py") if not f.name.endswith("_adapter.py")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("import ", "from ")):
                root = line.split()[1].split(".")[0]
                assert root in {"", "__future__"} or root in sys.stdlib_module_names, (file.name, line)
