"""Addresses of databases: what is taken, and what is shown of them wherever Jobgate names its ledger."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from gateway.domain.errors import LedgerUnavailable
from gateway.ledger import addresses
from gateway.ledger.addresses import Address, UnusableDatabase
from gateway.ledger.database import Database
from gateway.security.references import DatabaseUrl
from gateway.settings.settings import ConfigurationError
from gateway.startup.serve import prepare_database
from tests.support.vendors import settings

SECRET = "s3cr3t-w0rd"
ADDRESSES = {
    "userinfo": (f"postgresql://u:{SECRET}@127.0.0.1:1/jobs", "postgresql://u@127.0.0.1:1/jobs"),
    "query": (f"postgresql://127.0.0.1:1/jobs?user=u&password={SECRET}", "postgresql://u@127.0.0.1:1/jobs"),
    "encoded": (f"postgresql://127.0.0.1:1/jobs?p%61ssword={SECRET}", "postgresql://127.0.0.1:1/jobs"),
    "percent": (f"postgresql://u:%40{SECRET}%2F@127.0.0.1:1/jobs", "postgresql://u@127.0.0.1:1/jobs"),
    "twice": (f"postgresql://u:x@127.0.0.1:1/jobs?password={SECRET}", "postgresql://u@127.0.0.1:1/jobs"),
    "ssl": (f"postgresql://127.0.0.1:1/jobs?sslpassword={SECRET}", "postgresql://127.0.0.1:1/jobs"),
    "options": (f"postgresql://[::1]:1/jobs?options=-c%20a.b%3D{SECRET}", "postgresql://[::1]:1/jobs"),
    "socket": (f"postgresql:///jobs?host=/no/such&password={SECRET}", "postgresql:///no/such/jobs"),
    "service": (f"postgresql:///?service=desk&password={SECRET}", "postgresql:/// (service desk)"),
    "sqlite": ("sqlite:////no/such/ledger.db", "/no/such/ledger.db"),
}


@pytest.mark.parametrize(("address", "shown"), list(ADDRESSES.values()), ids=list(ADDRESSES))
def test_no_password_is_shown(address: str, shown: str) -> None:
    """User, host, port and name of a database are shown, and never a password, wherever it stands in the address."""
    database = Database.at(address)
    assert database.name == shown
    assert SECRET not in repr(Address.parse(address)) + repr(database)


@pytest.mark.parametrize("command", [("audit", "verify"), ("audit", "export"), ("keys", "list")], ids=" ".join)
@pytest.mark.parametrize("address", [ADDRESSES[name][0] for name in ("userinfo", "query", "socket", "service")])
def test_no_command_prints_it(address: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that cannot reach the database names it without its password."""
    monkeypatch.setenv("JOBGATE_DATABASE_URL", address)
    ended = CliRunner().invoke(application, list(command))
    assert ended.exit_code != 0
    assert "postgresql:/" in ended.stderr
    assert SECRET not in ended.output


@pytest.mark.parametrize("address", [ADDRESSES[name][0] for name in ("userinfo", "query", "socket", "service")])
def test_the_start_does_not_print_it(address: str) -> None:
    """A gateway that cannot reach its database does not print the password."""
    with pytest.raises(ConfigurationError) as refused:
        prepare_database(settings(database_url=address))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"postgresql://u:a@{SECRET}@host/jobs", "percent-encode user and password"),
        (f"postgresql://u:a@{SECRET}/@host/jobs", "percent-encode user and password"),
        (f"postgresql://host/jobs?autocommit={SECRET}", "PostgreSQL has no option autocommit"),
        (f"postgresql://host/jobs?prepare_threshold={SECRET}", "write prepare_threshold as a number, or as none"),
        (f"sqlite:////no/such/ledger.db?key={SECRET}", "SQLite takes no options"),
        (f"postgresql:///?dbname=password%3D{SECRET}", "write options behind a question mark"),
        (f"postgresql://u;password={SECRET}@host/jobs", "write options behind a question mark"),
        (f"mysql://u:{SECRET}@host/jobs", "mysql is not supported"),
        (f"u:{SECRET}@host/jobs", "write it as postgresql://user:password@host/database"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(address: str, message: str) -> None:
    """The message says what is wrong with it, without the password that it may have."""
    with pytest.raises(UnusableDatabase, match=message) as refused:
        Address.parse(address)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("address", [ADDRESSES[name][0] for name in ADDRESSES if name != "sqlite"])
def test_an_address_that_may_hold_a_password_is_a_secret(address: str) -> None:
    """`config show` shows only an address in which there is none, however it is written."""
    assert DatabaseUrl(address).is_secret


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://u:a/{SECRET}@host/jobs",
        f"postgresql://u:5/{SECRET}@host/jobs",
        f"postgresql://u:a#{SECRET}@host/jobs",
        f"postgresql://u:5#{SECRET}@host/jobs",
        f"postgresql://u:5?{SECRET}@host/jobs",
        f"postgresql://u;password={SECRET}@host/jobs",
        f"postgresql:///?dbname=password%3D{SECRET}",
        f"postgresql:///?host=h&dbname=postgresql://u:{SECRET}@host/jobs?password={SECRET}",
    ],
)
def test_a_password_that_is_not_encoded_is_a_secret_too(address: str) -> None:
    """The parts of such an address are not what they seem to be."""
    assert DatabaseUrl(address).is_secret


def test_an_address_without_a_password_is_none() -> None:
    """It is shown, so that people see what is used."""
    assert not DatabaseUrl("postgresql://u@host/jobs?sslmode=require&connect_timeout=3").is_secret


@pytest.mark.parametrize(("written", "read"), [("0", None), ("none", None), ("None", None), ("7", 7)])
def test_how_often_a_statement_comes_before_it_is_prepared(written: str, read: int | None) -> None:
    """`prepare_threshold` is understood as a number, and 0 switches prepared statements off as in other drivers."""
    address = Address.parse(f"postgresql://host/jobs?prepare_threshold={written}&connect_timeout=3")
    assert address.arguments == {"prepare_threshold": read}
    assert dict(address.url.query) == {"connect_timeout": "3"}


def test_a_connection_is_waited_for_as_long_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, unless the address says otherwise, or a variable or a service file of PostgreSQL's."""
    for name in ("PGCONNECT_TIMEOUT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert Address.parse("postgresql://host/jobs").arguments == {"connect_timeout": 10}
    assert Address.parse("postgresql://host/jobs?connect_timeout=3").arguments == {}
    assert Address.parse("postgresql:///?service=desk").arguments == {}
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert Address.parse("postgresql://host/jobs").arguments == {}


def test_nobody_waits_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes a connection and never speaks, such as a firewall, is a failure after some time."""
    monkeypatch.setattr(addresses, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database.at(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/jobs")
        with pytest.raises(LedgerUnavailable) as failed:
            database.migrate()
    assert "timeout" in str(failed.value.__cause__)
