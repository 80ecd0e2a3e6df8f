"""The examples as plain functions: the accepted nodes do what they say, the refused ones are wrong where they say."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import itertools
import json
import math
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify import codec
from certify.capabilities import Context, Response, UpstreamTimeout, call_key, real_context, settings_for
from certify.manifest.loader import load
from certify.manifest.model import Manifest

EXAMPLES = Path(__file__).parents[2] / "examples"
ACCEPTED = ("outbox", "payment", "payment_plain", "webhook")
REFUSED = sorted(
    str(file.parent.relative_to(EXAMPLES)) for name in ACCEPTED for file in EXAMPLES.glob(f"{name}/refused/*/node.toml")
)
CHECKS = {"C-EFFECTS", "C-DETERMINISM", "C-CONTRACT", "C-IDEM", "C-POLICY", "C-BUDGET"}


def module(name: str, file: str) -> ModuleType:
    """A fresh import of one file of an example."""
    unique = f"example_{name.replace('/', '_').replace('-', '_')}_{Path(file).stem}"
    spec = importlib.util.spec_from_file_location(unique, EXAMPLES / name / file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[unique] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def fixtures(name: str) -> dict[str, tuple[dict[str, Any], Any]]:
    """Input and expected output of each fixture of an example."""
    folder = EXAMPLES / name
    return {
        fixture.name: (
            json.loads((folder / fixture.input).read_text()),
            json.loads((folder / fixture.output).read_text()) if fixture.output else None,
        )
        for fixture in load(folder / "node.toml").fixture
    }


# ---------------------------------------------------------------------------------------------------- the folders


@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
def test_every_manifest_is_in_order(name: str) -> None:
    """Each folder can be copied and certified: the manifest has no error, and what it names is there."""
    manifest = load(EXAMPLES / name / "node.toml")
    entry, _, function = manifest.node.entry.partition(":")
    assert callable(getattr(module(name, f"{entry}.py"), function))
    assert len(manifest.fixture) >= 3
    assert set(fixtures(name)) == {fixture.name for fixture in manifest.fixture}


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_names_a_check_and_a_line(name: str) -> None:
    """A refusal says which check refuses the variant, and its line is the line at fault."""
    refusal = tomllib.loads((EXAMPLES / name / "refusal.toml").read_text())
    expect = refusal["expect"]
    line = (EXAMPLES / name / expect["file"]).read_text().splitlines()[expect["line"] - 1]
    assert expect["text"] in line
    assert {expect["check"], *expect.get("also", ())} <= CHECKS
    assert refusal["summary"].endswith(".")


@pytest.mark.parametrize("name", REFUSED)
def test_every_variant_differs_in_little(name: str) -> None:
    """A variant shares its upstream with the accepted node, and most lines of its code."""
    variant, accepted = EXAMPLES / name, EXAMPLES / name.split("/", maxsplit=1)[0]
    for file in accepted.glob("*.py"):
        theirs, ours = (variant / file.name).read_text().splitlines(), file.read_text().splitlines()
        if file.name == "upstream.py":
            assert theirs == ours
        assert len(set(theirs) - set(ours)) <= 16
    changed = [
        p for p in (*accepted.glob("*.py"), accepted / "node.toml") if (variant / p.name).read_text() != p.read_text()
    ]
    assert changed != []


def test_all_causes_of_refusal_are_shown() -> None:
    """Each example has at least three refused variants, and together they fail each of the six checks."""
    counted = {name: len([r for r in REFUSED if r.startswith(f"{name}/")]) for name in ACCEPTED}
    assert [name for name, count in counted.items() if count < 3] == []
    found = {tomllib.loads((EXAMPLES / name / "refusal.toml").read_text())["expect"]["check"] for name in REFUSED}
    assert found == CHECKS


# ----------------------------------------------------------------------------------------------------- the webhook


def event(webhook: ModuleType, data: dict[str, Any]) -> Any:
    """The typed event of JSON data."""
    parts = {
        "customer": webhook.Customer(**data["customer"]),
        "lines": [webhook.Line(**line) for line in data["lines"]],
    }
    return webhook.OrderPlaced(**data | parts)


@pytest.mark.parametrize("fixture", sorted(fixtures("webhook")))
def test_webhook_answers_as_expected(fixture: str) -> None:
    """S-1: each fixture gives its expected reply."""
    webhook = module("webhook", "webhook.py")
    given_input, expected = fixtures("webhook")[fixture]
    assert dataclasses.asdict(webhook.handle(event(webhook, given_input))) == expected


WEBHOOK = module("webhook", "webhook.py")
ANY_TEXT = st.text(st.characters()) | st.sampled_from(["1.5", "9", "EUR", "a@b.c", "İ@ΐ.ß", "\ud800", "e\u0301"])
LINES = st.builds(WEBHOOK.Line, sku=ANY_TEXT, quantity=st.integers() | st.integers(1, 5), unit_price=ANY_TEXT)
CUSTOMERS = st.builds(WEBHOOK.Customer, name=ANY_TEXT, email=ANY_TEXT)


@given(
    st.builds(
        WEBHOOK.OrderPlaced,
        event_id=ANY_TEXT,
        currency=ANY_TEXT,
        customer=CUSTOMERS,
        lines=st.lists(LINES, max_size=3),
        tags=st.lists(ANY_TEXT, max_size=3),
    )
)
def test_webhook_answers_anything_canonically(order: Any) -> None:
    """S-1: whatever the event holds, there is a reply, and it has one canonical form (C-DETERMINISM, C-CONTRACT)."""
    reply = dataclasses.asdict(WEBHOOK.handle(order))
    assert codec.decode(codec.encode(reply)) == reply


# ----------------------------------------------------------------------------------------------------- the payment


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The payment provider on loopback, with its state in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAYMENTS_TOKEN", "token-for-tests")
    server = module("payment", "upstream.py").server(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def charges(provider: str, folder: Path) -> list[int]:
    """The amounts that the provider has charged."""
    manifest = load(EXAMPLES / "payment" / "node.toml")
    with real_context(settings_for(manifest, folder=folder, upstreams={"payments": provider})) as ctx:
        return [charge["amount_minor"] for charge in ctx.http.get("payments", "/charges").json()["charges"]]


def deliver(name: str, provider: str, folder: Path, data: dict[str, Any]) -> Any:
    """One delivery of a charge to a variant of the payment, against the real upstream."""
    payment = module(name, "payment.py")
    order = payment.Charge.model_validate(data)
    if name.startswith("payment_plain"):
        vars(payment)["PROVIDER"] = provider
        return asyncio.run(payment.charge(order))
    manifest = load(EXAMPLES / name / "node.toml")
    settings = settings_for(manifest, folder=folder, key=call_key(manifest, data), upstreams={"payments": provider})
    with real_context(settings) as ctx:
        return payment.charge(order, ctx)


@pytest.mark.parametrize("name", ["payment", "payment_plain"])
def test_repeated_charge_is_made_once(name: str, provider: str, tmp_path: Path) -> None:
    """S-4: a duplicate delivery gives the first receipt again and one charge; another amount is another (C-IDEM)."""
    order, expected = fixtures(name)["charge"]
    receipts = [deliver(name, provider, tmp_path, order).model_dump() for _ in range(2)]
    deliver(name, provider, tmp_path, order | {"amount_minor": 1})
    assert receipts == [expected, expected]
    assert charges(provider, tmp_path) == [expected["amount_minor"], 1]


@pytest.mark.parametrize(
    "name", ["payment/refused/random-key", "payment/refused/no-key", "payment_plain/refused/random-key"]
)
def test_charge_without_a_stable_key_is_made_twice(name: str, provider: str, tmp_path: Path) -> None:
    """The refused variants do charge twice: what C-IDEM is there to find is there (C-IDEM)."""
    order, expected = fixtures(name)["charge"]
    for _ in range(2):
        deliver(name, provider, tmp_path, order)
    assert charges(provider, tmp_path) == [expected["amount_minor"]] * 2


@pytest.mark.parametrize("name", ["payment/refused/key-misses-amount", "payment_plain/refused/key-misses-amount"])
def test_key_without_the_amount_mistakes_two_charges_for_one(name: str, provider: str, tmp_path: Path) -> None:
    """With the amount missing from the key, the second of two different charges is not made (C-IDEM, IDEM099)."""
    order, expected = fixtures(name)["charge"]
    deliver(name, provider, tmp_path, order)
    with pytest.raises(Exception, match="409"):
        deliver(name, provider, tmp_path, order | {"amount_minor": 1})
    assert charges(provider, tmp_path) == [expected["amount_minor"]]


class Script:
    """A context whose upstream gives one answer for ever, and whose clock stands still but for sleeping."""

    key = bytes(32)

    def __init__(self, answer: Callable[[], Response], limit: int = 100) -> None:
        self._answer = answer
        self._limit = limit
        self._time = 0.0
        self.requests: list[dict[str, Any]] = []
        self.clock = self.http = self
        self.random = _Half()
        self.secrets = {"PAYMENTS_TOKEN": "token"}

    def monotonic(self) -> float:
        return self._time

    def now(self) -> float:
        return 1_767_225_600 + self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds

    def post(self, _upstream: str, _path: str, **options: Any) -> Response:
        self.requests.append(options)
        if len(self.requests) > self._limit:
            raise RuntimeError("it goes on for ever")
        return self._answer()


class _Half:
    """Randomness that is always one half."""

    def random(self) -> float:
        return 0.5


def late() -> Response:
    """An upstream that does not answer."""
    raise UpstreamTimeout("late")


ANSWERS: dict[str, Callable[[], Response]] = {
    "401": lambda: Response(401),
    "4xx": lambda: Response(409),
    "429": lambda: Response(429),
    "5xx": lambda: Response(503),
    "timeout": late,
    "malformed": lambda: Response(200, {}, b'{"id": "cut'),
    "redirect": lambda: Response(302, {"location": "https://elsewhere.example"}),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_payment_answers_faults_as_its_manifest_says(answer: str) -> None:
    """S-4: on each answer the node raises the declared error after the declared attempts (C-CONTRACT)."""
    payment = module("payment", "payment.py")
    declared = load(EXAMPLES / "payment" / "node.toml").resource[0].answers[answer]
    script = Script(ANSWERS[answer])
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is asserted below
        payment.charge(payment.Charge.model_validate(fixtures("payment")["charge"][0]), script)
    assert (type(caught.value).__name__, len(script.requests)) == (declared.error, declared.attempts)
    keys = {request["headers"]["idempotency-key"] for request in script.requests}
    assert keys == {bytes(32).hex()}


RETRY_AFTER = {
    "a second": ("1", 3, 2.0),
    "an hour": ("3600", 1, 0.0),
    "for ever": ("9" * 400, 1, 0.0),
    "a date": ("Thu, 01 Jan 2026 00:00:01 GMT", 3, 1.0),
    "a distant date": ("Fri, 01 Jan 2027 00:00:00 GMT", 1, 0.0),
    "nonsense": ("soon", 3, 0.0),
    "a negative": ("-5", 3, 0.0),
}


@pytest.mark.parametrize("what", RETRY_AFTER)
def test_payment_honours_retry_after_within_its_deadline(what: str) -> None:
    """S-4: the node waits as long as it is asked to, unless the next attempt would pass the deadline (C-CONTRACT)."""
    text, attempts, least = RETRY_AFTER[what]
    payment = module("payment", "payment.py")
    script = Script(lambda: Response(429, {"retry-after": text}))
    with pytest.raises(payment.Unavailable):
        payment.charge(payment.Charge.model_validate(fixtures("payment")["charge"][0]), script)
    assert (len(script.requests), least <= script.monotonic() <= payment.DEADLINE) == (attempts, True)


def test_swallowed_429_looks_like_a_charge() -> None:
    """The refused variant returns a receipt for a charge that was not made (C-CONTRACT)."""
    payment = module("payment/refused/swallowed-429", "payment.py")
    order = payment.Charge.model_validate(fixtures("payment")["charge"][0])
    assert payment.charge(order, Script(ANSWERS["429"])).charge_id == "pending"


def test_401_is_tried_for_ever() -> None:
    """The refused variant does not stop on 401 (C-CONTRACT)."""
    payment = module("payment/refused/retries-401", "payment.py")
    order = payment.Charge.model_validate(fixtures("payment")["charge"][0])
    with pytest.raises(RuntimeError, match="for ever"):
        payment.charge(order, Script(ANSWERS["401"]))


def test_provider_answers_wrong_requests() -> None:
    """The upstream refuses what no provider accepts, and never fails itself."""
    upstream = module("payment", "upstream.py")
    bodies = [b"", b"[]", b"{}", b"\xff", b'{"customer": 1, "invoice": "", "amount_minor": true, "currency": ""}']
    assert [upstream.charge(None, "", body)[0] for body in bodies] == [400, 422, 422, 400, 422]
    assert upstream.respond("GET", "/nowhere", "", b"")[0] == 404


# ------------------------------------------------------------------------------------------------------ the outbox


def record(name: str, folder: Path, data: dict[str, Any], wrap: Callable[[Context], Any] = lambda ctx: ctx) -> Any:
    """One delivery to a variant of the outbox node."""
    outbox = module(name, "outbox.py")
    manifest: Manifest = load(EXAMPLES / name / "node.toml")
    with real_context(settings_for(manifest, folder=folder, key=call_key(manifest, data))) as ctx:
        return outbox.record(outbox.OrderChanged.model_validate(data), wrap(ctx))


def tables(folder: Path) -> tuple[Any, Any]:
    """The rows of both tables."""
    manifest = load(EXAMPLES / "outbox" / "node.toml")
    with real_context(settings_for(manifest, folder=folder)) as ctx:
        database = ctx.db("orders")
        return (
            database.query("SELECT id, revision, total_minor FROM orders ORDER BY id"),
            database.query("SELECT order_id, revision, total_minor FROM outbox ORDER BY 1, 2, 3"),
        )


def test_outbox_ends_alike_in_every_order_with_duplicates(tmp_path: Path) -> None:
    """S-10: every order of three changes, each delivered twice, ends with one row and one message each (C-IDEM)."""
    changes = [{"order_id": "ord_a", "revision": n, "total_minor": n * 100} for n in (1, 2)]
    changes.append({"order_id": "ord_a", "revision": 2, "total_minor": 250})
    for number, order in enumerate(itertools.permutations(changes)):
        folder = tmp_path / str(number)
        for change in [*order, *order]:
            record("outbox", folder, change)
        messages = (("ord_a", 1, 100), ("ord_a", 2, 200), ("ord_a", 2, 250))
        assert tables(folder) == ((("ord_a", 2, 250),), messages)


def test_outbox_of_duplicates_at_once_has_one_message(tmp_path: Path) -> None:
    """S-10: the same change delivered by several workers at once is one row and one message (C-IDEM)."""
    change = fixtures("outbox")["first"][0]
    threads = [threading.Thread(target=record, args=("outbox", tmp_path, change)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(rows) for rows in tables(tmp_path)] == [1, 1]


class Stop(Exception):
    """The worker dies here."""


class Dying:
    """A context whose worker dies when it begins its n-th transaction."""

    def __init__(self, ctx: Context, alive: int) -> None:
        self._ctx = ctx
        self._alive = alive
        self.key = ctx.key

    def db(self, name: str) -> Any:
        return self if self._alive == 0 else self._ctx.db(name)

    def transaction(self) -> Any:
        raise Stop


class Counting(Dying):
    """A context that counts transactions down and then dies."""

    def db(self, name: str) -> Any:
        found = super().db(name)
        self._alive -= 1
        return found


def test_two_transactions_lose_the_message_in_a_crash(tmp_path: Path) -> None:
    """The refused variant, killed between its transactions, never writes the message (C-IDEM)."""
    name = "outbox/refused/two-transactions"
    change = fixtures(name)["first"][0]
    with pytest.raises(Stop):
        record(name, tmp_path, change, lambda ctx: Counting(ctx, 1))
    record(name, tmp_path, change)
    assert [len(rows) for rows in tables(tmp_path)] == [1, 0]


class Interleaved:
    """A context in which another worker handles the whole request between our look and our write."""

    def __init__(self, ctx: Context, other: Callable[[], object]) -> None:
        self._ctx = ctx
        self._other = other
        self.key = ctx.key

    def db(self, _name: str) -> Any:
        return self

    def transaction(self) -> Any:
        return self._ctx.db("orders").transaction()

    def query(self, *arguments: Any) -> Any:
        found = self._ctx.db("orders").query(*arguments)
        self._other()
        return found


def test_check_then_act_writes_two_messages_in_a_race(tmp_path: Path) -> None:
    """The refused variant, overtaken between its look and its write, writes the message twice (C-IDEM)."""
    name = "outbox/refused/check-then-act"
    change = fixtures(name)["first"][0]
    record(name, tmp_path, change, lambda ctx: Interleaved(ctx, lambda: record(name, tmp_path, change)))
    assert [len(rows) for rows in tables(tmp_path)] == [1, 2]


def test_random_message_id_publishes_twice(tmp_path: Path) -> None:
    """The refused variant writes one message for each delivery (C-IDEM)."""
    name = "outbox/refused/random-message-id"
    for _ in range(2):
        record(name, tmp_path, fixtures(name)["first"][0])
    assert [len(rows) for rows in tables(tmp_path)] == [1, 2]


def test_key_of_the_order_alone_loses_its_next_revision(tmp_path: Path) -> None:
    """The refused variant takes the message about the next revision for a repeated one (C-IDEM, IDEM099)."""
    name = "outbox/refused/key-misses-revision"
    for fixture in ("first", "next"):
        record(name, tmp_path, fixtures(name)[fixture][0])
    assert [len(rows) for rows in tables(tmp_path)] == [1, 1]


def test_write_to_a_database_declared_read_is_denied(tmp_path: Path) -> None:
    """The refused variant is stopped at its first write (C-EFFECTS)."""
    name = "outbox/refused/declared-read-only"
    with pytest.raises(Exception, match='change it to mode = "write"'):
        record(name, tmp_path, fixtures(name)["first"][0])


# ------------------------------------------------------------------------------------- the refused webhooks leak


def reply_in(name: str, environment: dict[str, str], fixture: str = "order") -> str:
    """The reply of a webhook variant, worked out in a process with this environment."""
    code = (
        "import json, sys, dataclasses, webhook as w; d = json.load(sys.stdin);"
        "d |= {'customer': w.Customer(**d['customer']), 'lines': [w.Line(**l) for l in d['lines']]};"
        "e = w.OrderPlaced(**d);"
        "print(json.dumps(dataclasses.asdict(w.handle(e))))"
    )
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        input=json.dumps(fixtures(name)[fixture][0]),
        env={"PYTHONPATH": str(EXAMPLES / name), **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


LEAKS: dict[str, tuple[str, list[str]]] = {
    "set-order": ("PYTHONHASHSEED", [str(seed) for seed in range(6)]),
    "local-time": ("TZ", ["UTC", "Pacific/Apia", "America/Los_Angeles"]),
    "reads-environment": ("SHOP_CURRENCY", ["EUR", "USD"]),
}


@pytest.mark.parametrize("what", LEAKS)
def test_refused_webhooks_depend_on_their_surroundings(what: str) -> None:
    """The refused variant replies differently when one factor changes; the accepted node does not (C-DETERMINISM)."""
    variable, values = LEAKS[what]
    assert len({reply_in(f"webhook/refused/{what}", {variable: value}) for value in values}) > 1
    assert len({reply_in("webhook", {variable: value}) for value in values}) == 1


def test_share_of_nothing_is_nan() -> None:
    """The refused variant replies with NaN, which has no canonical form (C-CONTRACT)."""
    webhook = module("webhook/refused/nan-share", "webhook.py")
    reply = webhook.handle(event(webhook, fixtures("webhook/refused/nan-share")["free"][0]))
    assert math.isnan(reply.order.freight_share)
    with pytest.raises(codec.EncodingError):
        codec.encode(dataclasses.asdict(reply))
