"""One contract, three contexts: what holds of the real one holds of its recording and of the replay of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capability_harness import KINDS, Bench, bench
from certify.capabilities import (
    BudgetExceeded,
    CapabilityDenied,
    ConstraintViolated,
    Context,
    Grant,
    StoreError,
)

TABLE = "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, total INTEGER NOT NULL)"


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Each kind of context in turn."""
    return bench(request.param, tmp_path)


def error_of(action: Callable[[], object]) -> tuple[str, str]:
    """Class and message of what an action raises."""
    try:
        action()
    except Exception as error:
        return type(error).__name__, str(error)
    return "nothing", ""


def test_key_value_store_keeps_what_it_is_given(world: Bench) -> None:
    """A key-value store gets, puts, deletes, and lists by prefix in the order of code points (resource kv)."""

    def scenario(ctx: Context) -> list[Any]:
        store = ctx.kv("store")
        store.put("b", b"1")
        store.put("a\0é", b"")
        store.put("\U0001f600", b"2")
        store.put("b", b"\xff\0")
        missing = store.get("missing")
        store.delete("missing")
        listed = list(store.keys())
        store.delete("\U0001f600")
        return [store.get("b"), store.get("a\0é"), missing, listed, list(store.keys("a")), list(store.keys())]

    expected = [b"\xff\0", b"", None, ["a\0é", "b", "\U0001f600"], ["a\0é"], ["a\0é", "b"]]
    assert expected == world.perform(scenario)


def test_reading_an_empty_store_makes_nothing(world: Bench, tmp_path: Path) -> None:
    """Looking into stores that nobody has written leaves the working folder as it was (C-EFFECTS)."""

    def scenario(ctx: Context) -> list[Any]:
        return [
            ctx.kv("store").get("k"),
            list(ctx.kv("store").keys()),
            ctx.dedupe.seen(b"k"),
            list(ctx.blob("files").names()),
        ]

    assert world.perform(scenario) == [None, [], None, []]
    assert list(tmp_path.iterdir()) == []


def test_put_if_absent_sets_once(world: Bench) -> None:
    """The first `put_if_absent` wins, the second changes nothing (C-IDEM)."""

    def scenario(ctx: Context) -> list[Any]:
        store = ctx.kv("store")
        return [store.put_if_absent("k", b"1"), store.put_if_absent("k", b"2"), store.get("k")]

    assert world.perform(scenario) == [True, False, b"1"]


def test_stores_of_different_names_are_apart(world: Bench) -> None:
    """Two key-value stores share nothing."""
    grants = (Grant("kv", "one", "write"), Grant("kv", "two", "write"))

    def scenario(ctx: Context) -> list[Any]:
        ctx.kv("one").put("k", b"1")
        return [ctx.kv("one").get("k"), ctx.kv("two").get("k")]

    assert world.perform(scenario, grants=grants) == [b"1", None]


def test_dedupe_remembers_the_first_result(world: Bench) -> None:
    """The first result of a key stays, whatever comes after (C-IDEM)."""

    def scenario(ctx: Context) -> list[Any]:
        dedupe = ctx.dedupe
        return [
            dedupe.seen(b"k"),
            dedupe.remember(b"k", b"1"),
            dedupe.remember(b"k", b"2"),
            dedupe.seen(b"k"),
            dedupe.seen(b"\0"),
        ]

    assert world.perform(scenario) == [None, True, False, b"1", None]


def test_dedupe_forgets_after_the_retention(world: Bench) -> None:
    """An expired key is forgotten, and may be remembered anew (C-IDEM)."""

    def scenario(ctx: Context) -> list[Any]:
        return [
            ctx.dedupe.remember(b"k", b"1"),
            ctx.dedupe.seen(b"k"),
            ctx.dedupe.remember(b"k", b"2"),
        ]

    assert world.perform(scenario, retention=-1.0) == [True, None, True]


