"""Stores that several processes share, and processes that die."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from capability_harness import EVERYTHING, bench
from certify.capabilities import Settings, StoreBusy, StoreError, real_context, snapshot
from certify.capabilities.blobs import BlobFolder

PRELUDE = """
import sys
from certify.capabilities import Grant, Settings, real_context
grants = tuple(Grant(kind, name, "write") for kind, name in
               (("kv", "store"), ("db", "main"), ("dedupe", "dedupe"), ("blob", "files")))
ctx = real_context(Settings(folder=sys.argv[1], grants=grants))
def meet():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def child(folder: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that runs `code` with a context below `folder` and has reached `meet()`."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def released(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    """What the processes print after they are let go, all at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [0] * len(processes) == [process.returncode for process in processes]
    return printed


FIRST_WINS = {
    "put_if_absent": "ctx.kv('store').put_if_absent(str(n), sys.argv[2].encode())",
    "remember": "ctx.dedupe.remember(str(n).encode(), sys.argv[2].encode())",
    "unique row": "insert(n)",
}


@pytest.mark.parametrize("how", FIRST_WINS)
def test_exactly_one_process_wins_each_key(tmp_path: Path, how: str) -> None:
    """Two processes that claim the same keys at once share them out, one winner each (C-IDEM)."""
    code = f"""
def insert(n):
    with ctx.db("main").transaction() as t:
        t.execute("CREATE TABLE IF NOT EXISTS claims (n INTEGER PRIMARY KEY, who TEXT)")
        return bool(t.execute(
            "INSERT INTO claims VALUES (?, ?) ON CONFLICT (n) DO NOTHING RETURNING n", (n, sys.argv[2])))
meet()
for n in range(40):
    if {FIRST_WINS[how]}:
        print(n)
"""
    won = released([child(tmp_path, code, "a"), child(tmp_path, code, "b")])
    assert sorted(range(40)) == sorted(int(n) for each in won for n in each)
    if how == "put_if_absent":
        expected = {n: who.encode() for who, each in zip("ab", won, strict=True) for n in each}
        assert expected == snapshot(tmp_path)["kv.store"]


def test_transaction_of_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    """A process killed inside a transaction leaves the database as before, and unlocked (C-IDEM)."""
    code = """
with ctx.db("main").transaction() as t:
    t.execute("CREATE TABLE claims (n INTEGER)")
with ctx.db("main").transaction() as t:
    t.execute("PRAGMA table_info(claims)")
    for n in range(20000):
        t.execute("INSERT INTO claims VALUES (?)", (n,))
    meet()
"""
    process = child(tmp_path, code)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with real_context(Settings(folder=tmp_path, grants=EVERYTHING)) as ctx:
        assert ctx.db("main").query("SELECT count(*) FROM claims") == ((0,),)
        with ctx.db("main").transaction() as transaction:
            transaction.execute("INSERT INTO claims VALUES (1)")
        assert ctx.db("main").query("SELECT count(*) FROM claims") == ((1,),)


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    """What an operation has returned from is there after kill -9 (C-IDEM)."""
    code = """
ctx.kv("store").put("k", b"1")
ctx.dedupe.remember(b"k", b"2")
ctx.blob("files").write("k", b"3")
meet()
"""
    process = child(tmp_path, code)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert snapshot(tmp_path) == {"kv.store": {"k": b"1"}, "dedupe": {"6b": b"2"}, "blob.files": {"k": b"3"}}


def test_busy_database_is_told_so(tmp_path: Path) -> None:
    """A write lock that another process keeps is `StoreBusy` after the busy timeout, and reading goes on."""
    process = child(
        tmp_path, "with ctx.db('main').transaction() as t:\n    t.execute('CREATE TABLE a (n)')\n    meet()\n"
    )
    try:
        with real_context(Settings(folder=tmp_path, grants=EVERYTHING, busy_timeout=0.05)) as ctx:
            assert ctx.db("main").query("SELECT count(*) FROM sqlite_master") == ((0,),)
            with pytest.raises(StoreBusy), ctx.db("main").transaction():
                pass
    finally:
        released([process])


def test_threads_of_one_context_take_turns(tmp_path: Path) -> None:
    """Transactions of several threads come one after the other, and none is lost (C-IDEM)."""
    with real_context(bench("real", tmp_path, busy_timeout=60.0).settings) as ctx:
        with ctx.db("main").transaction() as transaction:
            transaction.execute("CREATE TABLE counter (n INTEGER)")
            transaction.execute("INSERT INTO counter VALUES (0)")

        def count() -> None:
            for _ in range(20):
                with ctx.db("main").transaction() as transaction:
                    ((n,),) = transaction.execute("SELECT n FROM counter")
                    transaction.execute("UPDATE counter SET n = ?", (n + 1,))

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ctx.db("main").query("SELECT n FROM counter") == ((80,),)


def test_blob_writer_takes_over_what_a_dead_one_left(tmp_path: Path) -> None:
    """A temporary file of a killed writer is no blob, and the next write uses it up."""
    (tmp_path / ".new-0").write_bytes(b"half of something long")
    folder = BlobFolder("files", tmp_path)
    assert folder.names("") == ()
    folder.write("k", b"new")
    assert (folder.read("k"), folder.names(""), [file.name for file in tmp_path.iterdir()]) == (b"new", ("k",), ["k"])


def test_blob_writer_leaves_a_living_one_alone(tmp_path: Path) -> None:
    """A temporary file that somebody is writing is not touched."""
    with (tmp_path / ".new-0").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b"theirs")
        other.flush()
        BlobFolder("files", tmp_path).write("k", b"ours")
        assert ((tmp_path / ".new-0").read_bytes(), (tmp_path / "k").read_bytes()) == (b"theirs", b"ours")


def test_blobs_written_by_two_processes_are_whole(tmp_path: Path) -> None:
    """Two processes that write one blob again and again never mix their contents."""
    code = "meet()\nfor _ in range(30):\n    ctx.blob('files').write('k', sys.argv[2].encode() * 50000)\n"
    released([child(tmp_path, code, "a"), child(tmp_path, code, "b")])
    content = snapshot(tmp_path)["blob.files"]["k"]
    assert content in {b"a" * 50000, b"b" * 50000}


def test_damaged_store_is_an_error_not_a_traceback_of_sqlite(tmp_path: Path) -> None:
    """A file that is no database is a `StoreError` that names the store."""
    file = tmp_path / ".context" / "kv" / "store.sqlite3"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"this is no database, and never was one" * 100)
    with (
        real_context(Settings(folder=tmp_path, grants=EVERYTHING)) as ctx,
        pytest.raises(StoreError, match=r"store\.sqlite3: "),
    ):
        ctx.kv("store").get("k")
