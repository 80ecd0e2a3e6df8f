"""Claims about first manifests."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from certify.manifest import paths
from certify.manifest.example import as_json, example_input
from certify.manifest.loader import load
from certify.manifest.model import DataClass, Effects
from certify.manifest.scaffold import FIXTURE, guess_class, node_id, propose_key, scaffold
from certify.manifest.schema import json_schema
from certify.subject import Signature
from manifest_support import refusals


class Customer(BaseModel):
    email: str
    given_name: str


class Order(BaseModel):
    order_id: str
    amount_cents: int
    customer: Customer
    api_token: str
    tags: dict[str, str] = {}
    quantity: int


def signature(
    input_schema: Mapping[str, object], context: str | None = None, modules: tuple[str, ...] = ()
) -> Signature:
    """What the laboratory would find for an input of this schema."""
    output = TypeAdapter(dict[str, int]).json_schema()
    return Signature(input_schema, output, ("order",), context, is_async=False, modules=modules, file="m.py", line=1)


def write(folder: Path, text: str, entry: str, example: object) -> Path:
    """Write a scaffold with its module and its fixture."""
    module = folder / (entry.partition(":")[0].replace(".", "/") + ".py")
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text("")
    (folder / FIXTURE).parent.mkdir(exist_ok=True)
    (folder / FIXTURE).write_text(as_json(example), encoding="utf-8")
    manifest = folder / "node.toml"
    manifest.write_text(text, encoding="utf-8")
    return manifest


def test_a_scaffold_loads_once_its_fixture_is_there(tmp_path: Path) -> None:
    """The text is a whole manifest: every field has a class, the likeliest field is the key, the budget is set."""
    schema = Order.model_json_schema()
    text = scaffold("shop.orders:handle_order", signature(schema))
    manifest = load(write(tmp_path, text, "shop.orders:handle_order", example_input(schema)))

    expected = {
        "order_id": DataClass.INTERNAL,
        "amount_cents": DataClass.FINANCIAL,
        "customer.email": DataClass.PII,
        "customer.given_name": DataClass.PII,
        "api_token": DataClass.CREDENTIAL,
        "tags{}": DataClass.INTERNAL,
        "quantity": DataClass.INTERNAL,
    }
    assert (expected, ("order_id",), "orders/handle-order", Effects.PURE) == (
        manifest.input.classes,
        manifest.idempotency.key if manifest.idempotency else None,
        manifest.node.id,
        manifest.node.effects,
    )
    jsonschema.validate(tomllib.loads(text), json_schema())


@pytest.mark.parametrize(("context", "modules"), [("context", ()), (None, ("json", "httpx._client"))])
def test_a_function_that_can_reach_the_world_is_guessed_effectful(
    tmp_path: Path, context: str | None, modules: tuple[str, ...]
) -> None:
    """A context or a client library suggests effects; the claim then comes with a key."""
    text = scaffold("m:f", signature({"type": "string"}, context, modules))
    manifest = load(write(tmp_path, text, "m:f", "x"))

    assert (
        manifest.node.effects,
        manifest.idempotency.key if manifest.idempotency else None,
    ) == (Effects.EFFECTFUL, ("$",))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda s: paths.parse(paths.render((s,))) == (s,)),
        st.just({"type": "integer"}),
        max_size=5,
    ),
    st.from_regex(
        r"[A-Za-z_]\w{0,8}(\.[A-Za-z_]\w{0,8}){0,2}:[A-Za-z_]\w{0,8}",
        fullmatch=True,
        alphabet=st.characters(max_codepoint=127),
    ),
)
def test_a_scaffold_is_valid_whatever_the_names(
    tmp_path_factory: pytest.TempPathFactory, properties: dict[str, object], entry: str
) -> None:
    """Quotes, control characters and odd names in a schema or an entry point leave the text valid TOML and loadable."""
    schema = {"type": "object", "properties": properties}
    text = scaffold(entry, signature(schema))
    manifest = write(tmp_path_factory.mktemp("node"), text, entry, example_input(schema))

    codes = {d.code for d in refusals(manifest)}

    assert set(paths.fields(schema)) == tomllib.loads(text)["input"]["classes"].keys()
    assert codes <= {"MAN011"}  # names that are not composed, which evidence cannot carry


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("customer.email", "pii"),
        ("phoneNumber", "pii"),
        ("last_name", "pii"),
        ("billing-address", "pii"),
        ("amount", "financial"),
        ("iban", "financial"),
        ("card.number", "financial"),
        ("totalPrice", "financial"),
        ("access_token", "credential"),
        ("password", "credential"),
        ("api_key.secret", "credential"),
        ("quantity", "internal"),
        ("lines[].sku", "internal"),
        ("pinned", "internal"),
        ("$", "internal"),
    ],
)
def test_data_classes_are_guessed_from_whole_words(path: str, expected: str) -> None:
    """Words of a name suggest its class, in any case style; part of a word does not (C-POLICY)."""
    assert expected == guess_class(path).value


def test_the_key_is_what_identifies_or_else_everything() -> None:
    """Fields that look like identifiers make the key; when none does, all fields do (C-KEY)."""
    assert [
        propose_key(["orderId", "amount", "tenant.uuid", "lines[].id"]),
        propose_key(["a", "b[]"]),
        propose_key([]),
    ] == [("orderId", "tenant.uuid"), ("a", "b[]"), ("$",)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("billing.charge:handle_order", "charge/handle-order"),
        ("_m:__call__", "m/call"),
        ("_:_", "node"),
        ("M:F", "m/f"),
    ],
)
def test_a_node_is_named_after_its_function(entry: str, expected: str) -> None:
    """The id is lower case and valid, whatever the names."""
    assert expected == node_id(entry)
