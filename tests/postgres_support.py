"""A PostgreSQL server of Debian's packages for tests: on loopback, as a user without rights, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

SETTINGS = {
    "fsync": "off",  # what is tested is the registry; the server dies with the test
    "max_connections": "60",
    "shared_buffers": "16MB",
    "listen_addresses": "'127.0.0.1'",
    "log_min_messages": "fatal",
}


def programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """A running server; the address of its database `postgres`."""
    bins = programs()
    assert bins is not None, "the package postgresql is not installed"
    folder = Path(tempfile.mkdtemp(prefix="certify-pg-", dir="/tmp"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, user, user)
    data, port = folder / "data", free_port()

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, capture_output=True, timeout=120, cwd=folder)

    settings = {**SETTINGS, "fsync": "on" if durable else "off"}
    try:
        run(str(bins / "initdb"), "-D", str(data), "-U", "certify", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        control = [str(bins / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        run(*control, "-o", f"-p {port} -k {folder} {options}", "start")
        try:
            yield f"postgresql://certify@127.0.0.1:{port}/postgres"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database(address: str, name: str) -> str:
    """The address of a new, empty database on the server."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return address.rpartition("/")[0] + f"/{name}"
