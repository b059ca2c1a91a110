"""Twilio's own links between the pages of a list, through the gateway."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.ledger.memory import MemoryLedger
from gateway.settings.settings import BasicAuthentication, ConnectionSettings
from tests.support.asgi import Answer, call
from tests.support.transport import FakeTransport, reply
from tests.support.vendors import settings

WORKSPACE = "WSaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
LIST = f"/v1/Workspaces/{WORKSPACE}/Tasks"
NATIVE = f"/native/twilio-taskrouter/calls{LIST}"
SERVICE = f"https://taskrouter.twilio.com{LIST}"
ACCESS_KEY = b64encode(b"an access key that only tests have").decode()
BASIC = ("authorization", f"Basic {b64encode(f'default:{ACCESS_KEY}'.encode()).decode()}")
QUERIES = {
    "url": "AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2&Page=1&PageToken=PAWT2",
    "first_page_url": "AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2&Page=0",
    "previous_page_url": "AssignmentStatus=pending%2Creserved&PageSize=2&Page=0&PageToken=PBWT1",
    "next_page_url": "AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2&Page=2&PageToken=PAWT4",
}
TASK = {"sid": "WTaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "assignment_status": "pending"}


class Clients:
    """Twilio's clients at a gateway whose vendor answers each list with this `meta`."""

    def __init__(self, catalogue: Catalogue, meta: dict[str, Any]) -> None:
        """Start the gateway."""
        login = BasicAuthentication(
            kind="basic", scheme="accountSid_authToken", username="ACa", password=SecretStr("token")
        )
        calls = ConnectionSettings(vendor="twilio-taskrouter", values={"workspaceSid": WORKSPACE}, authentication=login)
        configured = settings(access_key=SecretStr(ACCESS_KEY)).model_copy(update={"connections": {"calls": calls}})
        self.transport = FakeTransport(otherwise=reply(200, {"meta": {"key": "tasks", **meta}, "tasks": [TASK]}))
        self.gateway = Gateway(configured, catalogue, transport=self.transport, ledger=MemoryLedger())

    async def ask(self, query: str) -> Answer:
        """Ask for a page."""
        return await call(self.gateway.application, "GET", f"{NATIVE}?{query}", None, [BASIC], key=None)


async def test_every_link_leads_here_and_to_the_same_page(catalogue: Catalogue) -> None:
    """Each link becomes one of the gateway, which asks the vendor for exactly what the vendor's link asked for."""
    clients = Clients(catalogue, {name: f"{SERVICE}?{query}" for name, query in QUERIES.items()})
    answer = await clients.ask("AssignmentStatus=pending&AssignmentStatus=assigned&PageSize=2")
    assert (answer.status, answer.json["meta"]["key"]) == (200, "tasks")
    for name, query in QUERIES.items():
        link = urlsplit(answer.json["meta"][name])
        assert (link.netloc, link.path) == ("gateway.test", NATIVE)
        assert (await clients.ask(link.query)).status == 200
        assert clients.transport.requests[-1].url == f"{SERVICE}?{query}"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.test/v1", f"{SERVICE.replace(WORKSPACE, WORKSPACE[:-1] + 'b')}?Page=0"]
)
async def test_a_link_to_another_list_is_left_out(catalogue: Catalogue, elsewhere: str) -> None:
    """A link to another host or Workspace reaches no client; null stays null."""
    answer = await Clients(catalogue, {"first_page_url": elsewhere, "next_page_url": None}).ask("PageSize=2")
    assert (answer.status, answer.json["meta"]) == (200, {"key": "tasks", "next_page_url": None})
