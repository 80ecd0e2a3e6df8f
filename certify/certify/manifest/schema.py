"""The manifest's form as JSON Schema (draft 2020-12), for editors and other tools.

What fields mean together, and which files must be there, a JSON Schema cannot say: `certify check` does.
"""

from __future__ import annotations

import json
from typing import Any

from certify.manifest.model import Manifest

URN = "urn:certify:schema:node:1"


def json_schema() -> dict[str, Any]:
    """The schema of `node.toml`, schema 1, as a value of JSON."""
    schema = Manifest.model_json_schema(by_alias=True, mode="validation")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": URN}
    return head | schema | {"title": "node.toml, schema 1"}


def published() -> str:
    """The text of the published file: sorted nowhere, indented by two, with a newline at its end."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
