"""The OpenAPI document, written from the declared endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from certify import __version__
from certify.service.web import Endpoint

_PART: Final = re.compile(r"\{(\w+)(?::path)?\}")
_PROBLEMS: Final[Mapping[str, str]] = {
    "400": "The request has not the declared shape.",
    "401": "Nobody has signed in.",
    "403": "The policies do not allow it.",
    "404": "There is no such thing.",
    "405": "The address does not take this method.",
    "408": "The body did not arrive in time.",
    "409": "Somebody else was quicker; the body names item, expected and actual version.",
    "413": "The body is too large.",
    "415": "The body has another media type.",
    "422": "It is understood, and declined for the reasons in the body.",
    "429": "The client has sent too many requests; Retry-After says when to come again.",
    "503": "The service has as much to do as it takes on; Retry-After says when to come again.",
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for endpoint in endpoints:
        paths.setdefault(_PART.sub(r"{\1}", endpoint.path), {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Certify registry",
            "version": __version__,
            "description": "Releases with their evidence, decisions on them, and a transparency log of it all.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "certify_session"},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PART.findall(endpoint.path)
    ]
    if endpoint.query is not None:
        shape = endpoint.query.model_json_schema()
        required = set(shape.get("required", ()))
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": _plain(schema)}
            for name, schema in shape["properties"].items()
        ]
    if endpoint.path.endswith("/uploads/{upload}") and endpoint.method == "PATCH":
        schema = {"type": "integer", "minimum": 0, "maximum": 2**40}
        parameters.append({"name": "Upload-Offset", "in": "header", "required": True, "schema": schema})
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        name = endpoint.body.__name__
        schemas[name] = _plain(endpoint.body.model_json_schema())
        reference = {"schema": {"$ref": f"#/components/schemas/{name}"}}
        operation["requestBody"] = {"required": True, "content": {"application/json": reference}}
    elif endpoint.raw:
        operation["requestBody"] = {"required": True, "content": {endpoint.raw: {"schema": {}}}}
    if endpoint.anonymous:
        operation["security"] = []
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"} if endpoint.media == "application/json" else {}
    found: dict[str, Any] = {}
    for status, meaning in endpoint.success.items():
        found[str(status)] = {"description": meaning}
        if status not in {304, 416}:
            found[str(status)]["content"] = {endpoint.media: {"schema": schema}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return found | {
        status: {"description": meaning, "content": problem}
        for status, meaning in _PROBLEMS.items()
        if status not in found
    }


def _plain(schema: Any) -> Any:
    """A schema without the titles that only repeat the names."""
    if isinstance(schema, dict):
        return {
            key: _plain(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))
        }  # fmt: skip
    return [_plain(member) for member in schema] if isinstance(schema, list) else schema


_PROBLEM: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "diagnostics"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "diagnostics": {"type": "array", "items": {"type": "object"}},
        "item": {"type": "string"},
        "expected": {"type": "integer"},
        "actual": {"type": "integer"},
    },
}
