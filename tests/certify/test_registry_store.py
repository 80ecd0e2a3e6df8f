"""The store: its settings, its folder, and what it says when something is wrong with it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from certify.registry import store
from certify.registry.disk import BlobFolder, Disk
from certify.registry.entries import Release, Status
from certify.registry.errors import Conflict
from certify.registry.founding import KEY_FOLDER
from certify.registry.registry import Registry
from certify.registry.verification import verify_log
from certify_spec.diagnostics import RequestError
from registry_support import NODE, codes, submission, ticking


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry with one release, closed."""
    with Registry.create(tmp_path / "registry", clock=ticking()) as registry:
        registry.publish(submission())
    return tmp_path / "registry"


def refusal(work: Callable[[], object]) -> list[str]:
    """The codes of the request error that the work raises."""
    with pytest.raises(RequestError) as refused:
        work()
    return codes(refused.value)


def test_the_database_has_the_required_settings(folder: Path) -> None:
    """R-STORE: WAL, synchronous=NORMAL between writes, foreign keys, a busy timeout, a cache of 64 MB."""
    with Registry.open(folder) as registry:
        ask = registry._store._connection.execute
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "cache_size")
        found = {name: ask(f"PRAGMA {name}").fetchone()[0] for name in names}
    expected = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30000, "cache_size": -65536}
    assert found == expected


def test_a_write_is_synchronous_in_full(folder: Path) -> None:
    """R-DURABLE: what is about to be acknowledged is brought to the disk by the commit."""
    with Registry.open(folder) as registry, registry._store.write():
        assert registry._store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_every_blob_is_on_the_disk_before_the_commit(tmp_path: Path) -> None:
    """R-DURABLE: files are synced before they get their name, folders after, the commit comes last of all."""
    steps: list[str] = []
    with Registry.create(tmp_path / "registry", clock=ticking(), disk=Disk(steps.append)) as registry:
        steps.clear()
        registry.publish(submission())
    commit = steps.index("commit")
    files = [step for step in steps if step in {"create file", "link file", "sync files", "sync folders", "commit"}]
    assert files == [*["create file"] * 8, "sync files", *["link file"] * 8, "sync folders", "commit"]
    assert set(steps[commit + 1 :]) == {"remove file"}


def test_a_blob_lies_under_two_digits_of_its_digest(tmp_path: Path) -> None:
    """R-STORE: ``blobs/ab/cdef…``."""
    path = BlobFolder(tmp_path, Disk()).path("ab" + "0" * 62)
    assert path == tmp_path / "blobs" / "ab" / ("0" * 62)


def test_compare_and_swap_wants_the_expected_version(folder: Path) -> None:
    """R-OCC: with the expected version the row changes, with any other it is a conflict that names both."""
    with Registry.open(folder) as registry:
        with registry._store.write() as view:
            found = view.release(NODE, "1.0.0")
            assert found is not None
            view.swap_release(found.decided(Status.APPROVED), 1)
            assert view.release(NODE, "1.0.0") == found.decided(Status.APPROVED)
        for release, expected, actual in (
            (found, 1, 2),
            (found, 3, 2),
            (Release("x", "1.0.0", "", "", 0, Status.APPROVED, 1), 1, 0),
        ):
            with pytest.raises(Conflict) as conflict, registry._store.write() as view:
                view.swap_release(release, expected)
            assert (conflict.value.item, conflict.value.expected, conflict.value.actual) == (
                release.name,
                expected,
                actual,
            )


