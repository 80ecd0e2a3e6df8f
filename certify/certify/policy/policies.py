"""An organisation's policies: Cedar text and settings, read, checked and addressed.

Rules this module keeps:

- a policy that would not be evaluated is an error: a wrong name, a template, a file that is not read, a policy without
  an id are all refused when the set is loaded, never skipped;
- an organisation's policies are added to the shipped ones; one with the id of a shipped policy replaces it, and
  ``defaults.leave_out`` of policy.toml removes it by name, so that nothing disappears silently;
- a set's digest covers every text and setting that a decision can depend on, and no path.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import cedarpy
import cedarpy.pst

from certify import codec
from certify.manifest.positions import index
from certify.policy import rules, text
from certify.policy.settings import SETTINGS_FILE, Settings, merge_settings, read_settings
from certify_spec.diagnostics import Diagnostic, Note, Place, RequestError, in_order

_ID: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SHIPPED: Final = "shipped"
_LARGEST_FILE: Final = 2**20
_NOTES: Final = (".md", ".txt", ".rst")


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy.

    Attributes:
        id: its `@id`.
        reason: its `@reason`: why it refuses, or permits.
        fix: its `@fix`: what to do when it refuses; may be empty for a permit.
        text: the Cedar text, annotations included.
        place: where it is written.
    """

    id: str
    effect: Literal["permit", "forbid"]
    reason: str
    fix: str
    text: str
    place: Place


@dataclass(frozen=True)
class PolicySet:
    """Policies and settings that have been checked, ready to decide.

    Attributes:
        policies: in the order in which the engine knows them.
        settings: what the organisation sets: hosts, regions, ceilings.
    """

    policies: tuple[Policy, ...]
    settings: Settings
    engine: cedarpy.PolicySet = field(compare=False, repr=False)
    vocabulary: cedarpy.Schema = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross a process boundary as text: the engine's handles cannot."""
        return _rebuild, (self.policies, self.settings)

    def by_position(self, position: str) -> Policy:
        """The policy that the engine calls ``policy0``, ``policy1`` and so on."""
        return self.policies[int(position.removeprefix("policy"))]

    @cached_property
    def digest(self) -> str:
        """BLAKE3 of the canonical form of `to_data`."""
        return codec.address(codec.encode(self.to_data()))

    @property
    def texts(self) -> Mapping[str, str]:
        """The text of each policy in effect, by id."""
        return {policy.id: policy.text for policy in self.policies}

    def to_data(self) -> dict[str, Any]:
        """Everything that decisions depend on; `from_data` gives an equal set, but for places."""
        return {
            "policies": [policy.text for policy in self.policies],
            "settings": self.settings.to_data(),
            "vocabulary": vocabulary_text(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PolicySet:
        """Read a set back from evidence, to decide again what was decided then.

        Raises:
            RequestError: the text is not a set of policies, or it was written for another vocabulary.
        """
        if data["vocabulary"] != vocabulary_text():
            raise RequestError(
                Diagnostic(
                    rules.SCHEMA,
                    "the policies in the evidence were written for another vocabulary than this release has",
                    fix="check again with the release that made the evidence",
                )
            )
        settings = Settings.from_data(data["settings"])
        return _assemble([policy for each in data["policies"] for policy in _read_text(each, "evidence")], settings)


def load_policies(path: Path | None = None) -> PolicySet:
    """The shipped policies, with those of an organisation when `path` names them.

    Args:
        path: a folder of ``.cedar`` files with an optional ``policy.toml``, or one ``.cedar`` file, beside which
            ``policy.toml`` is looked for; None for the shipped policies alone.

    Raises:
        RequestError: anything in there is wrong; all of it is reported at once (POL001 to POL010).
    """
    if path is None:
        return _shipped_set()
    problems: list[Diagnostic] = []
    own: list[Policy] = []
    settings_file, policy_files = _files(path)
    for file in policy_files:
        with _collecting(problems):
            own += _read_text(_content(file), str(file))
    settings = _shipped_settings()
    with _collecting(problems):
        if settings_file is not None:
            settings = merge_settings(_shipped_settings_text(), _content(settings_file), str(settings_file))
    shipped = _shipped_policies()
    problems += _unknown_leave_outs(settings, shipped, settings_file)
    if problems:
        raise RequestError(*in_order(problems))
    removed = {policy.id for policy in own} | set(settings.defaults.leave_out)
    return _assemble([policy for policy in shipped if policy.id not in removed] + own, settings)


def policies_over(content: str, file: str, vocabulary: str) -> PolicySet:
    """The policies of one text over a vocabulary of its own, with the shipped settings.

    Args:
        content: Cedar text.
        file: what it is called in messages.
        vocabulary: the Cedar schema that the policies are validated against.

    Raises:
        RequestError: the text is not a set of policies over that vocabulary; all of it is reported at once.
    """
    words = cedarpy.Schema.from_str(vocabulary)
    return replace(_assemble(_read_text(content, file, words), _shipped_settings()), vocabulary=words)


def vocabulary_text() -> str:
    """The Cedar schema that policies are validated against."""
    return (resources.files("certify.policy") / "certify.cedarschema").read_text("utf-8")


@lru_cache(maxsize=1)
def _vocabulary() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(vocabulary_text())


@lru_cache(maxsize=1)
def _shipped_settings() -> Settings:
    return read_settings(_shipped_settings_text(), f"{_SHIPPED}/{SETTINGS_FILE}")


def _shipped_settings_text() -> str:
    return (resources.files("certify.policy") / "default" / SETTINGS_FILE).read_text("utf-8")


@lru_cache(maxsize=1)
def _shipped_policies() -> tuple[Policy, ...]:
    folder = resources.files("certify.policy") / "default"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".cedar")), key=lambda file: file.name)
    return tuple(policy for file in files for policy in _read_text(file.read_text("utf-8"), f"{_SHIPPED}/{file.name}"))


