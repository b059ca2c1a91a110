"""A gateway in this process, asked as the vendors' clients ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.app import Gateway
from tests.support.asgi import Answer, call
from tests.support.transport import FakeTransport
from tests.support.vendors import API_KEY

VERSION = "api-version=2023-11-01"
ACCEPT = ("accept", "application/vnd.newvoicemedia.v1+json")
AZURE, VONAGE = "azure-job-router", "vonage-contact-center"


@dataclass(frozen=True)
class VendorClients:
    """The gateway, and the way to its vendors."""

    gateway: Gateway
    transport: FakeTransport

    async def azure(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        connection: str = "contoso-prod",
        query: str = VERSION,
        key: str | None = API_KEY,
    ) -> Answer:
        """Ask as a client of Azure's."""
        target = f"/native/{AZURE}/{connection}{path}?{query}"
        return await call(self.gateway.application, method, target, body, headers, key=key)

    async def vonage(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (ACCEPT,),
        *,
        connection: str = "vonage-emea",
        key: str | None = API_KEY,
    ) -> Answer:
        """Ask as a client of Vonage's."""
        target = f"/native/{VONAGE}/{connection}{path}"
        return await call(self.gateway.application, method, target, None, headers, key=key)

    @property
    def calls(self) -> list[str]:
        """What the vendors were asked, but for tokens: method and URL."""
        return [f"{each.method} {each.url}" for each in self.transport.requests if "connect/token" not in each.url]


def job_path(job_id: str, verb: str = "") -> str:
    """The path of an Azure job, or of an action on it, as Microsoft's SDK writes it."""
    return f"/routing/jobs/{quote(job_id, safe='')}{verb}"
