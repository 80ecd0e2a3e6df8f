"""The software bill of materials: CycloneDX 1.6, of what a run really imported.

Rules this module keeps:

- components are the node's own files, the interpreter, the distributions that the run imported, and what these require;
  what was required and not imported says so;
- equal input gives equal bytes: serial number, time and references are derived from it, nothing from the clock;
- a module of unknown origin is a component of its own, never left out.
"""

from __future__ import annotations

import platform
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from certify import __version__
from certify.codec import address, encode
from certify.evidence import installed
from certify.evidence.installed import Distribution, Installed
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

UNKNOWN_ORIGIN: Final = Rule(
    "SBOM001",
    "a module was imported that belongs to no installed distribution",
    "install it as a distribution, or move it into the node's folder and declare it there",
)
ALTERED_FILE: Final = Rule(
    "SBOM002",
    "an imported file is not the one that its distribution was installed with",
    "install the distribution again, and find out who changed the file",
)
WRONG_EPOCH: Final = Rule(
    "SBOM003", "SOURCE_DATE_EPOCH is not a whole number of seconds since 1970", "correct the variable, or unset it"
)

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:certify:sbom:v1")


@dataclass(frozen=True, slots=True)
class Imports:
    """What a run imported, sorted by where it comes from.

    Attributes:
        standard: modules of the standard library.
        distributions: imported modules by normalised name of the distribution.
        unknown: modules of unknown origin.
    """

    standard: tuple[str, ...]
    distributions: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]


def sort_imports(modules: Iterable[str], own_files: Iterable[str], here: Installed) -> Imports:
    """Sort dotted module names by origin; modules of the node's own files and ``__main__`` are left out."""
    own = {path.partition("/")[0].removesuffix(".py") for path in own_files if path.endswith(".py")} | {"__main__"}
    standard: set[str] = set()
    unknown: set[str] = set()
    distributions: dict[str, set[str]] = {}
    for module in set(modules):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            standard.add(module)
        elif top not in own:
            providers = here.providing(module)
            for distribution in providers:
                distributions.setdefault(distribution.name, set()).add(module)
            if not providers:
                unknown.add(module)
    return Imports(
        tuple(sorted(standard)),
        {name: tuple(sorted(names)) for name, names in sorted(distributions.items())},
        tuple(sorted(unknown)),
    )


