"""Behind `format`: specifications are laid out as the language's formatter lays them out."""

from __future__ import annotations

from pathlib import Path

from certify.cli.output import Output
from certify.cli.status import Status
from certify.cli.verifying import find, write_whole
from certify_spec.diagnostics import Diagnostic, RequestError, Severity
from certify_spec.formatter import format_text
from certify_spec.loader import examine_syntax


def run(paths: tuple[Path, ...], *, check: bool, as_json: bool) -> Status:
    """Lay out each specification, or say which are laid out otherwise.

    Raises:
        RequestError: a path or a specification cannot be read: everything that is wrong, and nothing was written.
    """
    output = Output(as_json=as_json)
    wrong: list[Diagnostic] = []
    changed: dict[Path, str] = {}
    for file in find(paths):
        text, diagnostics = examine_syntax(file)
        wrong += [each for each in diagnostics if each.severity is Severity.ERROR]
        laid_out = text if wrong else format_text(text, str(file))
        if laid_out != text:
            changed[file] = laid_out
    if wrong:
        raise RequestError(*wrong)
    for file, laid_out in changed.items():
        if not check:
            write_whole(file, laid_out)
        output.say(f"{file}: {'not laid out' if check else 'laid out'}")
    status = Status.REFUSED if check and changed else Status.HELD
    output.data({"status": int(status), "changed": [str(file) for file in changed]})
    return status
