"""A visitor of the console without a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from gateway.console.sessions import COOKIE
from tests.schedules.fixtures import body_of
from tests.support.asgi import Answer, call
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.vendors import API_KEY

SITE = (("origin", "http://gateway.test"), ("sec-fetch-site", "same-origin"))
FORM = ("content-type", "application/x-www-form-urlencoded")


@dataclass
class Visitor:
    """A browser without scripts: it keeps the cookie, and fills in forms as they were drawn."""

    scripted: ScriptedGateway
    cookie: str = ""
    set_cookies: list[str] = field(default_factory=list)

    async def get(self, path: str, *headers: tuple[str, str]) -> Answer:
        """Open a page."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, values: Mapping[str, str], fields: tuple[tuple[str, str], ...] = SITE) -> Answer:
        """Send a form."""
        return await self._ask("POST", path, urlencode(values).encode(), (FORM, *fields))

    async def sign_in(self, key: str = API_KEY) -> Answer:
        """Sign in with a key."""
        token = token_in(await self.get("/sign-in"))
        return await self.post("/sign-in", {"csrf": token, "api_key": key})

    async def schedule(self) -> str:
        """Make a schedule through the API. Returns its id."""
        answer = await call(self.scripted.gateway.application, "POST", "/v1/schedules", body_of(), key=API_KEY)
        assert answer.status == 201, answer.json
        made: str = answer.json["id"]
        return made

    @property
    def seconds_of_last_call(self) -> float:
        """The seconds that the vendor had for its last call."""
        return self.scripted.vendor.deadlines[-1] - self.scripted.clock.monotonic()

    async def _ask(self, method: str, path: str, body: bytes | None, headers: tuple[tuple[str, str], ...]) -> Answer:
        kept = (("cookie", f"{COOKIE}={self.cookie}"),) if self.cookie else ()
        application = self.scripted.gateway.application
        answer = await call(application, method, f"/console{path}", body, (*headers, *kept), key=None)
        if "set-cookie" in answer.headers:
            self.set_cookies.append(answer.headers["set-cookie"])
            name, _, value = self.set_cookies[-1].partition(";")[0].partition("=")
            self.cookie = value if name == COOKIE else self.cookie
        return answer


def token_in(answer: Answer) -> str:
    """The CSRF token of a page."""
    return value_in(answer, "csrf")


def value_in(answer: Answer, name: str) -> str:
    """The value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', text_of(answer))
    assert found is not None
    return unescape(found[1])


def text_of(answer: Answer) -> str:
    """The page as text."""
    return answer.body.decode()
