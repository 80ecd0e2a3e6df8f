"""Claims about the subject: the node's own files and their address."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from certify import codec, subject
from certify.subject import NodeFolder, read_subject, subject_digest
from certify_spec.diagnostics import RequestError
from manifest_support import FILES, SMALL, UPSTREAM, write_node


def own(folder: Path, entry: str, files: dict[str, str], text: str = SMALL) -> list[str]:
    """The node's Python files, when its entry module has this text."""
    read = read_subject(write_node(folder, text, {**FILES, "normalise.py": entry, **files}))
    return [name for name in read.subject.files if not name.endswith((".json", ".toml"))]


def code(path: Path) -> str:
    """The one code with which a subject is refused."""
    with pytest.raises(RequestError) as caught:
        read_subject(path)
    (only,) = caught.value.diagnostics
    return only.code


def test_a_subject_is_its_manifest_its_fixtures_and_its_modules(tmp_path: Path) -> None:
    """Nothing else of the folder belongs to it; digests are BLAKE3 of the bytes."""
    path = write_node(tmp_path, UPSTREAM, {**FILES, "notes.txt": "x", "other.py": "y = 1"})
    folder = read_subject(path)

    expected = ["charge.py", "fixtures/charged.json", "fixtures/order.json", "node.toml", "upstream.py"]
    assert {name: blake3((tmp_path / name).read_bytes()).hexdigest() for name in expected} == folder.subject.files
    assert ("shop/charge@2.1.0-rc.1", tmp_path, "node.toml") == (folder.subject.name, folder.subject.root, "node.toml")


def test_fixtures_come_by_name_with_what_is_expected_of_them(tmp_path: Path) -> None:
    """Inputs and expected outputs are the bytes of their files."""
    folder = read_subject(write_node(tmp_path, UPSTREAM))

    assert ({"order": FILES["fixtures/order.json"].encode()}, {"order": FILES["fixtures/charged.json"].encode()}) == (
        folder.inputs,
        folder.expected,
    )
    assert {name: blake3(content).hexdigest() for name, content in folder.content.items()} == folder.subject.files


@given(st.dictionaries(st.text(alphabet="abc/.é", min_size=1), st.just("0" * 64)), st.randoms())
def test_the_digest_depends_on_names_and_contents_alone(files: dict[str, str], chance: object) -> None:
    """The order in which files were met does not matter: the digest is that of the canonical map."""
    names = list(files)
    chance.shuffle(names)  # type: ignore[attr-defined]  # a random.Random

    assert codec.address(codec.encode(files)) == subject_digest({name: files[name] for name in names})


def test_the_digest_changes_with_every_own_byte_and_with_no_other(tmp_path: Path) -> None:
    """A changed module, fixture or manifest is another subject; a file beside them is not (C-DELTA)."""

    def digest(name: str = "notes.txt", more: str = "") -> str:
        path = write_node(tmp_path, UPSTREAM)
        (tmp_path / name).write_text((FILES.get(name) or (UPSTREAM if name == "node.toml" else "")) + more)
        return read_subject(path).subject.digest

    same = digest()
    changed = [
        digest(name, "\n")
        for name in ("charge.py", "upstream.py", "fixtures/order.json", "fixtures/charged.json", "node.toml")
    ]

    assert (same, 5, False) == (digest("notes.txt", "more"), len(set(changed)), same in changed)


TREE = {
    "a.py": "import b.c\nfrom d import e\n",
    "b/__init__.py": "",
    "b/c.py": "from . import f\nfrom .g import h\nfrom ..no import way\n",
    "b/f.py": "",
    "b/g.py": "def late():\n    import z\n",
    "b/unused.py": "",
    "d.py": "e = 1\n",
    "z.py": "",
    "unused.py": "",
}


def test_imports_are_followed_through_packages_and_functions(tmp_path: Path) -> None:
    """Plain, dotted, relative and late imports lead on; what nobody imports stays out."""
    expected = ["a.py", "b/__init__.py", "b/c.py", "b/f.py", "b/g.py", "d.py", "normalise.py", "z.py"]
    assert expected == own(tmp_path, "if False:\n    import a\n", TREE)


@pytest.mark.parametrize(
    "sign",
    [
        "import importlib\nimportlib.import_module('hidden')",
        "from importlib import import_module",
        "__import__('hid' + 'den')",
        "exec('import hidden')",
        "f = eval",
        "compile('import hidden', '', 'exec')",
        "import runpy",
        "import sys\nsys.path.insert(0, 'x')",
        "import sys as s\ns.path.insert(0, 'x')",
        "from sys import path",
        "from sys import *",
        "import os\nos.sys.path",
        "import sys\nx = sys",
        "import sys\ngetattr(sys, 'path')",
        "import sys\ngetattr(sys, 'pa' + 'th')",
        "import sys\nsys.modules['hidden']",
        "import sys\nsys.meta_path.append(1)",
        "import builtins",
        "globals()['x']",
        "vars()",
        "().__class__.__base__.__subclasses__()",
        "(lambda: 0).__globals__",
        "x = '__import__'",
        "import subprocess",
        "import multiprocessing",
        "import os\nos.system('python hidden.py')",
        "import os\nos.execv('python', ['hidden.py'])",
        "from os import spawnv",
        "import pickle",
        "import ctypes",
        "import pkgutil",
        "import logging.config\nlogging.config.dictConfig({})",
        "from operator import attrgetter",
        "from package import *",
        "this is no Python",
        "x = " + "(" * 5_000 + ")" * 5_000,
        "'\\0'\0",
    ],
)
def test_any_sign_of_a_hidden_import_takes_in_every_module(tmp_path: Path, sign: str) -> None:
    """Where reading the text cannot tell what is imported, every module of the folder belongs to the node."""
    files = {"hidden.py": "", "package/__init__.py": "", "package/inner.py": "", "deep/er/module.py": ""}
    assert own(tmp_path, sign, files) == [
        "charge.py",
        "deep/er/module.py",
        "hidden.py",
        "normalise.py",
        "package/__init__.py",
        "package/inner.py",
        "upstream.py",
    ]