@lru_cache(maxsize=1)
def _shipped_set() -> PolicySet:
    return _assemble(_shipped_policies(), _shipped_settings())


def _rebuild(policies: tuple[Policy, ...], settings: Settings) -> PolicySet:
    engine = cedarpy.PolicySet.from_str("\n".join(policy.text for policy in policies))
    return PolicySet(policies, settings, engine, _vocabulary())


def _assemble(policies: Iterable[Policy], settings: Settings) -> PolicySet:
    ordered = tuple(sorted(policies, key=lambda policy: policy.id))
    problems = [
        Diagnostic(
            rules.DUPLICATE,
            f"two policies have the id `{first.id}`",
            second.place,
            notes=(Note("the other one is here", first.place),),
            fix="give one of them another id",
        )
        for first, second in pairwise(ordered)
        if first.id == second.id
    ]
    if problems:
        raise RequestError(*problems)
    return _rebuild(ordered, settings)


@contextmanager
def _collecting(problems: list[Diagnostic]) -> Iterator[None]:
    """Go on after a wrong file, so that all mistakes are reported at once."""
    try:
        yield
    except RequestError as error:
        problems.extend(error.diagnostics)


def _files(path: Path) -> tuple[Path | None, list[Path]]:
    """The settings file and the policy files that `path` stands for."""
    if path.is_file() and path.suffix == ".cedar":
        beside = path.parent / SETTINGS_FILE
        return (beside if beside.is_file() else None), [path]
    if not path.is_dir():
        what = "is neither a folder nor a .cedar file" if path.exists() else "does not exist"
        raise RequestError(_unreadable(path, f"{path} {what}"))
    try:
        entries = sorted(entry for entry in path.iterdir() if not _is_no_policy(entry))
    except OSError as error:
        raise RequestError(_unreadable(path, f"{path} cannot be listed: {error.strerror}")) from None
    settings = [entry for entry in entries if entry.name == SETTINGS_FILE and entry.is_file()]
    policies = [entry for entry in entries if entry.suffix == ".cedar" and entry.is_file()]
    unread = [entry for entry in entries if entry not in settings + policies]
    if unread:
        raise RequestError(*(_unread(entry) for entry in unread))
    if not entries:
        raise RequestError(_unreadable(path, f"{path} holds neither policies nor a {SETTINGS_FILE}"))
    return (settings[0] if settings else None), policies


def _is_no_policy(entry: Path) -> bool:
    """Whether a folder's entry is there for another reader: documentation, and what a version control keeps."""
    return entry.name in {".git", ".gitignore", ".gitattributes"} or (entry.suffix in _NOTES and entry.is_file())


def _unread(entry: Path) -> Diagnostic:
    what = "the folder" if entry.is_dir() else "the file"
    return Diagnostic(
        rules.UNREAD_FILE,
        f"{what} {entry.name} in the policy folder would not be read",
        Place(str(entry), 1, 1),
        fix=f"rename it to *.cedar, or move it out of {entry.parent}",
    )


def _unreadable(path: Path, message: str) -> Diagnostic:
    return Diagnostic(rules.UNREADABLE, message, Place(str(path), 1, 1), fix=rules.UNREADABLE.advice)


def _content(file: Path) -> str:
    try:
        raw = file.read_bytes() if file.stat().st_size <= _LARGEST_FILE else None
    except OSError as error:
        raise RequestError(_unreadable(file, f"{file} cannot be read: {error.strerror}")) from None
    if raw is None:
        raise RequestError(_unreadable(file, f"{file} is larger than 1 MiB"))
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RequestError(
            Diagnostic(rules.UNREADABLE, f"{file} is not UTF-8", Place(str(file), line, 1), fix="save it as UTF-8")
        ) from None
    if not unicodedata.is_normalized("NFC", content):
        at = next(i for i, pair in enumerate(zip(content, unicodedata.normalize("NFC", content))) if pair[0] != pair[1])  # noqa: B905 - the shorter one ends it
        raise RequestError(
            Diagnostic(
                rules.UNREADABLE,
                f"{file} holds text that is not in Unicode Normalization Form C",
                text.place_at(content, str(file), max(at - 1, 0)),
                because="two spellings of one text are different strings to a policy",
                fix="save the file in Normalization Form C",
            )
        )
    return content


