"""A real PgBouncer on loopback, in transaction mode: each transaction may get another server process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.tools import tool

SECONDS = 20

CONFIGURATION = """
[databases]
* = host={host} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""
"""`server_round_robin` gives the next transaction another process whenever there is one."""


@contextmanager
def pgbouncer(address: str) -> Iterator[str]:
    """The address of a database through a PgBouncer of its own, whose server is that of `address`."""
    known = {name: str(value) for name, value in psycopg.conninfo.conninfo_to_dict(address).items()}
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="jobgate-pgbouncer-"))
    folder.chmod(0o755)
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(host=known["host"], user=known["user"], port=port), encoding="utf-8")
    # It refuses to run as root, and the server's socket is its owner's alone.
    identity = ["-u", Path(known["host"]).owner()] if os.geteuid() == 0 else []
    command = [tool("pgbouncer", "pgbouncer"), *identity, str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_it_listens(process, port)
        yield f"postgresql://{known['user']}@127.0.0.1:{port}/{known['dbname']}"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
        shutil.rmtree(folder)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def wait_until_it_listens(process: subprocess.Popen[str], port: int) -> None:
    """Return as soon as the port is open; raises where the process ended instead."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(process.communicate()[1]) from None
            time.sleep(0.02)
        else:
            return
    raise TimeoutError("PgBouncer does not listen")
