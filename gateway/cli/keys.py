"""`jobgate keys …`: API keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.shared import Config, Failure, ledger_faults_named, ledger_settings_of, opened, warn
from gateway.cli.tables import show_rows

if TYPE_CHECKING:
    from gateway.ledger.database import Database
    from gateway.ledger.keys import KeyStore
    from gateway.security.keys import ApiKey, IssuedKey

keys = typer.Typer(help="Create, list, rotate and revoke API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The id of the key, or its beginning. `jobgate keys list` shows it.")]

LEAST_ID = 4
"""Fewest characters of a key id, so that an empty variable in a script matches no key."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration(text: str | timedelta) -> timedelta:
    """Parse a duration such as `90d` or `24h`; a default is already one. Raises typer.BadParameter."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter("write a duration such as 30s, 15m, 24h or 90d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="The name of the caller, which appears in records.")],
    scope: Annotated[
        list[str], typer.Option(help="A scope, such as jobs:cancel or connections:contoso-*. Can be repeated.")
    ],
    expires: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", help="Lifetime of the key, such as 90d. Default: no end."),
    ] = None,
    access_key: Annotated[
        bool,
        typer.Option(help="Also make an access key, with which a vendor's own client signs or gets tokens."),
    ] = False,
    owner: Annotated[
        str,
        typer.Option(help="The person behind the caller, whose keys count as one in approvals. Default: NAME."),
    ] = "",
    config: Config = None,
) -> None:
    """Make an API key and print it. It is shown only once."""
    from gateway.app import database_of
    from gateway.domain.access import Caller, is_owner
    from gateway.security.keys import issued
    from gateway.settings.scopes import scope_mistakes, scope_warnings
    from gateway.settings.settings import is_caller_name

    if not is_caller_name(name):
        raise Failure("a caller's name consists of lower-case letters, digits and hyphens, and begins with a letter")
    if owner and not is_owner(owner):
        raise Failure("an owner is a name of at most 255 printable characters, without spaces around it")
    if mistakes := list(scope_mistakes(scope)):
        raise Failure("\n  ".join(["no key was created:", *mistakes]))
    settings = ledger_settings_of(config)
    for warning in scope_warnings(scope, settings.connections):
        warn(f"warning: {warning}")
    new = issued(Caller(name, frozenset(scope), owner), datetime.now(UTC), expires, with_access_key=access_key)
    database = database_of(settings)
    with ledger_faults_named(database):
        store(database).add(new.key)
    show(new)


@keys.command("list")
def list_keys(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False, config: Config = None
) -> None:
    """List all API keys, without their secrets."""
    now = datetime.now(UTC)
    with opened(config) as database:
        found = store(database).all() if database.exists else ()
    show_rows([row(key, now) for key in found], as_json=as_json)
    if not found:
        warn("there is no key yet; create one with `jobgate keys create NAME --scope SCOPE`")


@keys.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        timedelta, typer.Option(parser=duration, metavar="TIME", help="Time for which the old key stays valid.")
    ] = timedelta(days=1),
    config: Config = None,
) -> None:
    """Make a new key with the same caller and scopes, and let the old one expire after a while."""
    from gateway.security.keys import issued

    now = datetime.now(UTC)
    with opened(config) as database:
        kept = store(database)
        old = chosen(kept, key_id, now)
        lasts = old.expires_at - old.created_at if old.expires_at else None
        new = issued(old.caller, now, lasts, with_access_key=old.access_key is not None)
        kept.add(new.key)
        ends = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        kept.set_expiry(old.id, ends)
    show(new)
    typer.echo(f"{old.id} expires at {ends:%Y-%m-%d %H:%M} UTC.", err=True)


@keys.command()
def revoke(key_id: KeyId, config: Config = None) -> None:
    """Revoke a key. Running gateways refuse it within seconds."""
    now = datetime.now(UTC)
    with opened(config) as database:
        kept = store(database)
        key = chosen(kept, key_id, now)
        kept.revoke(key.id, now)
    typer.echo(f"{key.id} is revoked.", err=True)


def chosen(kept: KeyStore, written: str, now: datetime) -> ApiKey:
    """Find the valid key whose id begins with `written`. Raises Failure unless there is exactly one."""
    if len(written) < LEAST_ID:
        raise Failure(f"write at least {LEAST_ID} characters of the key id; `jobgate keys list` shows it")
    found = [key for key in kept.all() if key.id.startswith(written) and key.is_good(now)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(key.id for key in found)
        raise Failure(f"{written} matches several keys: {ids}. Write more of the id.")
    raise Failure(f"there is no valid key {written}; `jobgate keys list` shows all keys")


def show(new: IssuedKey) -> None:
    """Print a new key alone on standard output, so that it can be piped. An access key is on the second line."""
    typer.echo("This key is shown only once:", err=True)
    typer.echo(new.text)
    if new.key.access_key is not None:
        typer.echo(f"Its access key, for the client id {new.key.id}:", err=True)
        typer.echo(new.key.access_key.secret)


def row(key: ApiKey, now: datetime) -> Mapping[str, object]:
    """The row of a key in the list."""
    return {
        "id": key.id,
        "caller": key.caller.name,
        "owner": key.caller.owner,
        "scopes": sorted(key.caller.scopes),
        "access_key": key.access_key is not None,
        "created": key.created_at,
        "last_used": key.last_used_at,
        "state": state(key, now),
    }


def state(key: ApiKey, now: datetime) -> str:
    """The state of a key, as text."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.expires_at is None:
        return "good"
    return f"{'ends' if key.is_good(now) else 'ended'} {key.expires_at:%Y-%m-%d %H:%M}"


def store(database: Database) -> KeyStore:
    """The key store of a database, after its migration. Raises UnusableDatabase and LedgerUnavailable."""
    from gateway.ledger.keys import KeyStore

    database.migrate()
    return KeyStore(database)
