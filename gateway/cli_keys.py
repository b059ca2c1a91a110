"""`jobgate keys …`: who may call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.ledger.keys import KeyStore
    from gateway.security.keys import ApiKey, IssuedKey

keys = typer.Typer(help="API keys: who may call, and what they may do.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="A TOML file with settings.", dir_okay=False)]
KeyId = Annotated[str, typer.Argument(help="The key's id, as `jobgate keys list` shows it.")]

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str | timedelta) -> timedelta:
    """A time such as `90d` or `24h`; a default is one already. Raises typer.BadParameter."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter("write it as 30s, 15m, 24h or 90d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="The name of the caller, as records will show it.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, such as jobs:cancel or connections:contoso-*; can be repeated.")
    ],
    expires: Annotated[
        timedelta | None, typer.Option(parser=duration, metavar="TIME", help="After how long it ends, such as 90d.")
    ] = None,
    access_key: Annotated[
        bool,
        typer.Option(help="Also make an access key, for clients of vendors: they sign with it, or ask for tokens."),
    ] = False,
    config: Config = None,
) -> None:
    """Make a key and print it. It is shown this once."""
    from gateway.config import is_caller_name, is_scope
    from gateway.domain.access import Caller
    from gateway.security.keys import issued

    if not is_caller_name(name):
        fail("the name of a caller has lower-case letters, digits and hyphens, and begins with a letter")
    wrong = [each for each in scope if not is_scope(each)]
    if wrong:
        fail(f"{', '.join(wrong)}: write scopes as jobs:cancel, connections:contoso-*, audit:read or *")
    now = datetime.now(UTC)
    with store(config) as kept:
        new = issued(Caller(name, frozenset(scope)), now, expires, with_access_key=access_key)
        kept.add(new.key)
    show(new)


@keys.command("list")
def list_keys(config: Config = None) -> None:
    """Show every key, but for its secret."""
    from rich.console import Console
    from rich.table import Table

    with store(config) as kept:
        found = kept.all()
    table = Table("id", "caller", "scopes", "access key", "created", "last used", "state", box=None)
    now = datetime.now(UTC)
    for key in found:
        scopes = " ".join(sorted(key.caller.scopes))
        times = day(key.created_at), day(key.last_used_at)
        table.add_row(key.id, key.caller.name, scopes, "yes" if key.access_key else "", *times, state(key, now))
    Console().print(table)


@keys.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        timedelta, typer.Option(parser=duration, metavar="TIME", help="How long the old one still opens.")
    ] = timedelta(days=1),
    config: Config = None,
) -> None:
    """Make another key for the same caller, with the same scopes, and let the old one end after a while."""
    from gateway.security.keys import issued

    now = datetime.now(UTC)
    with store(config) as kept:
        old = chosen(kept, key_id, now)
        lasts = old.expires_at - old.created_at if old.expires_at else None
        new = issued(old.caller, now, lasts, with_access_key=old.access_key is not None)
        kept.add(new.key)
        ends = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        kept.let_expire(old.id, ends)
    show(new)
    typer.echo(f"{old.id} ends at {ends:%Y-%m-%d %H:%M} UTC.", err=True)


@keys.command()
def revoke(key_id: KeyId, config: Config = None) -> None:
    """Have a key open nothing any more, at the latest after some seconds."""
    now = datetime.now(UTC)
    with store(config) as kept:
        kept.revoke(chosen(kept, key_id, now).id, now)
    typer.echo(f"{key_id} is revoked.", err=True)


def chosen(kept: KeyStore, key_id: str, now: datetime) -> ApiKey:
    """The key of this id. Ends the program where it opens nothing."""
    found = next((key for key in kept.all() if key.id == key_id), None)
    if found is None or not found.is_good(now):
        fail(f"there is no key {key_id} that opens anything; `jobgate keys list` shows those that there are")
    return found


def show(new: IssuedKey) -> None:
    """Print a new key: alone on the output, so that it can be piped into a vault. Its access key is a second line."""
    typer.echo("This key is shown once:", err=True)
    typer.echo(new.text)
    if new.key.access_key is not None:
        typer.echo(f"And its access key, of the client {new.key.id}:", err=True)
        typer.echo(new.key.access_key.secret)


def state(key: ApiKey, now: datetime) -> str:
    """How a key stands."""
    if key.revoked_at is not None:
        return f"revoked {day(key.revoked_at)}"
    if key.expires_at is None:
        return "good"
    return f"{'ends' if key.is_good(now) else 'ended'} {day(key.expires_at)}"


def day(at: datetime | None) -> str:
    """A time as people read it."""
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M}"


@contextmanager
def store(config: Path | None) -> Iterator[KeyStore]:
    """The key store of the settings, its tables made where they are not there. Ends the program where it cannot be."""
    from gateway.config import ConfigurationError, load
    from gateway.databases import database_of
    from gateway.domain.errors import LedgerUnavailable
    from gateway.ledger.database import UnusableDatabase
    from gateway.ledger.keys import KeyStore

    try:
        database = database_of(load(config))
    except ConfigurationError as error:
        fail(str(error))
    try:
        database.migrate()
        yield KeyStore(database)
    except LedgerUnavailable as error:
        fail(f"the database {database.name} cannot be used: {error.__cause__}")
    except UnusableDatabase as error:
        fail(str(error))
    finally:
        database.dispose()


def fail(text: str) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(f"jobgate: {text}", err=True)
    raise typer.Exit(1)
