"""The bill of materials (C-SBOM): valid, reproducible, complete, and compared with what the node declares."""

import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from certify.evidence.dependencies import imported_but_not_declared
from certify.evidence.installed import Installed
from certify.evidence.sbom import build_sbom, doubts, moment_of, sort_imports
from certify_spec.diagnostics import RequestError

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FILES = {"node.toml": "a" * 64, "charge.py": "b" * 64, "helpers/__init__.py": "c" * 64}


def install(site: Path, name: str, version: str, files: Mapping[str, str], *metadata: str) -> None:
    """Install a distribution by hand: its files, its METADATA and its RECORD with digests."""
    lines = []
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    header = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *metadata]
    (info / "METADATA").write_text("\n".join(header) + "\n")
    (info / "RECORD").write_text("\n".join([*lines, f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]) + "\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed distributions that know each other."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(
        folder,
        "Web-Client",
        "2.1",
        {"web_client/__init__.py": "import plumbing", "web_client/tls.py": ""},
        "License-Expression: Apache-2.0 OR MIT",
        "Requires-Dist: plumbing>=1",
        "Requires-Dist: shiny; extra == 'colour'",
        "Requires-Dist: never-here; sys_platform == 'amiga'",
    )
    install(folder, "plumbing", "1.5", {"plumbing.py": ""}, "Classifier: License :: OSI Approved :: MIT License")
    install(folder, "shiny", "0.1", {"shiny.py": ""}, "License: do what you like\n        within reason")
    install(folder, "cloud-storage", "1.0", {"cloud/storage/__init__.py": ""}, "Requires-Dist: plumbing")
    install(folder, "cloud-queue", "1.0", {"cloud/queue/__init__.py": ""}, "Requires-Dist: plumbing")
    return folder


def installed(site: Path) -> Installed:
    """The distributions of the fixture."""
    return Installed([str(site)])


def sbom(site: Path, *modules: str, **changes: Any) -> dict[str, Any]:
    """The document for a run that imported these modules."""
    arguments: dict[str, Any] = {"node": "payments/charge", "version": "1.0.0", "files": FILES, "moment": MOMENT}
    data = build_sbom(modules=modules, here=installed(site), **(arguments | changes))
    document: dict[str, Any] = json.loads(data)
    return document


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The components by name."""
    return {component["name"]: component for component in document["components"]}


def test_the_document_is_valid_cyclonedx(site: Path) -> None:
    """C-SBOM: the strict validator of CycloneDX 1.6 finds nothing, with components of every kind."""
    document = sbom(site, "json", "web_client.tls", "plumbing", "charge", "stranger", "cloud.queue", "shiny")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


def test_the_document_of_this_process_is_valid_cyclonedx() -> None:
    """C-SBOM: so is the document of all that this process has imported, and it names pytest."""
    data = build_sbom(node="n", version="1.0.0", files=FILES, modules=list(sys.modules), moment=MOMENT)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    assert "pytest" in by_name(json.loads(data))


def test_equal_input_gives_equal_bytes_in_other_processes(site: Path) -> None:
    """C-SBOM: neither the order of modules nor the hash seed nor the clock reaches the bytes."""
    program = (
        "import sys; from datetime import *; from certify.evidence.sbom import *\n"
        f"here = Installed([{str(site)!r}])\n"
        "modules = {'json', 'web_client', 'web_client.tls', 'plumbing', 'x', 'y', 'z'}\n"
        f"sys.stdout.buffer.write(build_sbom(node='n', version='1', files={FILES!r}, modules=modules, here=here,\n"
        "    moment=datetime(2026, 1, 1, tzinfo=UTC)))"
    )
    written = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1


def test_the_serial_number_follows_the_subject(site: Path) -> None:
    """C-SBOM: equal files give an equal serial number, other files another."""
    serials = [sbom(site, files=files)["serialNumber"] for files in (FILES, dict(FILES), {**FILES, "x.py": "d" * 64})]
    assert [serials[0] == serials[1], serials[0] == serials[2]] == [True, False]


def test_components_say_what_was_imported(site: Path) -> None:
    """C-SBOM: an imported distribution is required, one that it requires optional, the others are left out."""
    document = sbom(site, "web_client")
    scopes = {component["name"]: component.get("scope") for component in document["components"]}
    assert scopes == {"cpython": None, "web-client": "required", "plumbing": "optional"}


def test_components_carry_version_purl_licence_and_recorded_digests(site: Path) -> None:
    """C-SBOM: purl, SPDX expression, and the SHA-256 that RECORD gives for the imported file."""
    found = by_name(sbom(site, "web_client.tls", "plumbing", "shiny"))
    assert "pkg:pypi/web-client@2.1" == found["web-client"]["purl"] == found["web-client"]["bom-ref"]
    assert found["web-client"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert found["plumbing"]["licenses"] == [{"license": {"name": "MIT License"}}]
    assert found["shiny"]["licenses"] == [{"license": {"name": "do what you like"}}]
    [file] = found["web-client"]["components"]
    assert file["name"] == "web_client/tls.py"
    assert [{"alg": "SHA-256", "content": hashlib.sha256(b"").hexdigest()}] == file["hashes"]


def test_the_dependency_graph_is_transitive_and_leaves_out_what_does_not_apply(site: Path) -> None:
    """C-SBOM: edges follow requirements whose markers hold here; extras nobody asks for are left out."""
    edges = {edge["ref"]: edge.get("dependsOn", []) for edge in sbom(site, "web_client", "shiny")["dependencies"]}
    assert edges["pkg:pypi/web-client@2.1"] == ["pkg:pypi/plumbing@1.5"]
    subject = edges["pkg:generic/payments/charge@1.0.0"]
    assert [ref for ref in subject if "pypi" in ref] == ["pkg:pypi/shiny@0.1", "pkg:pypi/web-client@2.1"]


def test_namespace_packages_are_told_apart(site: Path) -> None:
    """C-SBOM: of two distributions that share a namespace the one with the module counts."""
    assert {"cloud-queue"} == set(sort_imports(["cloud.queue"], (), installed(site)).distributions)


def test_a_module_of_unknown_origin_is_a_component_and_a_doubt(site: Path) -> None:
    """C-SBOM: SBOM001, it is never left out."""
    assert "stranger.deep" in by_name(sbom(site, "stranger.deep"))
    assert [doubt.code for doubt in doubts(["stranger.deep", "json", "plumbing"], FILES, installed(site))] == [
        "SBOM001"
    ]


@pytest.mark.parametrize("content", ["import os", None])
def test_a_file_changed_after_installation_is_a_doubt(site: Path, content: str | None) -> None:
    """C-SBOM: SBOM002, a patched or removed file of an imported module; other modules' files do not matter."""
    if content is None:
        (site / "plumbing.py").unlink()
    else:
        (site / "plumbing.py").write_text(content)
    assert [doubt.code for doubt in doubts(["plumbing"], FILES, installed(site))] == ["SBOM002"]
    assert doubts(["web_client"], FILES, installed(site)) == ()


def test_the_nodes_own_modules_are_no_distributions(site: Path) -> None:
    """C-SBOM: own modules and packages, and `__main__`, are neither components nor strangers."""
    assert (
        (found := sort_imports(["charge", "helpers.money", "__main__"], FILES, installed(site))).standard,
        found.distributions,
        found.unknown,
    ) == ((), {}, ())


def test_an_editable_installation_is_found_by_its_folder() -> None:
    """C-SBOM: this toolkit itself, however it is installed, is named for its modules."""
    assert [one.name for one in Installed().providing("certify.codec")] == ["certify-toolkit"]


def test_the_moment_follows_source_date_epoch() -> None:
    """C-SBOM: SOURCE_DATE_EPOCH counts when it is set, and the document shows it."""
    assert datetime(1970, 1, 2, tzinfo=UTC) == moment_of({"SOURCE_DATE_EPOCH": "86400"}, MOMENT)
    assert moment_of({}, MOMENT) == MOMENT


@pytest.mark.parametrize("written", ["yesterday", "-1", "1.5", "9" * 30, "\u0661"])
def test_a_wrong_source_date_epoch_is_a_clear_error(written: str) -> None:
    """C-SBOM: SBOM003, whatever is no number of seconds."""
    with pytest.raises(RequestError, match="SBOM003"):
        moment_of({"SOURCE_DATE_EPOCH": written}, MOMENT)


def test_a_moment_without_zone_is_refused(site: Path) -> None:
    """C-SBOM: local time would make the bytes depend on the machine."""
    with pytest.raises(ValueError, match="time zone"):
        sbom(site, moment=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of it


NODE = "import web_client\n\n\ndef charge():\n    import plumbing\n"


def compared(site: Path, tmp_path: Path, declarations: Mapping[str, str], *modules: str) -> list[str]:
    """Codes and places of what the comparison finds."""
    root = tmp_path / "node"
    root.mkdir()
    for name, content in {"charge.py": NODE, **declarations}.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(content.encode())
    findings = imported_but_not_declared(root, ["charge.py"], modules, here=installed(site))
    return [f"{finding.code} {finding.place}" for finding in findings]


def project(*requirements: str) -> dict[str, str]:
    """A pyproject.toml that declares these requirements."""
    return {"pyproject.toml": f'[project]\nname = "x"\ndependencies = {json.dumps(requirements)}\n'}


@pytest.mark.parametrize(
    ("declarations", "modules", "found"),
    [
        pytest.param({}, ["web_client"], [], id="nothing declared, nothing compared"),
        pytest.param({"requirements.txt": ""}, ["web_client"], ["SBOM010 charge.py:1:1"], id="declared to be empty"),
        pytest.param({"requirements.txt": "Web.Client==2.1"}, ["web_client"], [], id="declared"),
        pytest.param(project("web_client>=2"), ["web_client"], [], id="declared in pyproject"),
        pytest.param(project("shiny"), ["web_client"], ["SBOM010 charge.py:1:1"], id="another one declared"),
        pytest.param(
            {"requirements.txt": "shiny", **project("web-client")}, ["web_client", "shiny"], [], id="both files count"
        ),
        pytest.param(
            {"requirements.txt": "web-client"}, ["plumbing"], ["SBOM011 charge.py:5:5"], id="declared by chance"
        ),
        pytest.param({"requirements.txt": "cloud-queue"}, ["shiny"], ["SBOM010 None"], id="imported indirectly"),
        pytest.param({"requirements.txt": "web-client"}, ["shiny"], ["SBOM010 None"], id="an extra nobody asked for"),
        pytest.param({"requirements.txt": "web-client[colour]"}, ["shiny"], [], id="an extra asked for"),
        pytest.param(
            {"requirements.txt": "web-client<2"}, ["web_client"], ["SBOM013 requirements.txt:1:1"], id="other version"
        ),
        pytest.param(
            {"requirements.txt": "# all\n\nweb-client \\\n  >=2 # new\nshiny --hash=sha256:00\n--no-index\n"},
            ["web_client", "shiny"],
            [],
            id="comments, continuations, hashes, options",
        ),
        pytest.param(
            {"requirements.txt": "-r more/base.txt", "more/base.txt": "web-client\n-r base.txt"},
            ["web_client"],
            [],
            id="included, in a circle too",
        ),
        pytest.param(
            {"requirements.txt": "-c base.txt", "base.txt": "web-client"},
            ["web_client"],
            ["SBOM010 charge.py:1:1"],
            id="a constraint declares nothing",
        ),
        pytest.param(
            {"requirements.txt": "web-client\nwhat is this?"}, [], ["SBOM012 requirements.txt:2:1"], id="no requirement"
        ),
        pytest.param({"requirements.txt": "-r ../secret.txt"}, [], ["SBOM012 ../secret.txt"], id="out of the folder"),
        pytest.param({"requirements.txt": "-r /etc/passwd"}, [], ["SBOM012 /etc/passwd"], id="an absolute path"),
        pytest.param({"pyproject.toml": "[project"}, [], ["SBOM012 pyproject.toml"], id="no TOML"),
        pytest.param({"pyproject.toml": "[tool.ruff]\n"}, ["web_client"], [], id="tools alone declare nothing"),
        pytest.param(
            {"pyproject.toml": '[project]\ndynamic = ["dependencies"]\n'}, ["web_client"], [], id="dynamic dependencies"
        ),
        pytest.param(
            {"pyproject.toml": '[project]\ndependencies = "web-client"\n'},
            [],
            ["SBOM012 pyproject.toml"],
            id="dependencies that are text",
        ),
        pytest.param(
            {"requirements.txt": "web-client; sys_platform == 'amiga'"},
            ["web_client"],
            ["SBOM010 charge.py:1:1"],
            id="declared for another platform",
        ),
    ],
)
def test_imports_are_compared_with_declarations(
    site: Path, tmp_path: Path, declarations: Mapping[str, str], modules: list[str], found: list[str]
) -> None:
    """C-SBOM: each import that the node does not declare is found, at its line where the node's text has one."""
    assert found == compared(site, tmp_path, declarations, *modules)


def test_what_the_toolkit_provides_needs_no_declaration(tmp_path: Path) -> None:
    """C-SBOM: a node may import the toolkit, and what the toolkit imports for it, undeclared."""
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "charge.py").write_text("from certify.key import idempotency_key\n")
    assert imported_but_not_declared(tmp_path, ["charge.py"], ["certify.key", "blake3.blake3"]) == ()


def test_importing_what_the_toolkit_merely_uses_is_found(tmp_path: Path) -> None:
    """C-SBOM: SBOM010, a node that imports BLAKE3 in its own text depends on it by itself."""
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "charge.py").write_text("import blake3\n")
    [finding] = imported_but_not_declared(tmp_path, ["charge.py"], ["blake3"])
    assert (finding.code, str(finding.place)) == ("SBOM010", "charge.py:1:1")