def build_sbom(
    *,
    node: str,
    version: str,
    files: Mapping[str, str],
    modules: Iterable[str],
    moment: datetime,
    here: Installed | None = None,
) -> bytes:
    """The CycloneDX 1.6 document, as JSON, of one node and one run.

    Args:
        node: the node's id.
        version: the node's version.
        files: BLAKE3 digests (hex) of the node's files by path; their canonical map's address gives the serial number.
        modules: dotted names of all modules that the run imported.
        moment: the time to write; see `moment_of`.
        here: where to look distributions up; by default among those of this interpreter.

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    index = here or installed.here()
    imports = sort_imports(modules, files, index)
    subject = _subject(node, version, files)
    interpreter = _interpreter(imports.standard)
    closure = index.closure(imports.distributions)
    libraries = {
        name: _library(distribution, imports.distributions.get(name)) for name, distribution in closure.items()
    }
    strangers = [_stranger(module) for module in imports.unknown]
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, address(encode(dict(files)))),
        metadata=BomMetaData(
            timestamp=moment.astimezone(UTC).replace(microsecond=0),
            component=subject,
            tools=ToolRepository(components=[_certify()]),
        ),
        components=[interpreter, *libraries.values(), *strangers],
    )
    bom.register_dependency(subject, [interpreter, *(libraries[name] for name in imports.distributions), *strangers])
    for name, distribution in closure.items():
        bom.register_dependency(libraries[name], _required(name, distribution, closure, libraries, index))
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def doubts(modules: Iterable[str], files: Mapping[str, str], here: Installed | None = None) -> tuple[Diagnostic, ...]:
    """What speaks against the imported modules themselves: unknown origin, or a file changed since installation.

    The arguments are those of `build_sbom`. Files that are not there any more count as changed.
    """
    index = here or installed.here()
    imports = sort_imports(modules, files, index)
    found = [
        Diagnostic(UNKNOWN_ORIGIN, f"nothing says where module {module} comes from", fix=UNKNOWN_ORIGIN.advice)
        for module in imports.unknown
    ]
    for name, names in imports.distributions.items():
        distribution = index.named(name)
        for module in names if distribution else ():
            file = distribution.file_of(module) if distribution else None
            if file and file.recorded and file.recorded != file.found:
                message = f"{file.path} of {name} is not the file that was installed"
                reason = f"its SHA-256 is {file.found or 'that of no file'} and its RECORD says {file.recorded}"
                found.append(Diagnostic(ALTERED_FILE, message, because=reason, fix=ALTERED_FILE.advice))
    return tuple(found)


def moment_of(environment: Mapping[str, str], otherwise: datetime) -> datetime:
    """The moment that SOURCE_DATE_EPOCH names, or the other one.

    Raises:
        RequestError: SBOM003, the variable is set to something else than seconds since 1970.
    """
    written = environment.get("SOURCE_DATE_EPOCH", "")
    if not written:
        return otherwise
    try:
        if not (written.isascii() and written.isdecimal()):
            raise ValueError  # noqa: TRY301 - the one message below serves both
        return datetime.fromtimestamp(int(written), UTC)
    except (ValueError, OverflowError, OSError):
        raise RequestError(
            Diagnostic(WRONG_EPOCH, f"SOURCE_DATE_EPOCH is {written[:40]!r}", fix=WRONG_EPOCH.advice)
        ) from None


def _required(
    name: str,
    distribution: Distribution,
    closure: Mapping[str, Distribution],
    libraries: Mapping[str, Component],
    index: Installed,
) -> list[Component]:
    """Components that this one requires, its extras among them as far as the closure took them in."""
    asked = frozenset().union(
        *(extras for other in closure.values() for needed, extras in index.required_by(other) if needed == name),
        frozenset(),
    )
    return [libraries[needed] for needed, _ in index.required_by(distribution, asked) if needed in libraries]


def _subject(node: str, version: str, files: Mapping[str, str]) -> Component:
    namespace, _, name = node.rpartition("/")
    purl = PackageURL("generic", namespace or None, name, version)
    return Component(
        type=ComponentType.APPLICATION,
        name=node,
        version=version,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.BLAKE3, content=address(encode(dict(files))))],
        components=[
            Component(
                type=ComponentType.FILE,
                name=path,
                bom_ref=f"file:{path}",
                hashes=[HashType(alg=HashAlgorithm.BLAKE3, content=digest)],
            )
            for path, digest in sorted(files.items())
        ],
    )


def _interpreter(standard: Iterable[str]) -> Component:
    name = sys.implementation.name
    purl = PackageURL("generic", None, name, platform.python_version())
    return Component(
        type=ComponentType.PLATFORM,
        name=name,
        version=platform.python_version(),
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[DisjunctiveLicense(id="PSF-2.0")] if name == "cpython" else None,
        properties=[Property(name="certify:module", value=module) for module in standard],
    )


def _library(distribution: Distribution, modules: Iterable[str] | None) -> Component:
    purl = PackageURL("pypi", None, distribution.name, distribution.version)
    files = {file.path: file for module in modules or () if (file := distribution.file_of(module))}
    return Component(
        type=ComponentType.LIBRARY,
        name=distribution.name,
        version=distribution.version,
        bom_ref=purl.to_string(),
        purl=purl,
        scope=ComponentScope.REQUIRED if modules else ComponentScope.OPTIONAL,
        licenses=[_licence(distribution.licence)] if distribution.licence else None,
        properties=[
            Property(name="certify:imported", value="true" if modules else "false"),
            *(Property(name="certify:module", value=module) for module in modules or ()),
        ],
        components=[
            Component(
                type=ComponentType.FILE,
                name=path,
                bom_ref=f"{purl.to_string()}#{path}",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.recorded)],
            )
            for path, file in sorted(files.items())
            if len(file.recorded) == 64
        ],
    )


def _stranger(module: str) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=module,
        bom_ref=f"module:{module}",
        properties=[Property(name="certify:origin", value="unknown")],
    )


def _certify() -> Component:
    return Component(type=ComponentType.APPLICATION, name="certify", version=__version__)


def _licence(written: str) -> DisjunctiveLicense | LicenseExpression:
    return LicenseFactory().make_from_string(written)
