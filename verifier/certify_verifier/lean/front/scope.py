"""What names mean at a place in a file.

Rules this module keeps (the Lean 4 reference, "Namespaces and Sections"):

- a global name is looked for in the namespaces around, innermost first, then at the root, then in the opened ones;
- what follows the longest known name are fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from certify_verifier.lean import rules
from certify_verifier.lean.environment import Environment
from certify_verifier.lean.front import syntax as s
from certify_verifier.lean.front.errors import Spot, Wrong
from certify_verifier.lean.names import Name

EXPORTED: Final[dict[str, Name]] = {
    "true": "Bool.true",
    "false": "Bool.false",
    "some": "Option.some",
    "none": "Option.none",
}
"""Names that Lean's core library exports to the root."""


@dataclass(slots=True)
class Section:
    """An open namespace or section: its name, and what was opened and declared before it began."""

    name: str
    is_namespace: bool
    opened: int
    variables: int
    universes: int


@dataclass(slots=True)
class FileScope:
    """Namespaces, opened namespaces, variables and universes at a place in a file."""

    environment: Environment
    sections: list[Section] = field(default_factory=list)
    opened: list[Name] = field(default_factory=list)
    variables: list[s.BinderSyntax] = field(default_factory=list)
    universes: list[str] = field(default_factory=list)

    @property
    def namespace(self) -> Name:
        """The current namespace."""
        return ".".join(section.name for section in self.sections if section.is_namespace)

    def full(self, name: str) -> Name:
        """The full name of something declared here."""
        if name.startswith("_root_."):
            return name.removeprefix("_root_.")
        space = self.namespace
        return f"{space}.{name}" if space else name

    def begin(self, name: str, *, is_namespace: bool) -> None:
        """Enter a namespace or section."""
        marks = (len(self.opened), len(self.variables), len(self.universes))
        self.sections.append(Section(name, is_namespace, *marks))

    def end(self, name: str, spot: Spot) -> None:
        """Leave the innermost namespace or section.

        Raises:
            Wrong: there is none, or it has another name.
        """
        if not self.sections or self.sections[-1].name != name:
            wanted = f"`{self.sections[-1].name}`" if self.sections else "no open namespace or section"
            raise Wrong(rules.BAD_COMMAND, f"`end {name}` closes nothing: there is {wanted}", spot)
        section = self.sections.pop()
        del self.opened[section.opened :]
        del self.variables[section.variables :]
        del self.universes[section.universes :]

    def _spaces(self) -> Iterator[Name]:
        parts = self.namespace.split(".") if self.namespace else []
        for count in range(len(parts), 0, -1):
            yield ".".join(parts[:count])

    def candidates(self, name: str) -> list[Name]:
        """The declared names that a written name may mean, the nearest ones only."""
        known = self.environment.constants
        if name.startswith("_root_."):
            root = name.removeprefix("_root_.")
            return [root] if root in known else []
        for space in self._spaces():
            if f"{space}.{name}" in known:
                return [f"{space}.{name}"]
        found = [name] if name in known else []
        if not found and EXPORTED.get(name) in known:
            found.append(EXPORTED[name])
        for opened in self.opened:
            full = f"{opened}.{name}"
            if full in known and full not in found:
                found.append(full)
        return found

    def resolve(self, name: str, spot: Spot) -> tuple[Name, list[str]] | None:
        """The declared name that a written name starts with, and the fields that follow.

        Raises:
            Wrong: two declared names fit equally well.
        """
        parts = name.split(".")
        for count in range(len(parts), 0, -1):
            found = self.candidates(".".join(parts[:count]))
            if len(found) > 1:
                raise Wrong(rules.AMBIGUOUS_NAME, f"`{name}` may be {' or '.join(found)}", spot)
            if found:
                return found[0], parts[count:]
        return None

    def open(self, name: str, spot: Spot) -> None:
        """Open a namespace.

        Raises:
            Wrong: no declared name is in it.
        """
        for space in (*(f"{s_}.{name}" for s_ in self._spaces()), name):
            if any(known.startswith(f"{space}.") for known in self.environment.constants):
                self.opened.append(space)
                return
        raise Wrong(rules.UNKNOWN_NAME, f"there is no namespace `{name}`", spot)
