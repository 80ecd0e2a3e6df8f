"""Records of operations: their text form, what they leave out, and what a replay says when the node differs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_harness import bench, record, stored
from certify.capabilities import Context, Failure, Operation, ReplayDivergence, UpstreamTimeout
from certify.capabilities.operation import from_text, plain, to_text
from certify.capabilities.recording import recording
from certify.capabilities.redaction import Redactor
from certify.capabilities.replaying import replaying

DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("$bytes"), inner, max_size=3),
    max_leaves=8,
)
SECRET = 's3cr3t/Vælue+"1"'


@given(DATA)
def test_text_form_keeps_every_value(value: object) -> None:
    """The text form of data is ASCII, and reading it gives the same data, type for type."""
    text = to_text(value)
    assert (True, text) == (text.isascii(), to_text(from_text(text)))
    assert repr(plain(value)) == repr(from_text(text)) or isinstance(value, dict | list)


def test_text_form_tells_equal_values_of_different_types_apart() -> None:
    """One, true and one-point-zero are three values in a record, though Python calls them equal."""
    assert len({to_text(value) for value in (1, True, 1.0, "1")}) == 4


def replay_of(operations: list[Operation], node: Callable[[Context], object]) -> ReplayDivergence:
    """The divergence that a node comes to."""
    context = replaying(operations)

    def whole() -> None:
        node(context)
        context.finish()

    with pytest.raises(ReplayDivergence) as caught:
        whole()
    assert caught.value is context.divergence
    return caught.value


@pytest.fixture
def operations(tmp_path: Path) -> list[Operation]:
    """Two puts and a get."""

    def node(ctx: Context) -> None:
        ctx.kv("store").put("a", b"1")
        ctx.kv("store").put("b", b"2")
        ctx.kv("store").get("a")

    return record(bench("recording", tmp_path).settings, node)[1]


def test_divergence_names_the_first_operation_that_differs(operations: list[Operation]) -> None:
    """A replay that puts another value says where, what was expected, and what came (C-DETERMINISM)."""

    def other(ctx: Context) -> None:
        ctx.kv("store").put("a", b"1")
        ctx.kv("store").put("b", b"3")

    found = replay_of(operations, other)
    assert (1, operations[1], {"key": "b", "value": b"3"}) == (found.position, found.expected, found.actual.arguments)  # type: ignore[union-attr]  # it has an actual call
    assert 'expected kv.store.put [write] {"key":"b","value":{"$bytes":"32"}}' in str(found)
    assert 'got kv.store.put [write] {"key":"b","value":{"$bytes":"33"}}' in str(found)


def test_doing_less_and_doing_more_diverge(operations: list[Operation]) -> None:
    """A node that stops early, and one that goes on after the record's end, both diverge."""

    def less(ctx: Context) -> None:
        ctx.kv("store").put("a", b"1")

    def more(ctx: Context) -> None:
        ctx.kv("store").put("a", b"1")
        ctx.kv("store").put("b", b"2")
        ctx.kv("store").get("a")
        ctx.clock.now()

    assert (replay_of(operations, less).position, replay_of(operations, less).actual) == (1, None)
    assert (replay_of(operations, more).position, replay_of(operations, more).expected) == (3, None)


def test_swallowed_divergence_is_not_lost(operations: list[Operation]) -> None:
    """A node that catches everything and goes on is told the same again, and `finish` tells it at last."""

    def stubborn(ctx: Context) -> None:
        for _ in range(3):
            try:
                ctx.kv("store").put("a", b"other")
            except Exception:
                continue

    assert replay_of(operations, stubborn).position == 0


def test_errors_are_replayed_as_they_were(tmp_path: Path) -> None:
    """A recorded error is raised again with its class and message; KeyError does not gain quotes on the way."""

    def node(ctx: Context) -> str:
        try:
            ctx.blob("files").read("x")
        except KeyError as error:
            return str(error.args[0])
        return ""

    message, operations = record(bench("recording", tmp_path).settings, node)
    assert message == node(replaying(stored(operations)))
    assert (UpstreamTimeout, ("late",)) == (
        type(Failure("UpstreamTimeout", "late").exception()),
        Failure("UpstreamTimeout", "late").exception().args,
    )