def _unknown_leave_outs(settings: Settings, shipped: Iterable[Policy], file: Path | None) -> list[Diagnostic]:
    known = {policy.id for policy in shipped}
    unknown = [(i, name) for i, name in enumerate(settings.defaults.leave_out) if name not in known]
    if file is None or not unknown:
        return []
    places = index(_content(file))
    return [
        Diagnostic(
            rules.LEFT_OUT,
            f"no shipped policy has the id {name!r}",
            places.value(("defaults", "leave_out", i)).within(str(file)),
            fix=f"write one of {', '.join(sorted(known))}",
        )
        for i, name in unknown
    ]


def _read_text(content: str, file: str, vocabulary: cedarpy.Schema | None = None) -> list[Policy]:
    """The policies of one file, each parsed, annotated and validated.

    Raises:
        RequestError: every mistake in the file.
    """
    problems: list[Diagnostic] = []
    policies: list[Policy] = []
    for statement in text.statements(content, file):
        with _collecting(problems):
            policies.append(_read_statement(statement, content, vocabulary or _vocabulary()))
    if problems:
        raise RequestError(*problems)
    return policies


def _read_statement(statement: text.Statement, content: str, vocabulary: cedarpy.Schema) -> Policy:
    template = _parsed(statement, content)
    problems = [*_annotation_problems(template, statement), *_vocabulary_problems(statement, vocabulary)]
    if not problems and _can_never_decide(statement):
        problems = [
            Diagnostic(
                rules.NEVER, "the policy's condition is false whatever is asked", statement.place, fix="remove it"
            )
        ]
    if problems:
        raise RequestError(*problems)
    notes = template.annotations
    return Policy(notes["id"], template.effect, notes["reason"], notes.get("fix", ""), statement.text, statement.place)


def _parsed(statement: text.Statement, content: str) -> cedarpy.pst.Template:
    try:
        parsed = cedarpy.PolicySet.from_str(statement.text).to_pst()
    except ValueError as error:
        found = text.fault(statement, content, str(error))
        raise RequestError(Diagnostic(rules.SYNTAX, found.message, found.place, fix=rules.SYNTAX.advice)) from None
    if parsed.templates or len(parsed.static_policies) != 1:
        raise RequestError(
            Diagnostic(
                rules.TEMPLATE,
                "the policy is a template: with ?principal or ?resource open it decides nothing",
                statement.place,
                fix=rules.TEMPLATE.advice,
            )
        )
    return next(iter(parsed.static_policies.values()))


def _annotation_problems(template: cedarpy.pst.Template, statement: text.Statement) -> Iterator[Diagnostic]:
    needed = ("id", "reason", "fix") if template.effect == "forbid" else ("id", "reason")
    for name in needed:
        if not template.annotations.get(name, "").strip():
            message = f"the {template.effect} has no @{name}"
            yield Diagnostic(rules.ANNOTATION, message, statement.place, fix=f'write @{name}("…") before it')
    own_id = template.annotations.get("id", "").strip()
    if own_id and not _ID.fullmatch(own_id):
        message = f"the id {own_id!r} is not lower-case words joined by hyphens"
        yield Diagnostic(rules.ANNOTATION, message, statement.place, fix="write an id such as egress-allowed")


def _vocabulary_problems(statement: text.Statement, vocabulary: cedarpy.Schema) -> Iterator[Diagnostic]:
    for error in cedarpy.validate_policies(statement.text, vocabulary).errors:
        message = re.sub(r"^for policy `policy\d+`, ", "", error.error)
        yield Diagnostic(rules.SCHEMA, message, _named_in(statement, message), fix=rules.SCHEMA.advice)


def _named_in(statement: text.Statement, message: str) -> Place:
    """Where the first word that the message quotes stands in the policy; the policy itself when it is not there."""
    for quoted in re.findall(r"`([^`]+)`", message):
        word = re.search(rf"(?<!\w){re.escape(quoted)}(?!\w)", statement.text)
        if word:
            place = text.place_at(statement.text, statement.place.file, word.start(), word.end())
            return _moved(place, statement.place)
    return statement.place


def _moved(place: Place, origin: Place) -> Place:
    """A place within a policy as a place within its file."""
    return Place(
        origin.file,
        place.line + origin.line - 1,
        place.column + (origin.column - 1 if place.line == 1 else 0),
        place.end_line + origin.line - 1,
        place.end_column + (origin.column - 1 if place.end_line == 1 else 0),
    )


def _can_never_decide(statement: text.Statement) -> bool:
    """Whether the condition is false before anything is known of the question."""
    answer = cedarpy.is_authorized_partial({}, statement.text, []).diagnostics
    return not (answer.may_be_determining or answer.must_be_determining or answer.errors)