@pytest.mark.parametrize(
    "name", ["a.txt", "../../escape", "/etc/passwd", ".", "..", ".hidden", "é\0/x", " ", "%2E", "~"]
)
def test_blob_names_are_data_and_stay_in_the_folder(world: Bench, tmp_path: Path, name: str) -> None:
    """Whatever a blob is called, it stays below the working folder and is read back by its name (C-SANDBOX)."""
    work = tmp_path / "deep" / "er"

    def scenario(ctx: Context) -> list[Any]:
        ctx.blob("files").write(name, b"first")
        ctx.blob("files").write(name, b"second")
        return [ctx.blob("files").read(name), list(ctx.blob("files").names()), list(ctx.blob("files").names(name[:1]))]

    assert [b"second", [name], [name]] == world.perform(scenario, folder=work)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.is_relative_to(work) for path in files] == [True]


def test_missing_blob_is_a_key_error(world: Bench) -> None:
    """Reading what was never written is a KeyError, and an empty store lists nothing."""

    def scenario(ctx: Context) -> list[Any]:
        return [error_of(lambda: ctx.blob("files").read("x"))[0], list(ctx.blob("files").names())]

    assert world.perform(scenario) == ["KeyError", []]


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 50])
def test_impossible_blob_names_are_refused(world: Bench, name: str) -> None:
    """A name that no file system holds is a ValueError that says why."""
    assert world.perform(lambda ctx: error_of(lambda: ctx.blob("files").write(name, b""))[0]) == "ValueError"


def test_transaction_commits_and_rolls_back(world: Bench) -> None:
    """A block that ends well commits, a block that raises leaves nothing behind, and its own error goes on (C-IDEM)."""

    def scenario(ctx: Context) -> list[Any]:
        database = ctx.db("main")
        with database.transaction() as transaction:
            transaction.execute(TABLE)
            transaction.execute("INSERT INTO orders VALUES (?, ?)", ("a", 1))

        def broken() -> None:
            with database.transaction() as transaction:
                transaction.execute("INSERT INTO orders VALUES (?, ?)", ("b", 2))
                raise RuntimeError("the node broke")

        return [error_of(broken), database.query("SELECT id, total FROM orders ORDER BY id")]

    assert world.perform(scenario) == [("RuntimeError", "the node broke"), (("a", 1),)]


def test_rows_keep_their_types(world: Bench) -> None:
    """None, integers of 64 bits, floats, text in any form and bytes come back as they were."""
    row = (None, -(2**63), 0.1, "e\u0301\0", b"\0\xff", float("inf"))

    def scenario(ctx: Context) -> Any:
        with ctx.db("main").transaction() as transaction:
            return transaction.execute("SELECT ?, ?, ?, ?, ?, ?", row)

    assert (row,) == world.perform(scenario)


def test_broken_constraint_is_told_from_other_errors(world: Bench) -> None:
    """A UNIQUE that is broken is `ConstraintViolated`, a statement that makes no sense is a `StoreError`."""

    def scenario(ctx: Context) -> list[Any]:
        def insert(statement: str) -> str:
            def act() -> None:
                with ctx.db("main").transaction() as transaction:
                    transaction.execute(TABLE)
                    transaction.execute("INSERT INTO orders VALUES ('a', 1)")
                    transaction.execute(statement)

            return error_of(act)[0]

        return [
            insert("INSERT INTO orders VALUES ('a', 2)"),
            insert("INSERT INTO orders VALUES ('b', NULL)"),
            insert("INSERT INTO nowhere VALUES (1)"),
            insert("SELECT 1; SELECT 2"),
            insert("SELECT ?"),
        ]

    violated = ConstraintViolated.__name__
    assert [violated, violated, *[StoreError.__name__] * 3] == world.perform(scenario)


def test_nested_transaction_is_refused_at_once(world: Bench) -> None:
    """A transaction inside one of the same database is an error, not a wait for itself, and the outer one goes on."""

    def scenario(ctx: Context) -> list[Any]:
        database = ctx.db("main")
        with database.transaction() as transaction:
            transaction.execute(TABLE)
            nested = error_of(database.transaction().__enter__)
            queried = error_of(lambda: database.query("SELECT 1"))
            transaction.execute("INSERT INTO orders VALUES ('a', 1)")
        return [nested[0], "cannot be nested" in nested[1], queried[0], len(database.query("SELECT * FROM orders"))]

    assert world.perform(scenario) == ["StoreError", True, "StoreError", 1]