@pytest.mark.parametrize(
    "plain",
    [
        "import os\nos.path.join('a')",
        "import json, re\nre.compile('x')",
        "class A:\n    path = 1\nA.path",
        "from __future__ import annotations",
    ],
)
def test_ordinary_code_is_no_sign_of_a_hidden_import(tmp_path: Path, plain: str) -> None:
    """Common standard library use leaves the closure small."""
    assert own(tmp_path, plain, {"hidden.py": ""}) == ["normalise.py"]


def test_a_sign_in_an_imported_module_counts_too(tmp_path: Path) -> None:
    """The sign may stand anywhere in what is imported."""
    assert "hidden.py" in own(tmp_path, "import a", {"a.py": "import b", "b.py": "exec('')", "hidden.py": ""})


def test_declared_types_are_the_nodes_own_where_they_are_in_its_folder(tmp_path: Path) -> None:
    """`input.type` in the folder belongs to the node; one from a library does not."""
    text = SMALL.replace("[budget]", '[input]\ntype = "models:Order"\n[output]\ntype = "decimal:Decimal"\n[budget]')
    assert own(tmp_path, "", {"models.py": ""}, text) == ["models.py", "normalise.py"]


def test_native_code_and_byte_code_of_the_same_name_belong_to_the_node(tmp_path: Path) -> None:
    """Python may prefer them to the source that a reviewer reads; and what they import nobody can tell."""
    assert {"fast.abi3.so", "fast.py", "fast.pyc", "hidden.py"} <= set(
        own(tmp_path, "import fast", {"fast.py": "", "fast.pyc": "x", "fast.abi3.so": "x", "hidden.py": ""})
    )


def test_caches_and_environments_are_no_part_of_a_node(tmp_path: Path) -> None:
    """When every module counts, those of a virtual environment, a cache and a hidden folder still do not."""
    files = {"env/pyvenv.cfg": "", "env/x.py": "", "__pycache__/y.pyc": "", ".git/z.py": "", "w.py": ""}
    assert own(tmp_path, "exec('')", files) == ["charge.py", "normalise.py", "upstream.py", "w.py"]


def linked(folder: Path, entry: str) -> Path:
    """A node with links out of its folder: a folder `sub` and a module `lone`."""
    path = write_node(folder / "node", SMALL, {**FILES, "normalise.py": entry})
    (folder / "out").mkdir()
    (folder / "out/secret.py").write_text("")
    (folder / "node/sub").symlink_to(folder / "out", target_is_directory=True)
    (folder / "node/lone.py").symlink_to(folder / "out/secret.py")
    return path


@pytest.mark.parametrize("entry", ["import lone", "from sub import secret", "import sub.secret", "exec('')"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, entry: str) -> None:
    """Bytes from elsewhere are not the node's own, whether reached by name or by the search for every module."""
    assert code(linked(tmp_path, entry)) == "MAN020"


def test_links_that_nobody_follows_do_no_harm(tmp_path: Path) -> None:
    """What the node does not import may link where it likes."""
    assert "normalise.py" in read_subject(linked(tmp_path, "import json")).subject.files


def test_a_manifest_that_is_a_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    """The manifest belongs to the node's own files as well."""
    path = write_node(tmp_path / "node")
    path.rename(tmp_path / "node.toml")
    path.symlink_to(tmp_path / "node.toml")

    assert code(path) == "MAN020"


def test_sizes_and_numbers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file, all files together, and their number each have a limit."""
    path = write_node(tmp_path, SMALL, {**FILES, "normalise.py": "import a\n", "a.py": "#" * 5_000})
    for limit, value in (("MAX_FILE_BYTES", 4_000), ("MAX_TOTAL_BYTES", 5_000), ("MAX_FILES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(subject, limit, value)
            assert code(path) == "MAN024"
    assert isinstance(read_subject(path), NodeFolder)


def test_a_name_that_evidence_cannot_carry_is_refused(tmp_path: Path) -> None:
    """A file name that is no text, or not composed, has no place in a canonical map."""
    path = write_node(tmp_path, SMALL, {**FILES, "normalise.py": "exec('')"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py")).write_text("")

    assert code(path) == "MAN025"


def test_a_wrong_manifest_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    """Reading a subject reports what loading its manifest reports."""
    path = write_node(tmp_path, SMALL.replace("pure", "pur").replace("1.0.0", "1"))
    with pytest.raises(RequestError) as caught:
        read_subject(path)
    assert [d.code for d in caught.value.diagnostics] == ["MAN010", "MAN008"]


def test_the_folder_may_be_named_in_any_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject is the same whether its manifest is named from within, from above, or through a link."""
    path = write_node(tmp_path / "node")
    (tmp_path / "link").symlink_to(tmp_path / "node", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "node")
    names = [path, Path("node.toml"), Path("../node/node.toml"), tmp_path / "link/node.toml"]

    assert {read_subject(path).subject.digest} == {read_subject(name).subject.digest for name in names}