def test_the_log_cannot_be_changed_by_mistake(folder: Path) -> None:
    """R-LOG: the database itself declines updates and deletions of the log."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db")) as connection:
        connection.execute("INSERT INTO subtrees VALUES (1, 9, zeroblob(32))")
        for table, column in (("entries", "number"), ("subtrees", "number"), ("checkpoints", "size")):
            for change in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
                with pytest.raises(sqlite3.IntegrityError, match="the log only grows"):
                    connection.execute(change)


def test_an_exception_within_a_write_undoes_it(folder: Path) -> None:
    """R-STORE: a transaction that raises leaves nothing, and the next one works."""
    with Registry.open(folder, clock=ticking()) as registry:
        with contextlib.suppress(ZeroDivisionError), registry._store.write() as view:
            view.put_blobs({"ab" * 32: b"data"})
            raise ZeroDivisionError
        registry.publish(submission(release="1.1.0"))
    assert verify_log(folder).diagnostics == ()


def test_a_copy_without_its_empty_folders_works(tmp_path: Path) -> None:
    """R-DURABLE: tools that keep files only do not break a registry."""
    folder = tmp_path / "registry"
    Registry.create(folder, clock=ticking()).close()
    (folder / "incoming").rmdir()
    (folder / "blobs").rmdir()
    assert verify_log(folder).diagnostics == ()
    with Registry.open(folder, clock=ticking()) as registry:
        registry.publish(submission())
    assert verify_log(folder).diagnostics == ()


# Folders that are none


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """R-STORE: REG001."""
    assert refusal(lambda: Registry.open(tmp_path / "nowhere")) == ["REG001"]
    assert refusal(lambda: verify_log(tmp_path / "nowhere")) == ["REG001"]


def test_a_folder_without_a_registry(tmp_path: Path) -> None:
    """R-STORE: REG001, and nothing is made by asking."""
    assert refusal(lambda: Registry.open(tmp_path)) == ["REG001"]
    assert list(tmp_path.iterdir()) == []


def test_another_programs_database(tmp_path: Path) -> None:
    """R-STORE: REG001 on opening, REG002 on making a registry there; the database stays as it is."""
    with contextlib.closing(sqlite3.connect(tmp_path / "registry.db")) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = (tmp_path / "registry.db").read_bytes()
    assert refusal(lambda: Registry.open(tmp_path)) == ["REG001"]
    assert refusal(lambda: Registry.create(tmp_path)) == ["REG002"]
    assert refusal(lambda: Registry.ensure(tmp_path)) == ["REG002"]
    assert (tmp_path / "registry.db").read_bytes() == before


def test_a_folder_in_use_is_not_made_a_registry(tmp_path: Path) -> None:
    """R-STORE: REG002 when the folder holds a registry, or anything else."""
    (tmp_path / "thesis.txt").write_text("important")
    assert refusal(lambda: Registry.create(tmp_path)) == ["REG002"]
    Registry.create(tmp_path / "registry").close()
    assert refusal(lambda: Registry.create(tmp_path / "registry")) == ["REG002"]


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    """R-STORE: REG010 with the system's reason."""
    (tmp_path / "registry").write_text("a file")
    assert refusal(lambda: Registry.create(tmp_path / "registry")) == ["REG010"]
    assert refusal(lambda: Registry.open(tmp_path / "registry")) == ["REG001"]


def test_a_newer_schema(folder: Path) -> None:
    """R-SCHEMA: REG004, rather than a guess."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO migrations VALUES (99, '2027-01-01T00:00:00Z')")
    assert refusal(lambda: Registry.open(folder)) == ["REG004"]
    assert refusal(lambda: Registry.ensure(folder)) == ["REG004"]


def test_no_schema_at_all(folder: Path) -> None:
    """R-SCHEMA: REG005 when the database does not say what it is."""
    with contextlib.closing(sqlite3.connect(folder / "registry.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM migrations")
    assert refusal(lambda: Registry.open(folder)) == ["REG005"]


@pytest.mark.parametrize("garbage", [b"garbage", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file(folder: Path, garbage: bytes) -> None:
    """R-STORE: REG005, and making a registry over it is declined."""
    (folder / "registry.db").write_bytes(garbage)
    assert refusal(lambda: Registry.open(folder)) == ["REG005"]
    assert refusal(lambda: Registry.create(folder)) == ["REG002"]


def test_a_damaged_page(folder: Path) -> None:
    """R-STORE: REG005 when the damage comes to light."""
    data = bytearray((folder / "registry.db").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 4096] = b"\xa5" * 4096
    (folder / "registry.db").write_bytes(data)

    def use() -> None:
        with Registry.open(folder) as registry:
            registry.log()
            registry.list_nodes()

    assert refusal(use) == ["REG005"]


def test_a_registry_without_its_key_can_be_read_and_not_written(folder: Path) -> None:
    """R-STORE: REG007 on publishing; a copy without the key is enough to verify."""
    shutil.rmtree(folder / KEY_FOLDER)
    with Registry.open(folder, clock=ticking()) as registry:
        assert len(registry.log()) == 1
        assert refusal(lambda: registry.publish(submission(release="1.1.0"))) == ["REG007"]
        assert len(registry.log()) == 1
    assert verify_log(folder).holds


def test_a_registry_with_another_key_is_declined(folder: Path, tmp_path: Path) -> None:
    """R-STORE: REG007 on publishing, rather than a log signed by two keys."""
    Registry.create(tmp_path / "other").close()
    shutil.rmtree(folder / KEY_FOLDER)
    shutil.copytree(tmp_path / "other" / KEY_FOLDER, folder / KEY_FOLDER)
    with Registry.open(folder, clock=ticking()) as registry:
        assert refusal(lambda: registry.publish(submission(release="1.1.0"))) == ["REG007"]
        assert len(registry.log()) == 1


def test_a_key_that_others_may_read_is_not_signed_with(folder: Path) -> None:
    """R-STORE: KEY003 on publishing; reading needs no key."""
    (folder / KEY_FOLDER / "signing-key.pem").chmod(0o644)
    with Registry.open(folder, clock=ticking()) as registry:
        assert refusal(lambda: registry.publish(submission(release="1.1.0"))) == ["KEY003"]
        assert len(registry.log()) == 1


def test_the_private_key_is_its_owners_alone(folder: Path) -> None:
    """R-STORE: nobody else may read the registry's key."""
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (folder / KEY_FOLDER).iterdir()}
    assert modes == {"signing-key.pem": 0o600, "signing-key.pub.pem": 0o644}


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A registry in a folder that another user can reach."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        with Registry.create(Path(parent) / "registry", clock=ticking()) as registry:
            registry.publish(submission())
        yield Path(parent) / "registry"