def test_transaction_that_is_over_does_nothing(world: Bench) -> None:
    """A statement after the block, and a second block of the same transaction, are refused."""

    def scenario(ctx: Context) -> list[Any]:
        holder = ctx.db("main").transaction()
        with holder as transaction:
            transaction.execute(TABLE)
        late = error_of(lambda: transaction.execute("INSERT INTO orders VALUES ('a', 1)"))
        again = error_of(holder.__enter__)
        return [late[0], again[0], len(ctx.db("main").query("SELECT * FROM orders"))]

    assert world.perform(scenario) == ["StoreError", "StoreError", 0]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("ATTACH DATABASE '/tmp/elsewhere' AS other", "attach"),
        ("VACUUM INTO '/tmp/elsewhere'", ""),
        ("COMMIT", "begin or end a transaction"),
        ("PRAGMA journal_mode = WAL", "PRAGMA journal_mode"),
        ("PRAGMA writable_schema = 1", "PRAGMA writable_schema"),
        ("SELECT load_extension('x')", ""),
    ],
)
def test_statements_cannot_leave_their_database(world: Bench, statement: str, told: str) -> None:
    """SQL that reaches for another file, a setting or the transaction is refused inside a transaction and outside."""

    def scenario(ctx: Context) -> list[Any]:
        def inside() -> None:
            with ctx.db("main").transaction() as transaction:
                transaction.execute(statement)

        errors = [error_of(inside), error_of(lambda: ctx.db("main").query(statement))]
        return [kind in {"CapabilityDenied", "StoreError"} and told in message for kind, message in errors]

    assert world.perform(scenario) == [True, True]
    assert not Path("/tmp/elsewhere").exists()


@pytest.mark.parametrize(
    ("function", "kind"), [("random()", "random"), ("CURRENT_TIMESTAMP", "clock"), ("date()", "clock")]
)
def test_sql_functions_need_the_grant_of_what_they_read(world: Bench, function: str, kind: str) -> None:
    """SQL that reads the clock or a random source needs the manifest to declare it, as code does (C-EFFECTS)."""
    statement = f"SELECT {function}"

    def scenario(ctx: Context) -> tuple[str, str]:
        return error_of(lambda: ctx.db("main").query(statement))

    only_database = (Grant("db", "main", "write"),)
    error, message = world.perform(scenario, grants=only_database)
    assert (error, f'kind = "{kind}"' in message) == ("CapabilityDenied", True)
    assert world.perform(scenario, grants=(*only_database, Grant(kind, kind)))[0] == "nothing"


def test_queries_do_not_write(world: Bench) -> None:
    """A query that would write is refused, and writes nothing."""

    def scenario(ctx: Context) -> list[Any]:
        with ctx.db("main").transaction() as transaction:
            transaction.execute(TABLE)
        refused = error_of(lambda: ctx.db("main").query("INSERT INTO orders VALUES ('a', 1) RETURNING id"))[0]
        return [refused, ctx.db("main").query("SELECT count(*) FROM orders")]

    assert world.perform(scenario) == ["CapabilityDenied", ((0,),)]


def test_clock_goes_on(world: Bench) -> None:
    """The clock gives seconds, the monotonic one never goes back, and sleeping comes to an end."""

    def scenario(ctx: Context) -> list[Any]:
        before = ctx.clock.monotonic()
        ctx.clock.sleep(0.0)
        return [ctx.clock.monotonic() >= before, ctx.clock.now() > 1_600_000_000]

    assert world.perform(scenario) == [True, True]


def test_randomness_has_its_shapes(world: Bench) -> None:
    """Each random operation gives what it promises; a choice is one of the items, whatever they are."""
    items = [object(), object(), object()]

    def scenario(ctx: Context) -> list[Any]:
        return [
            0 <= ctx.random.random() < 1,
            len(ctx.random.randbytes(7)),
            ctx.random.choice(items) in items,
            ctx.random.uuid()[14],
        ]

    assert world.perform(scenario) == [True, 7, True, "4"]


