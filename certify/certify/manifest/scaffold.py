"""A first `node.toml`, written from what the laboratory found about a function.

Rules this module keeps:

- the text loads as it stands once its fixture is there; what it claims, the checks then confirm or refute;
- a guess is marked as one: the person who owns the node decides;
- nothing here imports the node or writes a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from certify.manifest import paths
from certify.manifest.model import DataClass
from certify.subject import Signature

FIXTURE: Final = "fixtures/example.json"
"""Where a new node's first fixture is expected."""

_GUESSES: Final[tuple[tuple[DataClass, frozenset[str]], ...]] = (
    (
        DataClass.CREDENTIAL,
        frozenset(
            ["token", "password", "passwd", "secret", "credential", "credentials", "apikey", "pin", "otp", "cvv", "cvc"]
        ),
    ),
    (
        DataClass.FINANCIAL,
        frozenset(
            [
                "amount",
                "iban",
                "bic",
                "card",
                "pan",
                "price",
                "total",
                "balance",
                "salary",
                "account",
                "invoice",
                "currency",
                "payment",
                "cents",
                "fee",
                "tax",
            ]
        ),
    ),
    (
        DataClass.PII,
        frozenset(
            [
                "email",
                "mail",
                "phone",
                "mobile",
                "fax",
                "name",
                "firstname",
                "lastname",
                "surname",
                "address",
                "street",
                "city",
                "zip",
                "postcode",
                "birthday",
                "birth",
                "dob",
                "gender",
                "ssn",
                "passport",
                "ip",
                "latitude",
                "longitude",
                "customer",
                "person",
                "user",
            ]
        ),
    ),
)
_IDENTIFYING: Final = frozenset({"id", "uuid", "guid", "key", "reference", "ref", "number", "nonce"})
_CLIENTS: Final = frozenset(
    [
        "aiohttp",
        "asyncpg",
        "boto3",
        "botocore",
        "ftplib",
        "httpx",
        "kafka",
        "pika",
        "psycopg",
        "psycopg2",
        "pymongo",
        "redis",
        "requests",
        "smtplib",
        "sqlalchemy",
        "sqlite3",
        "urllib3",
    ]
)


def scaffold(entry: str, signature: Signature, *, fixture: str = FIXTURE, version: str = "0.1.0") -> str:
    """The text of a commented `node.toml` for the function `entry`.

    Args:
        entry: `module:function`.
        signature: what the laboratory found.
        fixture: path of the fixture file, relative to the manifest.
        version: the node's first version.

    Raises:
        ValueError: a schema of the signature cannot be read.
    """
    inputs, outputs = paths.fields(signature.input_schema), paths.fields(signature.output_schema)
    effectful = _looks_effectful(signature)
    return "\n".join(
        [
            *_head(entry, version, effectful=effectful),
            *_payload("input", inputs),
            *_payload("output", outputs),
            *_resources(effectful=effectful),
            *_idempotency(entry, inputs),
            *_budget(),
            *_fixture(fixture),
        ]
    )


def node_id(entry: str) -> str:
    """A registry name for the function `entry`: ``billing.charge:handle_order`` gives ``charge/handle-order``."""
    module, _, function = entry.partition(":")
    words = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in (module.rpartition(".")[2], function)]
    return "/".join(word for word in words if word)[:128].rstrip("-/") or "node"


def guess_class(path: str) -> DataClass:
    """The data class that a field's name suggests; `internal` when it suggests none."""
    words = [word for step in paths.parse(path) if isinstance(step, str) for word in _words(step)]
    for data_class, suggestive in _GUESSES:
        if suggestive.intersection(words):
            return data_class
    return DataClass.INTERNAL


def _words(name: str) -> list[str]:
    """The words of a name in any case style, in lower case, and the name's own letters run together."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]
    return [*words, "".join(words)]


def propose_key(fields: Iterable[str]) -> tuple[str, ...]:
    """The input fields that look as if they told one request from another; all of them when none does."""
    names = list(fields)
    likely = [name for name in names if "[]" not in name and "{}" not in name and _identifies(name)]
    return tuple(likely or names or ["$"])


def _identifies(path: str) -> bool:
    steps = [step for step in paths.parse(path) if isinstance(step, str)]
    return bool(steps) and any(word in _IDENTIFYING for word in _words(steps[-1])[-2:-1])


def _looks_effectful(signature: Signature) -> bool:
    return signature.context is not None or any(name.partition(".")[0] in _CLIENTS for name in signature.modules)


def _head(entry: str, version: str, *, effectful: bool) -> list[str]:
    effects = "effectful" if effectful else "pure"
    reason = "it takes a context or imports a client library" if effectful else "nothing suggests otherwise"
    return [
        "# What this node is and claims. `certify check node.toml` tries to refute every claim.",
        "schema = 1",
        "",
        "[node]",
        f"id = {_text(node_id(entry))}",
        f"version = {_text(version)}",
        f"entry = {_text(entry)}",
        'summary = ""  # one sentence for people',
        'owner = ""    # who answers for it',
        'profile = "dev"',
        f"# A guess, for {reason}: pure, read_only or effectful.",
        f"effects = {_text(effects)}",
        "# strict: equal output always; stable: when `pins` are pinned; best_effort: perhaps.",
        'determinism = "strict"',
        "",
    ]


def _payload(side: str, fields: Mapping[str, object]) -> list[str]:
    lines = [
        f"# The data class of every field of the {side}. Guessed from the names: review each.",
        "# public, internal, confidential, financial, pii or credential",
        f"[{side}.classes]",
    ]
    return [*lines, *(f"{_text(path)} = {_text(guess_class(path).value)}" for path in fields), ""]


def _resources(*, effectful: bool) -> list[str]:
    if not effectful:
        return []
    return [
        "# Everything outside the node that it reads or writes, for example:",
        "# [[resource]]",
        '# name = "ledger"',
        '# kind = "db"',
        '# mode = "write"',
        '# path = "ledger.sqlite"',
        "",
    ]


def _idempotency(entry: str, fields: Mapping[str, object]) -> list[str]:
    key = ", ".join(_text(path) for path in propose_key(fields))
    return [
        "# Two inputs that agree in these fields are one request. A guess: review it.",
        "[idempotency]",
        f"flow = {_text(node_id(entry))}",
        f"key = [{key}]",
        'retention = "24h"',
        "",
    ]


def _budget() -> list[str]:
    return [
        "# The most that one call may use.",
        "[budget]",
        'wall = "1s"',
        'cpu = "500ms"',
        'memory = "256MiB"',
        "requests = 0  # to upstreams, when all goes well",
        "",
    ]


def _fixture(fixture: str) -> list[str]:
    return [
        "# Example inputs; with `output`, what must come of them.",
        "[[fixture]]",
        'name = "example"',
        f"input = {_text(fixture)}",
        "",
    ]


def _text(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's too, but TOML also escapes DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
