"""`jobgate keys …`: who may call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared import Config, Failure, ledger_faults_named, opened, settings_of, warn
from gateway.cli.tables import show_rows

if TYPE_CHECKING:
    from gateway.ledger.database import Database
    from gateway.ledger.keys import KeyStore
    from gateway.security.keys import ApiKey, IssuedKey

keys = typer.Typer(help="API keys: who may call, and what they may do.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `jobgate keys list` shows it, or how it begins.")]

LEAST_ID = 4
"""Characters of an id, so that an empty variable in a script means no key."""
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
    from gateway.app import database_of
    from gateway.domain.access import Caller
    from gateway.security.keys import issued
    from gateway.settings.scopes import scope_mistakes, scope_warnings
    from gateway.settings.settings import is_caller_name

    if not is_caller_name(name):
        raise Failure("the name of a caller has lower-case letters, digits and hyphens, and begins with a letter")
    if mistakes := list(scope_mistakes(scope)):
        raise Failure("\n  ".join(["no key was made:", *mistakes]))
    settings = settings_of(config)
    for warning in scope_warnings(scope, settings.connections):
        warn(f"warning: {warning}")
    new = issued(Caller(name, frozenset(scope)), datetime.now(UTC), expires, with_access_key=access_key)
    database = database_of(settings)
    with ledger_faults_named(database):
        store(database).add(new.key)
    show(new)


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False, config: Config = None
) -> None:
    """Show every key, but for its secret."""
    now = datetime.now(UTC)
    with opened(config) as database:
        found = store(database).all() if database.exists else ()
    show_rows([row(key, now) for key in found], as_json=as_json)
    if not found:
        warn("there is no key yet; `jobgate keys create NAME --scope SCOPE` makes one")


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
    with opened(config) as database:
        kept = store(database)
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
    with opened(config) as database:
        kept = store(database)
        key = chosen(kept, key_id, now)
        kept.revoke(key.id, now)
    typer.echo(f"{key.id} is revoked.", err=True)


def chosen(kept: KeyStore, written: str, now: datetime) -> ApiKey:
    """The key whose id is or begins as it is written. Raises Failure where it is not one that opens something."""
    if len(written) < LEAST_ID:
        raise Failure(f"write at least {LEAST_ID} characters of the key's id; `jobgate keys list` shows it")
    found = [key for key in kept.all() if key.id.startswith(written) and key.is_good(now)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(key.id for key in found)
        raise Failure(f"{written} is how several ids begin: {ids}. Write more of the one that you mean.")
    raise Failure(f"there is no key {written} that opens anything; `jobgate keys list` shows those that there are")


def show(new: IssuedKey) -> None:
    """Print a new key: alone on the output, so that it can be piped into a vault. Its access key is a second line."""
    typer.echo("This key is shown once:", err=True)
    typer.echo(new.text)
    if new.key.access_key is not None:
        typer.echo(f"And its access key, of the client {new.key.id}:", err=True)
        typer.echo(new.key.access_key.secret)


def row(key: ApiKey, now: datetime) -> Mapping[str, object]:
    """A key as the list shows it."""
    return {
        "id": key.id,
        "caller": key.caller.name,
        "scopes": sorted(key.caller.scopes),
        "access_key": key.access_key is not None,
        "created": key.created_at,
        "last_used": key.last_used_at,
        "state": state(key, now),
    }


def state(key: ApiKey, now: datetime) -> str:
    """How a key stands."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.expires_at is None:
        return "good"
    return f"{'ends' if key.is_good(now) else 'ended'} {key.expires_at:%Y-%m-%d %H:%M}"


def store(database: Database) -> KeyStore:
    """The key store of a database, its tables brought up to date. Raises UnusableDatabase and LedgerUnavailable."""
    from gateway.ledger.keys import KeyStore

    database.migrate()
    return KeyStore(database)