def test_secret_comes_from_its_variable(world: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared secret is read from the environment; one not set, or too short to hide, is a KeyError."""
    monkeypatch.setenv("API_TOKEN", "correct horse")
    value = world.perform(lambda ctx: ctx.secrets.get("API_TOKEN"))
    assert ("<secret:API_TOKEN>" if world.kind == "replaying" else "correct horse") == value
    monkeypatch.setenv("API_TOKEN", "abc")
    assert world.perform(lambda ctx: error_of(lambda: ctx.secrets.get("API_TOKEN")))[0] == "KeyError"
    monkeypatch.delenv("API_TOKEN")
    assert world.perform(lambda ctx: error_of(lambda: ctx.secrets.get("API_TOKEN")))[0] == "KeyError"


def test_undeclared_secret_is_denied(world: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that no resource lists is no secret, though it is set (C-POLICY)."""
    monkeypatch.setenv("OTHER", "not for this node")
    kind, message = world.perform(lambda ctx: error_of(lambda: ctx.secrets.get("OTHER")))
    assert (kind, 'variables = ["OTHER"]' in message, "not for" in message) == ("CapabilityDenied", True, False)


def test_budget_is_never_passed(world: Bench) -> None:
    """Spending to the limit is fine; one more is refused and not counted (C-BUDGET)."""

    def scenario(ctx: Context) -> list[Any]:
        ctx.budget.spend(tokens=60, money_micros=50)
        refused = error_of(lambda: ctx.budget.spend(tokens=41))
        money = error_of(lambda: ctx.budget.spend(tokens=1, money_micros=1))
        ctx.budget.spend(tokens=40)
        return [refused[0], money[0], dict(ctx.budget.left())]

    exceeded = BudgetExceeded.__name__
    assert [exceeded, exceeded, {"tokens": 0, "money_micros": 0}] == world.perform(scenario)


def test_key_is_the_settings_key(world: Bench) -> None:
    """The call's key is what the settings say; without one, asking for it is refused with the words to add (C-KEY)."""
    assert bytes(range(32)) == world.perform(lambda ctx: ctx.key, key=bytes(range(32)))
    kind, message = world.perform(lambda ctx: error_of(lambda: ctx.key), key=b"")
    assert (kind, "[idempotency]" in message) == ("CapabilityDenied", True)


def test_log_lines_are_json_without_secrets(
    world: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log line is one JSON object on standard error; a secret in it is replaced by its name (C-POLICY)."""
    monkeypatch.setenv("API_TOKEN", "correct horse")

    def scenario(ctx: Context) -> None:
        token = ctx.secrets.get("API_TOKEN")
        message = f"sent {token}"
        ctx.log.warning(message, header=f"Bearer {token}", what=object(), count=1)

    world.perform(scenario)
    line = (
        '{"level": "warning", "message": "sent <secret:API_TOKEN>", '
        '"fields": {"header": "Bearer <secret:API_TOKEN>", "what": "<object>", "count": 1}}\n'
    )
    assert line == capsys.readouterr().err


USES: dict[str, tuple[str, Callable[[Context], object]]] = {
    "http.get": ("http", lambda ctx: ctx.http.get("api", "/")),
    "http.post": ("http", lambda ctx: ctx.http.post("api", "/")),
    "kv.get": ("kv", lambda ctx: ctx.kv("store").get("k")),
    "kv.put": ("kv", lambda ctx: ctx.kv("store").put("k", b"")),
    "kv.put_if_absent": ("kv", lambda ctx: ctx.kv("store").put_if_absent("k", b"")),
    "kv.delete": ("kv", lambda ctx: ctx.kv("store").delete("k")),
    "kv.keys": ("kv", lambda ctx: ctx.kv("store").keys()),
    "blob.read": ("blob", lambda ctx: ctx.blob("files").read("k")),
    "blob.write": ("blob", lambda ctx: ctx.blob("files").write("k", b"")),
    "blob.names": ("blob", lambda ctx: ctx.blob("files").names()),
    "db.query": ("db", lambda ctx: ctx.db("main").query("SELECT 1")),
    "db.transaction": ("db", lambda ctx: ctx.db("main").transaction().__enter__()),
    "dedupe.seen": ("dedupe", lambda ctx: ctx.dedupe.seen(b"k")),
    "dedupe.remember": ("dedupe", lambda ctx: ctx.dedupe.remember(b"k", b"")),
    "clock.now": ("clock", lambda ctx: ctx.clock.now()),
    "clock.monotonic": ("clock", lambda ctx: ctx.clock.monotonic()),
    "clock.sleep": ("clock", lambda ctx: ctx.clock.sleep(0)),
    "random.random": ("random", lambda ctx: ctx.random.random()),
    "random.randbytes": ("random", lambda ctx: ctx.random.randbytes(1)),
    "random.choice": ("random", lambda ctx: ctx.random.choice([1])),
    "random.uuid": ("random", lambda ctx: ctx.random.uuid()),
    "secrets.get": ("secrets", lambda ctx: ctx.secrets.get("API_TOKEN")),
    "budget.spend": ("budget", lambda ctx: ctx.budget.spend(tokens=1)),
    "budget.left": ("budget", lambda ctx: ctx.budget.left()),
    "log.info": ("log", lambda ctx: ctx.log.info("hello")),
    "log.warning": ("log", lambda ctx: ctx.log.warning("hello")),
}
WRITES = {"http.post", "kv.put", "kv.put_if_absent", "kv.delete", "blob.write", "db.transaction", "dedupe.remember"}


@pytest.mark.parametrize("use", USES)
def test_undeclared_use_is_denied_with_the_words_to_add(world: Bench, tmp_path: Path, use: str) -> None:
    """Every operation of an undeclared resource raises, says what to add, and touches nothing (C-EFFECTS)."""
    kind, act = USES[use]
    error, message = world.perform(lambda ctx: error_of(lambda: act(ctx)), grants=())
    assert (CapabilityDenied.__name__, True) == (error, f'kind = "{kind}"' in message and "[[resource]]" in message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("use", sorted(WRITES))
def test_write_needs_mode_write(world: Bench, tmp_path: Path, use: str) -> None:
    """Every operation that writes is denied where the manifest says mode = "read" (C-EFFECTS)."""
    kind, act = USES[use]
    name = {"http": "api", "kv": "store", "blob": "files", "db": "main"}.get(kind, kind)
    error, message = world.perform(lambda ctx: error_of(lambda: act(ctx)), grants=(Grant(kind, name, "read"),))
    assert (CapabilityDenied.__name__, True) == (error, 'change it to mode = "write"' in message)
    assert list(tmp_path.iterdir()) == []


WRONG: dict[str, tuple[str, Callable[[Any], object]]] = {
    "text value": ("TypeError", lambda ctx: ctx.kv("store").put("k", "text")),
    "bytes key": ("TypeError", lambda ctx: ctx.kv("store").get(b"k")),
    "surrogate key": ("ValueError", lambda ctx: ctx.kv("store").put("\ud800", b"")),
    "text dedupe key": ("TypeError", lambda ctx: ctx.dedupe.seen("k")),
    "negative sleep": ("ValueError", lambda ctx: ctx.clock.sleep(-1)),
    "endless sleep": ("ValueError", lambda ctx: ctx.clock.sleep(float("inf"))),
    "nan sleep": ("ValueError", lambda ctx: ctx.clock.sleep(float("nan"))),
    "negative spending": ("ValueError", lambda ctx: ctx.budget.spend(tokens=-1)),
    "true spending": ("TypeError", lambda ctx: ctx.budget.spend(tokens=True)),
    "choice of nothing": ("ValueError", lambda ctx: ctx.random.choice([])),
    "nan parameter": ("ValueError", lambda ctx: ctx.db("main").query("SELECT ?", (float("nan"),))),
    "large parameter": ("ValueError", lambda ctx: ctx.db("main").query("SELECT ?", (2**63,))),
    "object parameter": ("TypeError", lambda ctx: ctx.db("main").query("SELECT ?", (object(),))),
    "text as parameters": ("TypeError", lambda ctx: ctx.db("main").query("SELECT ?", "a")),
    "text blob": ("TypeError", lambda ctx: ctx.blob("files").write("k", "text")),
    "number as store": ("TypeError", lambda ctx: ctx.kv(1)),
    "message of bytes": ("TypeError", lambda ctx: ctx.log.info(b"hello")),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_refused_alike(world: Bench, what: str) -> None:
    """A wrong type is a TypeError and an impossible value a ValueError, whichever context it is."""
    kind, act = WRONG[what]
    assert kind == world.perform(lambda ctx: error_of(lambda: act(ctx)))[0]
