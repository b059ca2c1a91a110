"""A gateway whose vendors the fault server plays: one connection for each effect of a request at each vendor."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from pydantic import SecretStr

from gateway.app import Catalogue, Gateway
from gateway.domain.model import Effect
from gateway.domain.record import JobActionRecord, Selection
from gateway.edge.response_validation import ResponseValidation
from gateway.ledger.memory import MemoryLedger
from gateway.resilience.policy import Policy
from gateway.settings.settings import (
    ClientCredentialsAuthentication,
    ConnectionSettings,
    ServerSettings,
    Settings,
    SignedAuthentication,
)
from tests.faults.server import TOKEN, TOKEN_PATH, FaultServer, Site
from tests.support.asgi import Answer, call
from tests.support.vendors import API_KEY, AZURE_JOB, VONAGE_JOB

ATTEMPTS = 3
POLICY = Policy(
    attempts=ATTEMPTS,
    first_delay_seconds=0.002,
    longest_delay_seconds=0.004,
    breaker_failures=1_000,
    connect_seconds=2.0,
)
IMPATIENT = 0.24
"""The part of the time of a call that a connection may take which never comes about, so that each try has its time."""

ACCESS_KEY = b64encode(b"canary: the access key of the fault tests").decode()
CLIENT_SECRET = "canary: the client/secret + of the <fault> tests"
SECRETS = frozenset({ACCESS_KEY, CLIENT_SECRET, quote_plus(CLIENT_SECRET), TOKEN, quote_plus(TOKEN)})

AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
JOBS = {AZURE: AZURE_JOB, VONAGE: VONAGE_JOB}
REPEATABLE = "-repeatable"
"""Suffix of the names of vendors whose actions may be repeated."""


@dataclass
class Case:
    """A request with an effect at a vendor, of which the API or the token endpoint is to fail.

    `departures` says what is not as it should be, and may be so only because the machine is busy.
    """

    vendor: str
    effect: Effect
    api: Site
    tokens: Site | None = None
    departures: list[str] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """The connection, which is the case's own."""
        return f"{self.vendor.partition('-')[0]}-{self.effect}"

    @property
    def sites(self) -> tuple[Site, ...]:
        """Everything of the vendor's."""
        return (self.api,) if self.tokens is None else (self.api, self.tokens)

    @property
    def is_read(self) -> bool:
        """Whether the request changes nothing."""
        return self.effect is Effect.READ

    @property
    def hits(self) -> int:
        """How often the vendor's API got the request: of a read, how often one and the same."""
        return self.api.most_tries if self.is_read else len(self.api.actions)

    @property
    def settings(self) -> ConnectionSettings:
        """The account at the vendor."""
        authentication: SignedAuthentication | ClientCredentialsAuthentication
        if self.tokens is None:
            authentication = SignedAuthentication(kind="signature", scheme="accessKey", secret=SecretStr(ACCESS_KEY))
        else:
            authentication = ClientCredentialsAuthentication(
                kind="client-credentials",
                scheme="oauth",
                client_id="client-1",
                client_secret=SecretStr(CLIENT_SECRET),
                token_url=self.tokens.url + TOKEN_PATH,
            )
        return ConnectionSettings(
            vendor=self.vendor + REPEATABLE if self.effect is Effect.REPEATABLE else self.vendor,
            endpoint=self.api.url,
            authentication=authentication,
            plain_http=True,
            quota="none",
        )

    def should(self, fulfilled: bool, what: object) -> None:
        """Note what is not as it should be."""
        if not fulfilled:
            self.departures.append(f"{self.connection}: {what}")


class WiredGateway:
    """A gateway, and its vendors."""

    def __init__(self, catalogue: Catalogue, server: FaultServer, cases: Iterable[Case], policy: Policy) -> None:
        """Wire it."""
        self.server = server
        self.cases = tuple(cases)
        self.ledger = MemoryLedger()
        settings = Settings(
            api_key=SecretStr(API_KEY),
            server=ServerSettings(trusted_hosts=("gateway.test",), response_validation=ResponseValidation.REFUSE),
            connections={case.connection: case.settings for case in self.cases},
            vendor_seconds=server.patience,
            policy=policy,
        )
        self.gateway = Gateway(settings, catalogue, ledger=self.ledger)
        self.application = self.gateway.application

    async def ask(self, case: Case, *, lists: bool = False) -> Answer:
        """Make the request of a case."""
        jobs = f"/v1/connections/{case.connection}/jobs"
        if not case.is_read:
            return await call(self.application, "POST", f"{jobs}/{JOBS[case.vendor]}/cancel")
        job = "" if lists else f"/{JOBS[case.vendor]}"
        return await call(self.application, "GET", f"{jobs}{job}?include=vendor")

    async def newest(self, case: Case) -> JobActionRecord:
        """The newest record of a case."""
        return (await self.ledger.page(Selection(connection=case.connection), 1, None)).items[0]

    async def shown(self, record: JobActionRecord) -> Answer:
        """A record as callers see it."""
        return await call(self.application, "GET", f"/v1/job-actions/{record.id}")

    def check_secrecy(self, *texts: object) -> None:
        """No secret is in any of these, neither as it is nor as JSON writes it."""
        signatures = (each for case in self.cases for site in case.sites for each in site.credentials)
        secrets = {*SECRETS, *signatures}
        for text in map(str, texts):
            found = [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]
            assert found == [], f"{found} is given away in {text}"


@asynccontextmanager
async def wired_gateway(
    catalogue: Catalogue, server: FaultServer, cases: Iterable[Case], policy: Policy = POLICY
) -> AsyncIterator[WiredGateway]:
    """A gateway, closed at the end."""
    made = WiredGateway(catalogue, server, cases, policy)
    try:
        yield made
    finally:
        await made.gateway.close()