def test_denied_use_is_recorded(tmp_path: Path) -> None:
    """What was denied is in the record, with the words that say what to add (C-EFFECTS)."""

    def node(ctx: Context) -> None:
        with pytest.raises(Exception, match="does not declare"):
            ctx.clock.now()

    _, operations = record(bench("recording", tmp_path, grants=()).settings, node)
    assert [(each.target, each.operation, each.error.type if each.error else "") for each in operations] == [
        ("clock", "now", "CapabilityDenied")
    ]


def test_replay_touches_nothing(operations: list[Operation], tmp_path: Path) -> None:
    """A replay writes no file."""
    before = sorted(tmp_path.rglob("*"))
    context = replaying(operations)
    context.kv("store").put("a", b"1")
    assert before == sorted(tmp_path.rglob("*"))


def test_long_arguments_are_recorded_as_digests(tmp_path: Path) -> None:
    """A large value among the arguments is held as digest and length, and still told from another."""
    large = bytes(100_000)
    _, operations = record(bench("recording", tmp_path).settings, lambda ctx: ctx.kv("store").put("k", large))
    assert (len(to_text(operations[0].arguments)) < 300, operations[0].arguments["value"]["bytes"]) == (True, 100_000)
    assert replay_of(operations, lambda ctx: ctx.kv("store").put("k", large + b"1")).position == 0


DISGUISES = {
    "plain": SECRET,
    "in a sentence": f"Bearer {SECRET}, please",
    "percent-encoded": quote(SECRET, safe=""),
    "in JSON": json.dumps({"token": SECRET}),
    "in UTF-8 JSON": json.dumps({"token": SECRET}, ensure_ascii=False),
    "hexadecimal": SECRET.encode().hex(),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of user": base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "base64 of a user": base64.b64encode(b"a user:" + SECRET.encode() + b"\n").decode(),
    "base64 for URLs": base64.urlsafe_b64encode(b"an user:" + SECRET.encode()).decode(),
}


@pytest.mark.parametrize("how", DISGUISES)
def test_secrets_are_kept_out_of_records_in_every_disguise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """However a node writes a secret, the record has its name in its place, and the replay still agrees (C-POLICY)."""
    monkeypatch.setenv("API_TOKEN", SECRET)

    def disguised(value: str) -> str:
        return {
            "percent-encoded": quote(value, safe=""),
            "in JSON": json.dumps({"token": value}),
            "in UTF-8 JSON": json.dumps({"token": value}, ensure_ascii=False),
            "hexadecimal": value.encode().hex(),
            "base64": base64.b64encode(value.encode()).decode(),
            "base64 of user": base64.b64encode(b"user:" + value.encode()).decode(),
            "base64 of a user": base64.b64encode(b"a user:" + value.encode() + b"\n").decode(),
            "base64 for URLs": base64.urlsafe_b64encode(b"an user:" + value.encode()).decode(),
            "in a sentence": f"Bearer {value}, please",
        }.get(how, value)

    def node(ctx: Context) -> bytes | None:
        text = disguised(ctx.secrets.get("API_TOKEN"))
        ctx.kv("store").put(f"key {text}", b"value " + text.encode())
        ctx.log.info(text, also=[{text: text}])
        return ctx.kv("store").get(f"key {text}")

    result, operations = record(bench("recording", tmp_path).settings, node)
    assert b"value " + DISGUISES[how].encode() == result
    written = to_text([operation.to_data() for operation in operations])
    assert [DISGUISES[how] in from_text(written)[1]["arguments"], SECRET in written] == [False, False]
    assert "<secret:API_TOKEN>" in written
    context = replaying(stored(operations))
    node(context)
    context.finish()


def test_secret_inside_the_name_of_another_is_no_trouble() -> None:
    """Names of secrets are not searched for secrets: each is replaced once."""
    redactor = Redactor()
    redactor.learn("LONG", "secret value")
    redactor.learn("SHORT", "secret")
    assert redactor.text("secret value and secret") == "<secret:LONG> and <secret:SHORT>"


def test_recorder_reports_in_the_thread_and_stack_of_the_use(tmp_path: Path) -> None:
    """The callback runs below the node's own frames, so that it can tell the line."""
    seen: list[bool] = []

    def callback(_: Operation) -> None:
        import inspect

        seen.append("the_node" in {frame.function for frame in inspect.stack()})

    from certify.capabilities import real_context

    def the_node(ctx: Context) -> None:
        ctx.kv("store").get("k")

    with real_context(bench("recording", tmp_path).settings) as world:
        the_node(recording(world, callback))
    assert seen == [True]