def as_nobody(work: Callable[[], str]) -> str:
    """What the work says when a user without rights does it, in a child process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            said = work()
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as stream:
        return stream.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_read_only_registry_can_be_read_and_not_written(public_folder: Path) -> None:
    """R-STORE: REG007 or REG003 on publishing, while reading and verifying work."""

    def use() -> str:
        with Registry.open(public_folder, clock=ticking()) as registry:
            said = [str(len(registry.log())), str(verify_log(public_folder).holds)]
            try:
                registry.publish(submission(release="1.1.0"))
            except RequestError as error:
                said += codes(error)
        return " ".join(said)

    assert as_nobody(use) == "1 True REG003"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_registry_that_may_not_be_read(public_folder: Path) -> None:
    """R-STORE: REG003 when even reading is not allowed, and when a registry may not be made."""
    (public_folder / "registry.db").chmod(0o600)

    def use() -> str:
        return " ".join(
            refusal(lambda: Registry.open(public_folder))
            + refusal(lambda: verify_log(public_folder))
            + refusal(lambda: Registry.create(public_folder.parent / "new"))
        )

    assert as_nobody(use) == "REG003 REG003 REG003"


class FullDisk(Disk):
    """A disk that is full from the given written file on."""

    def __init__(self, files: int) -> None:
        super().__init__()
        self._left = files

    def write(self, file: Path, data: bytes) -> None:
        """Write half of the file, then fail, once the disk is full."""
        if self._left == 0:
            file.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        self._left -= 1
        super().write(file, data)


@pytest.mark.parametrize("files", range(7))
def test_a_full_disk_loses_nothing(folder: Path, files: int) -> None:
    """R-DURABLE: REG010, the registry as before, and what was written is taken back by the next publish."""
    with Registry.open(folder, clock=ticking(), disk=FullDisk(files)) as registry:
        handed_in = submission(release="1.1.0", code="new code")
        written = len(set(handed_in.stored) - {d for d in handed_in.stored if registry.blob_path(d).exists()})
        if files < written:
            assert refusal(lambda: registry.publish(handed_in)) == ["REG010"]
            assert len(registry.log()) == 1
    with Registry.open(folder, clock=ticking()) as registry:
        registry.publish(submission(release="1.2.0"))
    assert verify_log(folder).diagnostics == ()


def test_the_statements_of_the_schema_are_whole() -> None:
    """R-STORE: the script is taken apart into the same statements as SQLite would."""
    found = list(store.statements(store.schema()))
    assert all(sqlite3.complete_statement(statement) for statement in found)
    assert "".join("".join(found).split()) == "".join(store.schema().split())
