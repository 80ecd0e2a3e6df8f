"""Key-value and dedupe stores against a dictionary, under any sequence of operations."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from capability_harness import bench, stored
from certify.capabilities import Operation, RealContext, real_context, snapshot
from certify.capabilities.recording import recording
from certify.capabilities.replaying import replaying

KEYS = st.sampled_from(["", "a", "ab", "b\0", "é", "e\u0301", "\U0001f600", "a%", "a_", "'"]) | st.text(max_size=3)
VALUES = st.binary(max_size=4)
BINARY_KEYS = st.sampled_from([b"", b"k", b"\0", b"\xff"])


class Stores(RuleBasedStateMachine):
    """A recorded context and the dictionaries that it must agree with; at the end the record is replayed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.settings = bench("recording", Path(self.folder.name)).settings
        self.operations: list[Operation] = []
        self.answers: list[tuple[str, tuple[Any, ...], Any]] = []
        self.world: RealContext = real_context(self.settings)
        self.pairs: dict[str, bytes] = {}
        self.results: dict[bytes, bytes] = {}

    def answer(self, operation: str, *arguments: Any) -> Any:
        """Perform an operation and keep its answer for the replay."""
        found = self.call(recording(self.world, self.operations.append), operation, arguments)
        self.answers.append((operation, arguments, found))
        return found

    @staticmethod
    def call(ctx: Any, operation: str, arguments: tuple[Any, ...]) -> Any:
        store, _, name = operation.partition(".")
        return getattr(ctx.kv("store") if store == "kv" else ctx.dedupe, name)(*arguments)

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: bytes) -> None:
        self.answer("kv.put", key, value)
        self.pairs[key] = value

    @rule(key=KEYS, value=VALUES)
    def put_if_absent(self, key: str, value: bytes) -> None:
        assert (key not in self.pairs) == self.answer("kv.put_if_absent", key, value)
        self.pairs.setdefault(key, value)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.pairs.get(key) == self.answer("kv.get", key)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.answer("kv.delete", key)
        self.pairs.pop(key, None)

    @rule(prefix=KEYS)
    def keys(self, prefix: str) -> None:
        assert tuple(sorted(k for k in self.pairs if k.startswith(prefix))) == self.answer("kv.keys", prefix)

    @rule(key=BINARY_KEYS, value=VALUES)
    def remember(self, key: bytes, value: bytes) -> None:
        assert (key not in self.results) == self.answer("dedupe.remember", key, value)
        self.results.setdefault(key, value)

    @rule(key=BINARY_KEYS)
    def seen(self, key: bytes) -> None:
        assert self.results.get(key) == self.answer("dedupe.seen", key)

    @precondition(lambda self: self.answers)
    @rule()
    def restart(self) -> None:
        """A new process would see the same."""
        self.world.close()
        self.world = real_context(self.settings)

    @invariant()
    def snapshot_agrees(self) -> None:
        found = snapshot(self.folder.name)
        assert self.pairs == found.get("kv.store", {})
        assert {key.hex(): value for key, value in self.results.items()} == found.get("dedupe", {})

    def teardown(self) -> None:
        context = replaying(stored(self.operations))
        replayed = [(name, arguments, self.call(context, name, arguments)) for name, arguments, _ in self.answers]
        context.finish()
        self.world.close()
        self.folder.cleanup()
        assert self.answers == replayed


@pytest.mark.timeout(120)
def test_stores_agree_with_dictionaries() -> None:
    """Under any sequence of uses the stores answer like dictionaries, and so does the replay (C-IDEM)."""
    run_state_machine_as_test(Stores, settings=settings(max_examples=20, stateful_step_count=20, deadline=None))
