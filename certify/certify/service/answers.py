"""Answers: JSON, problems after RFC 9457, and what every refusal and error of the core becomes in HTTP.

Rules this module keeps:

- a refusal carries every reason, with code, cause and advice, as the command line shows them;
- a conflict names item, expected and actual version;
- nothing of the machine is told: no path, no address of a database, no traceback.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.responses import Response

from certify.codec import EncodingError
from certify.registry.checkpoint import CheckpointError
from certify.registry.errors import (
    BUSY,
    DAMAGED,
    EXISTS,
    MALFORMED,
    NEWER_SCHEMA,
    NO_KEY,
    NOT_A_REGISTRY,
    NOT_WRITABLE,
    SYSTEM,
    UNKNOWN_NAME,
    Conflict,
    Refused,
    VersionTaken,
)
from certify.service.errors import BAD_REQUEST, DEFECT, Declined
from certify_spec.diagnostics import Diagnostic, RequestError, Rule

_STATUS: Final[Mapping[Rule, int]] = {
    MALFORMED: 422,
    UNKNOWN_NAME: 404,
    EXISTS: 409,
    BUSY: 503,
    SYSTEM: 503,
    NOT_WRITABLE: 503,
    NO_KEY: 503,
    DAMAGED: 503,
    NOT_A_REGISTRY: 503,
    NEWER_SCHEMA: 503,
}
"""A registry that does not work is out of order, not defective: the client may come again."""


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(_JSON.encode(value).encode("utf-8"), status, headers, "application/json")


def problem(
    status: int,
    diagnostics: Iterable[Diagnostic],
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """A problem after RFC 9457."""
    found = list(diagnostics)
    first = found[0]
    data = {
        "type": f"urn:certify:{first.code}",
        "title": first.rule.meaning,
        "status": status,
        "detail": first.message,
        "diagnostics": [diagnostic.to_data() for diagnostic in found],
        **members,
    }
    text = json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")
    return Response(text, status, headers, "application/problem+json")


def of(error: Exception) -> Response:
    """What an error becomes."""
    match error:
        case Declined():
            return problem(error.status, [error.diagnostic], error.headers)
        case Conflict():
            members = {"item": error.item, "expected": error.expected, "actual": error.actual}
            return problem(409, error.diagnostics, None, **members)
        case VersionTaken():
            return problem(409, error.diagnostics)
        case Refused():
            return problem(422, error.diagnostics)
        case RequestError():
            status = max(_STATUS.get(diagnostic.rule, 422) for diagnostic in error.diagnostics)
            hidden = [_without_places(d) if status == 503 else d for d in error.diagnostics]
            return problem(status, hidden, {"Retry-After": "1"} if status == 503 else None)
        case EncodingError() | CheckpointError() | UnicodeError() | RecursionError():
            message = "a value in the request has no canonical form"
            because = type(error).__name__ if isinstance(error, RecursionError) else str(error)[:300]
            return problem(422, [Diagnostic(BAD_REQUEST, message, because=because, fix=BAD_REQUEST.advice)])
        case _:
            return problem(500, [Diagnostic(DEFECT, DEFECT.meaning, fix=DEFECT.advice)])


def _without_places(diagnostic: Diagnostic) -> Diagnostic:
    return Diagnostic(diagnostic.rule, diagnostic.rule.meaning, fix=diagnostic.rule.advice)
