"""A gateway, wired: every part made from the settings, and given what it needs.

What serves, what stores and what sends are loaded where they are used, since most commands need one of them at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gateway.app.databases import key_store_of, ledger_of
from gateway.dialects import rendering
from gateway.domain.access import DEFAULT_CALLER, EVERYTHING, Caller
from gateway.domain.adapter import Signing
from gateway.domain.clock import SystemClock
from gateway.domain.model import HttpRequest, Json, Quota
from gateway.domain.ports import Clock, Ledger, Transport, VendorCredentials
from gateway.domain.suggestions import did_you_mean
from gateway.edge.response_validation import ResponseValidation
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection, Directory, Vendor
from gateway.engine.drift import Drift
from gateway.engine.jobs import Jobs
from gateway.engine.reconciliation import Reconciler, Schedule
from gateway.engine.registry import installed_vendors
from gateway.resilience.pipeline import Pipeline, ReadingTransport
from gateway.security.credentials import ClientCredentials, Signature, revealed
from gateway.security.keys import AccessKey, Keyring
from gateway.settings.settings import (
    CallerSettings,
    ClientCredentialsAuthentication,
    ConfigurationError,
    ConnectionSettings,
    Settings,
    SignedAuthentication,
)
from gateway.specs.capabilities import ActionDefinition, definitions
from gateway.specs.document import SPECIFICATIONS, Document, load
from gateway.specs.native import NativeApi
from gateway.specs.operations import Api

if TYPE_CHECKING:
    from gateway.edge.exchange import Application
    from gateway.ledger.publishing import Publisher
    from gateway.security.openid import OpenIdTokens
    from gateway.transport.http import HttpTransport


NO_RECORD = "00000000-0000-0000-0000-000000000000"
"""The id of no job action."""


@dataclass(frozen=True)
class Catalogue:
    """What is known before any setting is read: the unified API, the installed vendors, and their own APIs."""

    api: Api
    actions: Mapping[str, ActionDefinition]
    vendors: Mapping[str, Vendor]
    natives: Mapping[str, NativeApi]

    @classmethod
    def load(cls) -> Catalogue:
        """Read the documents. Raises SpecificationError."""
        api = Api.compile(load(SPECIFICATIONS / "gateway.yaml"))
        actions = definitions(api)
        vendors = installed_vendors(actions)
        natives = {
            name: NativeApi.make(each.specification, each.adapter, api.document) for name, each in vendors.items()
        }
        return cls(api, actions, vendors, natives)

    @property
    def documents(self) -> Mapping[str, Document]:
        """What is served, by the path at which it is: the unified API first."""
        return {"": self.api.document} | {each.base_path: each.api.document for each in self.natives.values()}


class Gateway:
    """A gateway, wired. `application` is what an ASGI server serves; `close` when done.

    A `transport` that is given serves every connection, which otherwise have one each.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        *,
        clock: Clock | None = None,
        transport: Transport | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Wire a gateway. Raises ConfigurationError where the settings name what is not there."""
        self.settings = settings
        self.catalogue = catalogue
        self.clock = clock or SystemClock()
        self.transport = transport
        self._transports: list[HttpTransport] = []
        self.key_store = None if ledger else key_store_of(settings)
        self.ledger = ledger or ledger_of(settings, self.clock)
        self.directory = Directory(
            catalogue.vendors, {name: self._connection(name, each) for name, each in settings.connections.items()}
        )

    @cached_property
    def application(self) -> Application:
        """The ASGI application."""
        from gateway.app.surfaces import application_of

        return application_of(self)

    @property
    def response_validation(self) -> ResponseValidation:
        """What becomes of replies that depart from the document."""
        return self.settings.server.response_validation or ResponseValidation.OFF

    @cached_property
    def reconciler(self) -> Reconciler:
        """What finds out what became of job actions."""
        kept = self.settings.ledger
        schedule = Schedule(kept.confirm_seconds, kept.repeat_seconds, kept.give_up_seconds)
        jobs = Jobs(Calls(self.clock, self.settings.vendor_seconds))
        return Reconciler(self.ledger, jobs, self.directory, self.clock, schedule)

    @property
    def stopping(self) -> asyncio.Event:
        """The event by which the gateway is told that its server stops."""
        return self.reconciler.stopping

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[dict[str, asyncio.Event]]:
        """What happens while the gateway is served: the ledger is open, and what is unsettled is looked after.

        Gives the event by which the server tells that it stops.
        """
        from gateway.edge.exchange import STOPPING

        await self.ledger.start()
        tasks = [asyncio.create_task(self.reconciler.run())]
        publisher = self._publisher()
        if publisher is not None:
            tasks.append(asyncio.create_task(publisher.run()))
        if self.key_store is not None:
            from gateway.ledger.keys import KeyWatch

            watch = KeyWatch(self.keyring, self.key_store)
            await watch.look()
            tasks.append(asyncio.create_task(watch.run()))
        try:
            yield {STOPPING: self.reconciler.stopping}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.ledger.close()
            if publisher is not None:
                await publisher.publish()
            await self._close_transports()

    async def readiness(self) -> Mapping[str, Json]:
        """How the connections do, in sum. Asks no vendor.

        Raises LedgerUnavailable or LedgerOutdated where no action could be recorded.
        """
        await self.ledger.check()
        await self.ledger.get(NO_RECORD, "")
        return {"connections": rendering.connections(self.directory.connections.values())}

    async def close(self) -> None:
        """Close the ledger, and every connection to a vendor."""
        await self.ledger.close()
        await self._close_transports()

    async def _close_transports(self) -> None:
        for transport in self._transports:
            await transport.close()

    @cached_property
    def keyring(self) -> Keyring:
        """The API keys of the settings; those of the key store come to it while the gateway is served."""
        settings = self.settings
        default = Caller(DEFAULT_CALLER, EVERYTHING)
        callers = {name: caller_of(name, each) for name, each in settings.callers.items()}
        whole = {each.key.get_secret_value(): callers[name] for name, each in settings.callers.items()}
        access = [(callers[name], each.access_key) for name, each in settings.callers.items()]
        access.append((default, settings.access_key))
        if settings.api_key is not None:
            whole[settings.api_key.get_secret_value()] = default
        keys = [AccessKey(caller.name, caller, secret.get_secret_value()) for caller, secret in access if secret]
        return Keyring(whole, access_keys=keys)

    def _publisher(self) -> Publisher | None:
        """What writes checkpoints while the gateway is served, where the ledger has any."""
        from gateway.ledger.ledger import SqlLedger
        from gateway.ledger.publishing import Publisher, Webhook

        if not isinstance(self.ledger, SqlLedger) or self.ledger.checkpoints is None:
            return None
        wanted, address = self.settings.checkpoints, self.settings.checkpoints.webhook
        webhook = None
        if address is not None:
            transport = self.transport or self._new_transport([address.get_secret_value()])
            webhook = Webhook(address, transport, self.clock)
        return Publisher(self.ledger.checkpoints, wanted.seconds, wanted.log, webhook)

    @cached_property
    def tokens(self) -> OpenIdTokens | None:
        """What checks the tokens of the issuer, where there is one."""
        from gateway.security.openid import Issuer, OpenIdTokens

        openid = self.settings.openid
        if openid is None:
            return None
        issuer = Issuer(openid.issuer, openid.audience, openid.algorithms, openid.caller_claim, openid.scopes_claim)
        origins = (openid.issuer, openid.keys_origin or openid.issuer)
        transport = self.transport or self._new_transport(origins)
        return OpenIdTokens(issuer, transport, self.clock)

    @property
    def rate(self) -> Quota | None:
        """How many requests one caller may send."""
        limit = self.settings.rate_limit
        return None if limit == "none" else Quota(limit.requests, limit.seconds)

    def _connection(self, name: str, settings: ConnectionSettings) -> Connection:
        vendor = self.catalogue.vendors.get(settings.vendor)
        if vendor is None:
            mend = did_you_mean(settings.vendor, self.catalogue.vendors)
            raise ConfigurationError(f"connections.{name}.vendor: {settings.vendor} is not installed; {mend}")
        transport = self.transport or self._new_transport(settings.addresses)
        quota = self._quota(vendor, settings)
        return Connection(
            name,
            vendor,
            settings.endpoint,
            settings.authentication.scheme,
            self._credentials(name, vendor, settings.authentication, transport),
            Pipeline(self.clock, transport, self.settings.policy, quota),
            Drift(name),
            quota,
            settings.require_idempotency_key,
        )

    def _new_transport(self, addresses: Collection[str]) -> HttpTransport:
        """A transport to these addresses and no others."""
        from gateway.transport.http import HttpTransport

        seconds = self.settings.policy.connect_seconds
        self._transports.append(HttpTransport(self.clock, addresses, connect_seconds=seconds))
        return self._transports[-1]

    def _quota(self, vendor: Vendor, settings: ConnectionSettings) -> Quota | None:
        """This process's part of what the vendor takes."""
        if settings.quota == "none":
            return None
        quota = vendor.specification.quota
        if settings.quota is not None:
            quota = Quota(settings.quota.requests, settings.quota.seconds)
        return None if quota is None else quota.shared_by(self.settings.server.workers)

    def _credentials(
        self,
        name: str,
        vendor: Vendor,
        settings: SignedAuthentication | ClientCredentialsAuthentication,
        transport: Transport,
    ) -> VendorCredentials:
        place = f"connections.{name}.authentication.scheme"
        schemes = vendor.specification.api.document.content["components"]["securitySchemes"]
        scheme = schemes.get(settings.scheme)
        if scheme is None:
            mend = did_you_mean(settings.scheme, schemes)
            raise ConfigurationError(f"{place}: {vendor.name} has no {settings.scheme}; {mend}")
        if isinstance(settings, SignedAuthentication):
            signing = vendor.adapter.signing.get(settings.scheme)
            if signing is None:
                raise ConfigurationError(f"{place}: {settings.scheme} is not a signature; use client-credentials.")
            return self._signature(f"connections.{name}.authentication.secret", signing, settings.secret)
        flow = scheme.get("flows", {}).get("clientCredentials")
        if flow is None:
            raise ConfigurationError(f"{place}: {settings.scheme} has no client credentials flow; use signature.")
        return ClientCredentials(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            token_url=settings.token_url,
            scopes=tuple(flow["scopes"]),
            # The token endpoint is another service than the API: each may be down while the other is not.
            transport=ReadingTransport(Pipeline(self.clock, transport, self.settings.policy)),
            clock=self.clock,
            basic=settings.client_authentication == "basic",
        )

    def _signature(self, place: str, signing: Signing, secret: SecretStr) -> Signature:
        """A signature that works with this secret: it is tried once, so that a mistake shows before the first call."""
        signature = Signature(signing, secret, self.clock)
        try:
            headers = signing.sign(
                HttpRequest("GET", "https://vendor.invalid/", {}), revealed(secret), self.clock.now()
            )
        except ValueError:
            raise ConfigurationError(f"{place}: cannot sign requests. Copy it again from the vendor.") from None
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise ConfigurationError(
                f"{place}: has a character that no header can hold. Copy it again from the vendor."
            )
        return signature


def caller_of(name: str, settings: CallerSettings) -> Caller:
    """A caller of the settings."""
    return Caller(name, frozenset(settings.scopes))
