"""Evidence: what was examined, with what, and what was found, as one value with one digest.

Rules this module keeps:

- evidence is canonical CBOR; its digest is the BLAKE3 address of these bytes;
- everything it does not hold itself it names by digest, and a bundle has the bytes of each;
- reading is strict: unknown members, malformed digests and times, and data that would not be written again as they
  were read are refused;
- evidence is not repaired, but for one thing: text and numbers in results that have no canonical form are quoted, so
  that a node cannot keep its own verdict from being written down by what it answers.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from certify import codec
from certify.evidence import dsse, errors, forms, statement
from certify.evidence.errors import EvidenceError, because
from certify.evidence.keys import PublicKey
from certify.evidence.verdict import CheckResult, Verdict, overall
from certify_spec.diagnostics import Diagnostic

SCHEMA: Final = 1
"""The version of the evidence's form."""

_MEMBERS: Final = frozenset({
    "schema", "node", "version", "subject", "files", "manifest", "results", "sbom", "policy", "tools", "laboratory",
    "started", "finished", "waivers",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one certification of one node rests on.

    Attributes:
        node: the node's id.
        version: the node's version.
        subject: the subject's digest: the address of the canonical map `files`.
        files: the digest of each of the node's files by path relative to the manifest's folder.
        manifest: the digest of the text of `node.toml`.
        results: what each check says.
        sbom: the digest of the CycloneDX document.
        policy: the digest of the policies that were applied.
        tools: versions by name: certify, python, the libraries that judge, bubblewrap, the kernel.
        laboratory: the settings of the laboratory: environment, limits, what it could observe.
        started: when the certification began: RFC 3339 in UTC.
        finished: when it ended.
        waivers: digests of the envelopes of the waivers that cover a finding.

    Raises:
        ValueError: there is no result, or two results are of one check.
    """

    node: str
    version: str
    subject: str
    files: Mapping[str, str]
    manifest: str
    results: tuple[CheckResult, ...]
    sbom: str
    policy: str
    tools: Mapping[str, str]
    laboratory: Mapping[str, Any]
    started: str
    finished: str
    waivers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks = [result.check for result in self.results]
        if not checks:
            raise ValueError("evidence without a check says nothing")
        if twice := sorted({check for check in checks if checks.count(check) > 1}):
            raise ValueError(f"two results are of one check: {', '.join(twice)}")

    @property
    def name(self) -> str:
        """``id@version``."""
        return f"{self.node}@{self.version}"

    @property
    def verdict(self) -> Verdict:
        """The verdict over all checks."""
        return overall(self.results)

    @property
    def digest(self) -> str:
        """The content address of `encode`."""
        return codec.address(self.encode())

    @property
    def references(self) -> frozenset[str]:
        """Digests of all blobs that the evidence names."""
        artefacts = (digest for result in self.results for digest in result.artefacts.values())
        return frozenset({self.manifest, self.sbom, self.policy, *self.waivers, *self.files.values(), *artefacts})

    def encode(self) -> bytes:
        """The evidence as canonical CBOR.

        Raises:
            certify.codec.EncodingError: a value of a check or of the laboratory has no canonical encoding.
        """
        return codec.encode(self.to_data())

    def to_data(self) -> dict[str, Any]:
        """The evidence as a map; `from_data` is its inverse."""
        return {
            "schema": SCHEMA,
            "node": self.node,
            "version": self.version,
            "subject": self.subject,
            "files": dict(self.files),
            "manifest": self.manifest,
            "results": [quotable(result.to_data()) for result in self.results],
            "sbom": self.sbom,
            "policy": self.policy,
            "tools": dict(self.tools),
            "laboratory": dict(self.laboratory),
            "started": self.started,
            "finished": self.finished,
            "waivers": list(self.waivers),
        }

    @classmethod
    def from_data(cls, data: object) -> Evidence:
        """Read evidence back from its map.

        Raises:
            EvidenceError: EVD001, the map is not evidence of a schema that this release knows.
        """
        try:
            evidence = cls._read(data)
            unstable = codec.encode(evidence.to_data()) != codec.encode(data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reason = str(error) if isinstance(error, ValueError) else f"a check's result is incomplete ({error!r})"
            raise EvidenceError(because(errors.MALFORMED_EVIDENCE, "this is no evidence", reason)) from None
        if unstable:
            reason = "read and written again it is something else"
            raise EvidenceError(because(errors.MALFORMED_EVIDENCE, "this is no evidence", reason))
        return evidence

    @classmethod
    def decode(cls, data: bytes) -> Evidence:
        """Read evidence back from its canonical bytes.

        Raises:
            EvidenceError: EVD001, as `from_data`, or the bytes are not canonical.
        """
        try:
            value = codec.decode(data)
        except codec.EncodingError as error:
            raise EvidenceError(because(errors.MALFORMED_EVIDENCE, "this is no evidence", str(error))) from None
        return cls.from_data(value)

    @classmethod
    def _read(cls, data: object) -> Evidence:
        schema = forms.mapping(data, "the evidence").get("schema")
        if type(schema) is not int or schema != SCHEMA:
            raise forms.FormError(f"its schema is {schema!r:.40}, and this release reads schema {SCHEMA}")
        found = forms.members(data, _MEMBERS, "the evidence")
        files = {
            path: forms.digest(digest, f"files[{path!r}]")
            for path, digest in forms.mapping(found["files"], "files").items()
        }
        evidence = cls(
            node=forms.text(found["node"], "node"),
            version=forms.text(found["version"], "version"),
            subject=forms.digest(found["subject"], "subject"),
            files=files,
            manifest=forms.digest(found["manifest"], "manifest"),
            results=tuple(CheckResult.from_data(result) for result in forms.sequence(found["results"], "results")),
            sbom=forms.digest(found["sbom"], "sbom"),
            policy=forms.digest(found["policy"], "policy"),
            tools=forms.texts(found["tools"], "tools"),
            laboratory=forms.mapping(found["laboratory"], "laboratory"),
            started=forms.moment(found["started"], "started"),
            finished=forms.moment(found["finished"], "finished"),
            waivers=tuple(forms.digest(waiver, "a waiver") for waiver in forms.sequence(found["waivers"], "waivers")),
        )
        for result in evidence.results:
            forms.text(result.check, "the id of a check")
            for name, digest in result.artefacts.items():
                forms.digest(digest, f"{result.check}.artefacts[{name!r}]")
        if evidence.subject != codec.address(codec.encode(files)):
            raise forms.FormError("the subject is not the digest of the files")
        return evidence


@dataclass(frozen=True, slots=True)
class Bundle:
    """Evidence with all it names, and the signed statement about it: what can be checked without anybody's help.

    Attributes:
        evidence: the evidence.
        blobs: the bytes that the evidence names, by digest; its own bytes may be among them.
        envelope: the DSSE envelope of the statement.
    """

    evidence: Evidence
    blobs: Mapping[str, bytes] = field(repr=False)
    envelope: bytes = field(repr=False)

    def verify(self, public_keys: Iterable[PublicKey]) -> dsse.Verified:
        """Who signed, after everything has been checked: signature, statement, and the digest of every blob.

        Raises:
            SignatureError: SIG001 to SIG005, the signed statement does not hold.
            EvidenceError: EVD002 the statement is about other evidence; EVD003, EVD004 blobs are altered or missing,
                all of them named.
        """
        verified = dsse.verify(self.envelope, public_keys, payload_type=statement.PAYLOAD_TYPE)
        problems = [*self._disagreements(statement.Statement.from_json(verified.payload)), *self._blob_problems()]
        if problems:
            raise EvidenceError(*problems)
        return verified

    def _disagreements(self, signed: statement.Statement) -> Iterable[Diagnostic]:
        sbom = self.blobs.get(self.evidence.sbom, b"")
        if codec.address(sbom) != self.evidence.sbom:
            return  # reported as a blob that is altered or missing
        expected = statement_of(self.evidence, sbom)
        if signed != expected:
            different = ", ".join(statement.differences(signed.to_data(), expected.to_data()))
            yield because(errors.OTHER_EVIDENCE, f"the statement is not about {self.evidence.name}", different)

    def _blob_problems(self) -> Iterable[Diagnostic]:
        for digest, data in sorted(self.blobs.items()):
            if codec.address(data) != digest:
                yield because(errors.ALTERED_BLOB, f"the blob {digest} was altered", f"it has {codec.address(data)}")
        for digest in sorted(self.evidence.references - self.blobs.keys()):
            yield because(errors.MISSING_BLOB, f"the blob {digest} is missing", "the evidence names it")


def statement_of(evidence: Evidence, sbom: bytes) -> statement.Statement:
    """The statement to sign about `evidence`; `sbom` are the bytes that it names.

    Raises:
        ValueError: `sbom` does not have the digest that the evidence names.
    """
    if codec.address(sbom) != evidence.sbom:
        raise ValueError("the SBOM is not the one that the evidence names")
    return statement.Statement(
        name=evidence.name,
        subject=statement.Digests.of(codec.encode(dict(evidence.files))),
        evidence=statement.Digests.of(evidence.encode()),
        sbom=statement.Digests.of(sbom),
        policy=evidence.policy,
        verdict=statement.word(evidence.verdict),
        checks={result.check: statement.word(result.verdict) for result in evidence.results},
        waivers=evidence.waivers,
        finished=evidence.finished,
    )


def quotable(value: Any) -> Any:
    """The value with text and numbers that have no canonical form made visible as text.

    Text is written as Python's `ascii` would: lone surrogates are escaped, and of text that is not in Normalization
    Form C every character beyond ASCII is. Integers beyond 64 bits are written in hexadecimal digits, and floats that
    are not finite by their names. Everything else is left as it is.
    """
    if isinstance(value, str):
        return _escaped(value) if _needs_escape(value) else value
    if isinstance(value, Mapping):
        return {quotable(key): quotable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [quotable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, int) and not codec.MIN_INT <= value <= codec.MAX_INT:
        return hex(value)
    return value


def _needs_escape(text: str) -> bool:
    if text.isascii():
        return False
    return any("\ud800" <= c <= "\udfff" for c in text) or not unicodedata.is_normalized("NFC", text)


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
