"""The tables of the manifest's reference page, from the model and the rules themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from certify.manifest import rules
from certify.manifest.schema import json_schema
from certify_spec.diagnostics import Rule

TABLES: Mapping[str, str] = {
    "Manifest": "top of the file",
    "Node": "[node]",
    "Payload": "[input] and [output]",
    "Resource": "[[resource]]",
    "Answer": "[resource.answers]",
    "Idempotency": "[idempotency]",
    "Residency": "[residency]",
    "Budget": "[budget]",
    "Pattern": "[[pattern]]",
    "Proof": "[[proof]]",
    "Fixture": "[[fixture]]",
}
"""The model's tables in the order of the page, each with its heading."""


def fields_of(model: str) -> str:
    """A Markdown table of one table's fields: name, form, default and meaning."""
    schema = json_schema()
    table = schema if model == "Manifest" else schema["$defs"][model]
    required = table.get("required", [])
    lines = ["| field | form | default | meaning |", "|---|---|---|---|"]
    for name, field in table["properties"].items():
        default = "required" if name in required else _shown(field.get("default"))
        meaning = field.get("description") or _target(field, schema).get("description", "")
        lines.append(f"| `{name}` | {_form(field, schema)} | {default} | {' '.join(meaning.split())} |")
    return "\n".join(lines)


def _shown(default: object) -> str:
    return f"`{default}`" if default not in (None, "", [], {}) and not isinstance(default, dict | list) else ""


def _target(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for part in (field, *field.get("anyOf", ())):
        if "$ref" in part:
            target: Mapping[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]]
            return target
    return field


def _form(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    target = _target(field, schema)
    if "enum" in target:
        return ", ".join(f"`{choice}`" for choice in target["enum"])
    if target is not field:
        return "table"
    if "anyOf" in field:
        return " or ".join(_form(part, schema) for part in field["anyOf"] if part.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    match field.get("type"):
        case "array":
            return f"list of: {_form(field['items'], schema)}"
        case "object":
            inner = field.get("additionalProperties", True)
            return "table" if inner is True else f"table of: {_form(inner, schema)}"
        case "string":
            return f"text such as `{field['examples'][0]}`" if "examples" in field else "text"
        case "integer":
            return "whole number"
        case other:
            return {"boolean": "true or false"}.get(str(other), str(other))


def codes() -> str:
    """A Markdown table of the manifest's diagnostic codes."""
    lines = ["| code | meaning | what to do |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {rule.code} | {rule.meaning} | {rule.advice} |" for rule in declared())])


def declared() -> Iterator[Rule]:
    """The manifest's rules, in the order of their codes."""
    yield from sorted((each for each in vars(rules).values() if isinstance(each, Rule)), key=lambda rule: rule.code)
