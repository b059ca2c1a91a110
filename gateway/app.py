"""The composition root: the only module that knows everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from pydantic import SecretStr

from gateway.clock import SystemClock
from gateway.config import (
    CallerSettings,
    ClientCredentialsAuthentication,
    ConfigurationError,
    ConnectionSettings,
    Settings,
    SignedAuthentication,
)
from gateway.dialects import rendering
from gateway.dialects.native import Dialect, Performer
from gateway.dialects.refusals import Refusals
from gateway.dialects.unified import BASE_PATH, Problems, UnifiedApi
from gateway.domain.access import DEFAULT_CALLER, EVERYTHING, Caller
from gateway.domain.adapter import Signing
from gateway.domain.model import HttpRequest, Json, Quota
from gateway.domain.ports import Clock, Ledger, Transport, VendorCredentials
from gateway.domain.suggestions import did_you_mean
from gateway.edge.authentication import Doorkeeper, unified_security, vendor_security
from gateway.edge.guard import STOPPING, Application
from gateway.edge.hosts import TrustedHosts
from gateway.edge.pages import Pages
from gateway.edge.rates import Rates
from gateway.edge.response_validation import ResponseValidation
from gateway.edge.surface import Surface, serving
from gateway.engine.actions import Actions
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection, Directory, Vendor
from gateway.engine.drift import Drift
from gateway.engine.jobs import Jobs
from gateway.engine.settling import Schedule, Settler
from gateway.ledger.database import Database, UnusableDatabase
from gateway.ledger.keys import KeyStore, KeyWatch
from gateway.ledger.ledger import SqlLedger
from gateway.registry import installed_vendors
from gateway.resilience.pipeline import Pipeline, ReadingTransport
from gateway.security.callers import Callers
from gateway.security.credentials import ClientCredentials, Signature
from gateway.security.keys import AccessKey, Keyring
from gateway.security.openid import Issuer, OpenIdTokens
from gateway.settings.folders import state_folder
from gateway.specs.capabilities import ActionDefinition, definitions
from gateway.specs.document import SPECIFICATIONS, Document, load
from gateway.specs.native import NativeApi
from gateway.specs.operations import Api
from gateway.transport import HttpTransport

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
        self._opened: list[HttpTransport] = []
        self.key_store = None if ledger else KeyStore(database_of(settings))
        self.ledger = ledger or ledger_of(settings, self.clock)
        self.directory = Directory(
            catalogue.vendors, {name: self._connection(name, each) for name, each in settings.connections.items()}
        )

    @cached_property
    def application(self) -> Application:
        """The ASGI application."""
        calls, jobs = self.settler.jobs.calls, self.settler.jobs
        key_time = timedelta(hours=self.settings.ledger.idempotency_hours)
        actions = Actions(calls, jobs, self.ledger, self.clock, self.settler.schedule, key_time)
        callers = Callers(self.keyring, self.clock, self._tokens())
        doorkeeper = Doorkeeper(callers, Rates(self.clock, self._rate()))
        unified = UnifiedApi(self.directory, jobs, actions, self.ledger, self.settler)
        performer = Performer(
            self.directory,
            jobs,
            actions,
            self.settler,
            callers.access_tokens,
            Performer.scopes_of(self.catalogue.api),
            "https" if self.settings.server.plain_http else None,
        )
        return serving(
            [
                Surface(
                    self.catalogue.api,
                    BASE_PATH,
                    unified.handlers(self.catalogue.actions),
                    unified_security(doorkeeper),
                    Problems(self.catalogue.api),
                ),
                *(native_surface(each, performer, doorkeeper) for each in self.catalogue.natives.values()),
            ],
            pages=Pages(self.catalogue.documents, self.lifespan, self.readiness),
            limits=self.settings.limits,
            hosts=TrustedHosts.of(self.settings.server.host, self.settings.server.trusted_hosts),
            response_validation=self.response_validation,
        )

    @property
    def response_validation(self) -> ResponseValidation:
        """What becomes of replies that depart from the document."""
        return self.settings.server.response_validation or ResponseValidation.OFF

    @cached_property
    def settler(self) -> Settler:
        """What finds out what became of job actions."""
        kept = self.settings.ledger
        schedule = Schedule(kept.confirm_seconds, kept.repeat_seconds, kept.give_up_seconds)
        jobs = Jobs(Calls(self.clock, self.settings.vendor_seconds))
        return Settler(self.ledger, jobs, self.directory, self.clock, schedule)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[dict[str, asyncio.Event]]:
        """What happens while the gateway is served: the ledger is open, and what is unsettled is looked after.

        Gives the event by which the server tells that it stops.
        """
        await self.ledger.start()
        tasks = [asyncio.create_task(self.settler.run())]
        if self.key_store is not None:
            watch = KeyWatch(self.keyring, self.key_store)
            await watch.look()
            tasks.append(asyncio.create_task(watch.run()))
        try:
            yield {STOPPING: self.settler.stopping}
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    async def readiness(self) -> Mapping[str, Json]:
        """How the connections do, in sum. Asks no vendor. Raises LedgerUnavailable."""
        await self.ledger.get(NO_RECORD, "")
        return {"connections": rendering.connections(self.directory.connections.values())}

    async def close(self) -> None:
        """Close the ledger, and every connection to a vendor."""
        await self.ledger.close()
        for transport in self._opened:
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

    def _tokens(self) -> OpenIdTokens | None:
        """What checks the tokens of the issuer, where there is one."""
        openid = self.settings.openid
        if openid is None:
            return None
        issuer = Issuer(openid.issuer, openid.audience, openid.algorithms, openid.caller_claim, openid.scopes_claim)
        origins = (openid.issuer, openid.keys_origin or openid.issuer)
        transport = self.transport or self._open(origins)
        return OpenIdTokens(issuer, transport, self.clock)

    def _rate(self) -> Quota | None:
        limit = self.settings.rate_limit
        return None if limit == "none" else Quota(limit.requests, limit.seconds)

    def _connection(self, name: str, settings: ConnectionSettings) -> Connection:
        vendor = self.catalogue.vendors.get(settings.vendor)
        if vendor is None:
            mend = did_you_mean(settings.vendor, self.catalogue.vendors)
            raise ConfigurationError(f"connections.{name}.vendor: {settings.vendor} is not installed; {mend}")
        transport = self.transport or self._open(settings.addresses)
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

    def _open(self, addresses: Collection[str]) -> HttpTransport:
        """A transport to these addresses and no others."""
        seconds = self.settings.policy.connect_seconds
        self._opened.append(HttpTransport(self.clock, addresses, connect_seconds=seconds))
        return self._opened[-1]

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
            signature.redacted(HttpRequest("GET", "https://vendor.invalid/", {}))
        except ValueError:
            raise ConfigurationError(f"{place}: cannot sign requests. Copy it again from the vendor.") from None
        return signature


def native_surface(native: NativeApi, performer: Performer, doorkeeper: Doorkeeper) -> Surface:
    """How a vendor's own API is served."""
    return Surface(
        native.api,
        native.base_path,
        Dialect(native, performer).handlers(),
        vendor_security(doorkeeper, native.base_path, native.api.document, native.signings),
        Refusals(native),
    )


def caller_of(name: str, settings: CallerSettings) -> Caller:
    """A caller of the settings."""
    return Caller(name, frozenset(settings.scopes))


def ledger_of(settings: Settings, clock: Clock) -> SqlLedger:
    """The ledger in the database that the settings name. Raises ConfigurationError."""
    days = settings.ledger.retention_days
    return SqlLedger(database_of(settings), clock, None if days is None else timedelta(days=days))


def database_of(settings: Settings) -> Database:
    """The database that the settings name. Raises ConfigurationError."""
    try:
        if settings.database_url is not None:
            return Database.at(settings.database_url.get_secret_value())
        return Database.in_folder(settings.state_folder or state_folder())
    except UnusableDatabase as error:
        raise ConfigurationError(str(error)) from None
