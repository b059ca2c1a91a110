"""The list of API keys: of the settings and of the key store, for those who may see it, without secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue
from gateway.domain.access import Caller
from gateway.ledger.database import Database
from gateway.ledger.keys import KeyStore
from gateway.ledger.ledger import SqlLedger
from gateway.security.keys import IssuedKey, issued
from gateway.settings.settings import CallerSettings
from tests.support.asgi import Answer, call
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.problems import Problems
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.vendors import API_KEY, settings

DESK = "desk-key-of-the-list"
ACCESS = "c2VjcmV0LW9mLXRoZS1kZXNrLTEyMzQ1Njc4OTAxMjM="
DESKS_SCOPES = ("jobs:*", "audit:read", "connections:*")


@pytest.fixture
async def scripted(catalogue: Catalogue, tmp_path: Path) -> AsyncIterator[ScriptedGateway]:
    """A gateway with a key store, and with a caller of the settings that may do much, but not list keys."""
    clock = FakeClock()
    database = Database.at(sqlite_address(tmp_path))
    ledger = SqlLedger(database, clock)
    await ledger.start()
    desk = CallerSettings(key=SecretStr(DESK), access_key=SecretStr(ACCESS), scopes=DESKS_SCOPES, owner="Erin")
    made = ScriptedGateway(catalogue, ledger, clock, settings(callers={"desk": desk}))
    made.gateway.key_store = KeyStore(database)
    yield made
    await ledger.close()


def make(scripted: ScriptedGateway, lasts: timedelta | None = None, *scopes: str) -> IssuedKey:
    """A new key of the key store, with an access key."""
    assert scripted.gateway.key_store is not None
    caller = Caller("night-shift", frozenset(scopes or ("jobs:read",)), "Frank")
    new = issued(caller, scripted.clock.now(), lasts, with_access_key=True)
    scripted.gateway.key_store.add(new.key)
    scripted.clock.advance(1)
    return new


async def listed(scripted: ScriptedGateway, query: str = "", key: str = API_KEY) -> Answer:
    """The answer to a request for the list."""
    return await call(scripted.gateway.application, "GET", f"/v1/keys{query}", key=key)


def by_id(answer: Answer) -> dict[str, Any]:
    """The keys of an answer by their ids."""
    assert answer.status == 200, answer.body
    return {each["id"]: each for each in answer.json["items"]}


async def test_keys_of_the_settings_and_of_the_store(scripted: ScriptedGateway) -> None:
    """The newest key of the store comes first, those of the settings last, each with what may be known of it."""
    old, new = make(scripted, timedelta(days=1)), make(scripted)
    found = by_id(await listed(scripted))
    assert list(found) == [new.key.id, old.key.id, "default", "desk"]
    assert found[old.key.id] == {
        "id": old.key.id,
        "source": "key_store",
        "caller": "night-shift",
        "owner": "Frank",
        "scopes": ["jobs:read"],
        "accessKey": True,
        "state": "valid",
        "createdAt": "2026-01-05T10:00:00.000Z",
        "expiresAt": "2026-01-06T10:00:00.000Z",
    }
    assert found["desk"] == {
        "id": "desk",
        "source": "settings",
        "caller": "desk",
        "owner": "Erin",
        "scopes": sorted(DESKS_SCOPES),
        "accessKey": True,
        "state": "valid",
    }
    assert (found["default"]["scopes"], found["default"]["accessKey"]) == (["*"], False)


async def test_states_and_times_of_use(scripted: ScriptedGateway) -> None:
    """A revoked key, an expired one and one that was used show that at once."""
    revoked, expired, used = make(scripted), make(scripted, timedelta(seconds=30)), make(scripted)
    store, now = scripted.gateway.key_store, scripted.clock.now()
    assert store is not None
    assert isinstance(scripted.gateway.ledger, SqlLedger)
    store.revoke(revoked.key.id, now)
    await scripted.gateway.ledger.note_used({used.key.id: now})
    scripted.clock.advance(60)
    found = by_id(await listed(scripted))
    assert [found[each.key.id]["state"] for each in (revoked, expired, used)] == ["revoked", "expired", "valid"]
    assert found[revoked.key.id]["revokedAt"] == found[used.key.id]["lastUsedAt"] == "2026-01-05T10:00:03.000Z"


async def test_pages(scripted: ScriptedGateway) -> None:
    """Every key is on exactly one page, even if a key is made in between, and each page links to the next."""
    ids = [make(scripted).key.id for _ in range(3)]
    seen: list[str] = []
    query = "?limit=2"
    while query:
        answer = await listed(scripted, query)
        seen += by_id(answer)
        make(scripted)
        cursor = answer.json["nextCursor"]
        query = f"?limit=2&cursor={cursor}" if cursor else ""
        assert ("link" in answer.headers) == bool(cursor)
    assert seen == [*reversed(ids), "default", "desk"]


@pytest.mark.parametrize("cursor", ["bm9ib2R5", "a", "-"])
async def test_a_cursor_of_another_list(scripted: ScriptedGateway, problems: Problems, cursor: str) -> None:
    """A cursor that this list did not give is refused."""
    answer = await listed(scripted, f"?cursor={cursor}")
    assert problems.check(answer, answer.headers)["code"] == "unknown-cursor"


async def test_who_may_see_it(scripted: ScriptedGateway, problems: Problems) -> None:
    """It needs keys:read, by whatever key: not even audit:read shows who has keys."""
    refused = await listed(scripted, key=DESK)
    assert (refused.status, problems.check(refused, refused.headers)["code"]) == (403, "forbidden")
    auditor = make(scripted, None, "keys:read")
    await scripted.gateway.present_keys()
    assert auditor.key.id in by_id(await listed(scripted, key=auditor.text))


async def test_no_secret_is_in_the_answer(scripted: ScriptedGateway) -> None:
    """Of keys and access keys, nothing but the id is shown: no text, no part of it, no hash."""
    new = make(scripted)
    text = (await listed(scripted)).body.decode()
    assert new.key.access_secret is not None
    secrets = [new.text.rpartition("_")[2], new.key.access_secret, new.key.digest.hex(), API_KEY, DESK, ACCESS]
    assert new.key.id in text
    assert [each for each in secrets if each[:12] in text] == []
