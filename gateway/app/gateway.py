"""The wiring of a gateway: every part is made from the settings, with its dependencies.

Server, storage and transport are imported where they are used, since most commands need at most one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app.databases import approval_store_of, key_store_of, ledger_of
from gateway.app.gauges import connection_gauges
from gateway.approvals.approvals import Approvals, EmergencyRules
from gateway.approvals.policy import Policies
from gateway.batches.guard_rails import GuardRails
from gateway.dialects import rendering
from gateway.domain.access import CALLER_PREFIX, DEFAULT_CALLER, EVERYTHING, Caller
from gateway.domain.adapter import Adapter
from gateway.domain.approvals import ApprovalPolicy
from gateway.domain.clock import SystemClock
from gateway.domain.errors import AdapterFailed
from gateway.domain.leases import TaskKind
from gateway.domain.model import HttpRequest, Json, Quota
from gateway.domain.ports import Clock, Ledger, Transport, VendorCredentials
from gateway.domain.recurrence import Recurrence
from gateway.domain.suggestions import did_you_mean
from gateway.domain.urls import canonical_base
from gateway.domain.windows import Window, Windows
from gateway.edge.response_validation import ResponseValidation
from gateway.engine.actions import Actions
from gateway.engine.calls import Calls
from gateway.engine.connections import Connection, Directory, Vendor
from gateway.engine.drift import Drift
from gateway.engine.finding import Finder
from gateway.engine.jobs import Jobs
from gateway.engine.reconciliation import Reconciler, Schedule
from gateway.engine.registry import installed_vendors
from gateway.engine.termination import Terminations
from gateway.resilience.pipeline import Pipeline, ReadingTransport
from gateway.security.credentials import ClientCredentials, Signature, usable
from gateway.security.keys import AccessKey, Keyring
from gateway.settings.settings import (
    ApprovalSettings,
    Authentication,
    BreakGlassSettings,
    CallerSettings,
    ClientCredentialsAuthentication,
    ConfigurationError,
    ConnectionSettings,
    Settings,
    WindowSettings,
)
from gateway.specs.accounts import misfits
from gateway.specs.capabilities import ActionDefinition, action_of, definitions
from gateway.specs.document import SPECIFICATIONS, Document, load
from gateway.specs.native import NativeApi
from gateway.specs.openapi import checked
from gateway.specs.operations import Api
from gateway.specs.security import checked_schemes, kind_of_settings, schemes
from gateway.telemetry.metrics import measured_by

if TYPE_CHECKING:
    from gateway.approvals.notices import Notices
    from gateway.batches.batches import Batches
    from gateway.batches.permission import Permission
    from gateway.batches.running import Runner
    from gateway.edge.exchange import Application
    from gateway.ledger.batch_store import BatchStore
    from gateway.ledger.keys import KeyWatch
    from gateway.ledger.publishing import Publisher
    from gateway.schedules.schedules import Schedules
    from gateway.security.code_flow import CodeFlow
    from gateway.security.openid import OpenIdTokens
    from gateway.telemetry.gathering import Metrics
    from gateway.transport.http import HttpTransport


NO_RECORD = "00000000-0000-0000-0000-000000000000"
"""An id that no job action has."""


@dataclass(frozen=True)
class Catalogue:
    """The unified API, the installed vendors, and the vendors' own APIs. Independent of the settings."""

    api: Api
    actions: Mapping[str, ActionDefinition]
    vendors: Mapping[str, Vendor]
    natives: Mapping[str, NativeApi]

    @classmethod
    def load(cls, more: Iterable[Adapter] = ()) -> Catalogue:
        """Read and compile the documents, also those of `more` adapters. Raises SpecificationError."""
        api = Api.compile(checked(load(SPECIFICATIONS / "gateway.yaml")))
        actions = definitions(api)
        vendors = installed_vendors(actions, more)
        natives = {
            name: NativeApi.make(each.specification, each.adapter, api.document) for name, each in vendors.items()
        }
        return cls(api, actions, vendors, natives)

    @cached_property
    def acting_scopes(self) -> Mapping[str, frozenset[str]]:
        """The scopes that a caller needs for each action, terminations among them."""
        found = ((action_of(each), each) for each in self.api.operations.values())
        return {action: frozenset(each.scopes) for action, each in found if action is not None}

    @property
    def documents(self) -> Mapping[str, Document]:
        """The served documents by base path, the unified API first."""
        return {"": self.api.document} | {each.base_path: each.api.document for each in self.natives.values()}


class Gateway:
    """A wired gateway. `application` is its ASGI application; call `close` when done.

    A given `transport` is used by every connection. Without one, each connection has its own.
    """

    def __init__(  # noqa: PLR0913 - each caller needs one or two of them
        self,
        settings: Settings,
        catalogue: Catalogue,
        *,
        clock: Clock | None = None,
        transport: Transport | None = None,
        ledger: Ledger | None = None,
        writer: Path | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Wire a gateway. Its ledger is written through the socket `writer`, if there is one.

        `metrics` gathers them and shows them, if somebody wants to see them.

        Raises ConfigurationError if the settings name something that does not exist.
        """
        self.settings = settings
        self.catalogue = catalogue
        self.clock = clock or SystemClock()
        self.transport = transport
        self.metrics = metrics
        self._transports: list[HttpTransport] = []
        self.key_store = None if ledger else key_store_of(settings)
        self.ledger = ledger or ledger_of(settings, self.clock, writer)
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
        """The handling of responses that do not match their document."""
        return self.settings.server.response_validation or ResponseValidation.OFF

    @cached_property
    def calls(self) -> Calls:
        """The calls to vendors."""
        return Calls(self.clock, self.settings.vendor_seconds)

    @cached_property
    def jobs(self) -> Jobs:
        """The reading of jobs."""
        return Jobs(self.calls)

    @cached_property
    def reconciler(self) -> Reconciler:
        """The reconciler of unknown outcomes."""
        kept = self.settings.ledger
        schedule = Schedule(kept.confirm_seconds, kept.repeat_seconds, kept.give_up_seconds)
        return Reconciler(self.ledger, self.jobs, self.directory, self.clock, schedule)

    @cached_property
    def actions(self) -> Actions:
        """The actions on jobs."""
        key_time = timedelta(hours=self.settings.ledger.idempotency_hours)
        schedule = self.reconciler.schedule
        return Actions(self.calls, self.jobs, self.ledger, self.clock, schedule, key_time, self.policies, self.windows)

    @cached_property
    def batch_store(self) -> BatchStore | None:
        """The batches in the ledger's database, None if the ledger has none."""
        from gateway.ledger.batch_store import BatchStore
        from gateway.ledger.ledger import SqlLedger

        return BatchStore(self.ledger, self.clock) if isinstance(self.ledger, SqlLedger) else None

    @cached_property
    def batches(self) -> Batches | None:
        """The commands of callers for batches, None without a database."""
        from gateway.batches.batches import Batches
        from gateway.batches.changes import Changes

        if self.batch_store is None:
            return None
        store, key_time = self.batch_store, self.actions.key_time
        changes = Changes(store, self.clock)
        return Batches(store, changes, self.directory, self.guard_rails, self.clock, key_time, self._permission(store))

    @cached_property
    def batch_runner(self) -> Runner | None:
        """The runner of batches, None without a database."""
        from gateway.batches.changes import Changes
        from gateway.batches.outcomes import Outcomes
        from gateway.batches.preparing import Preparation
        from gateway.batches.running import Runner
        from gateway.batches.sending import Sending

        if self.batch_store is None:
            return None
        store, directory, rails = self.batch_store, self.directory, self.guard_rails
        changes, permission = Changes(store, self.clock), self._permission(store)
        preparation = Preparation(store, changes, self.jobs, Finder(self.jobs, directory), directory, rails, permission)
        terminations = Terminations(self.actions, self.reconciler)
        outcomes = Outcomes(store, self.actions, self.clock)
        sending = Sending(
            store, self.clock, outcomes, self.actions, terminations, directory, rails, self.stopping, permission
        )
        return Runner(store, changes, preparation, outcomes, sending, permission)

    @cached_property
    def schedules(self) -> Schedules | None:
        """The commands of callers for schedules, None without a database."""
        from gateway.ledger.schedule_store import ScheduleStore
        from gateway.schedules.schedules import Schedules

        if self.batch_store is None or self.batches is None:
            return None
        scopes = frozenset(self.catalogue.api.operations["createSchedule"].scopes)
        store = ScheduleStore(self.batch_store.ledger, self.clock)
        finder = Finder(self.jobs, self.directory)
        return Schedules(store, self.batches, finder, self.clock, scopes, self.policies.endings)

    def _permission(self, store: BatchStore) -> Permission:
        """The permissions of batches in a store."""
        from gateway.batches.permission import Permission

        return Permission(self.approvals, store, self.clock, self.catalogue.acting_scopes, self._callers_named)

    async def _callers_named(self, name: str) -> tuple[Caller, ...] | None:
        """The callers of a name, by the keys that are valid now; None for one with tokens, whom nobody can ask again.

        Raises LedgerUnavailable.
        """
        if name.startswith(CALLER_PREFIX):
            return None
        return (await self.present_keys()).named(name, self.clock.now())

    async def present_keys(self) -> Keyring:
        """The keyring, with the keys that the key store has now. Raises LedgerUnavailable."""
        if self.key_store is not None:
            self.keyring.replace(await asyncio.to_thread(self.key_store.all))
        return self.keyring

    @property
    def guard_rails(self) -> GuardRails:
        """The guard rails of batches."""
        wanted = self.settings.batches
        return GuardRails(wanted.max_items, wanted.max_share, wanted.max_errors, wanted.max_unknown)

    @cached_property
    def policies(self) -> Policies:
        """The policies of the settings, which say what needs approval."""
        endings = frozenset(name for name, each in self.catalogue.actions.items() if each.harm)
        return Policies(tuple(policy_of(name, each) for name, each in self.settings.approvals.items()), endings)

    @cached_property
    def windows(self) -> Windows:
        """The windows of the settings, which say what is allowed at what time."""
        endings = frozenset(name for name, each in self.catalogue.actions.items() if each.harm)
        return Windows(tuple(window_of(name, each) for name, each in self.settings.windows.items()), endings)

    @cached_property
    def approvals(self) -> Approvals:
        """The approvals that batches wait for, and the reviews of emergencies."""
        store = approval_store_of(self.ledger, self.clock)
        emergencies = self.settings.break_glass
        has_webhook = emergencies.webhook is not None
        return Approvals(store, self.policies, self.clock, emergency_rules(emergencies), has_webhook)

    @cached_property
    def notices(self) -> Notices | None:
        """The deliverer of notices of emergencies, None without a webhook or a database."""
        from gateway.approvals.notices import Notices
        from gateway.ledger.ledger import SqlLedger
        from gateway.ledger.publishing import Webhook
        from gateway.ledger.task_store import TaskStore

        address = self.settings.break_glass.webhook
        if address is None or not isinstance(self.ledger, SqlLedger):
            return None
        transport = self.transport or self._new_transport([address.get_secret_value()])
        tasks = TaskStore(self.ledger, self.clock, TaskKind.NOTICE)
        return Notices(self.approvals, tasks, Webhook(address, transport, self.clock, "application/json").send)

    @property
    def stopping(self) -> asyncio.Event:
        """The event that tells the gateway that its server stops."""
        return self.reconciler.stopping

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[dict[str, asyncio.Event]]:
        """Open the ledger, and run reconciliation and the other background tasks, while the gateway serves.

        Yields the state for the server: the event that it sets when it stops. Raises LedgerUnavailable.
        """
        from gateway.edge.exchange import STOPPING

        await self.ledger.start()
        tasks = [asyncio.create_task(self.reconciler.run())]
        if self.batch_runner is not None:
            tasks.append(asyncio.create_task(self.batch_runner.run()))
        if self.schedules is not None:
            from gateway.schedules.running import ScheduleRunner

            tasks.append(asyncio.create_task(ScheduleRunner(self.schedules).run()))
        if self.notices is not None:
            tasks.append(asyncio.create_task(self.notices.run()))
        publisher = self._publisher()
        if publisher is not None:
            tasks.append(asyncio.create_task(publisher.run()))
        watch = self._key_watch()
        if watch is not None:
            await watch.refresh()
            tasks.append(asyncio.create_task(watch.run()))
        reporting = nullcontext() if self.metrics is None else self.metrics.reporting()
        try:
            with measured_by(partial(connection_gauges, self.directory.connections)), reporting:
                yield {STOPPING: self.reconciler.stopping}
        finally:
            self.stopping.set()
            if self.batch_runner is not None:
                await self.batch_runner.finish(self.settings.vendor_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.ledger.close()
            if publisher is not None:
                await publisher.publish()
            await self._close_transports()

    async def readiness(self) -> Mapping[str, Json]:
        """The state of the connections, without a call to a vendor.

        Raises LedgerUnavailable or LedgerOutdated if no action could be recorded.
        """
        await self.ledger.check()
        await self.ledger.get(NO_RECORD, "")
        return {"connections": rendering.connections(self.directory.connections.values())}

    async def close(self) -> None:
        """Close the ledger and all transports."""
        await self.ledger.close()
        await self._close_transports()

    async def _close_transports(self) -> None:
        for transport in self._transports:
            await transport.close()

    @cached_property
    def keyring(self) -> Keyring:
        """The API keys in the settings. Those of the key store are added while the gateway serves."""
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

    def _key_watch(self) -> KeyWatch | None:
        """The task that keeps the keyring up to date, or None without a key store."""
        if self.key_store is None:
            return None
        from gateway.ledger.keys import KeyWatch
        from gateway.ledger.ledger import SqlLedger

        if not isinstance(self.ledger, SqlLedger):
            return None
        return KeyWatch(self.keyring, self.key_store, self.ledger.note_used)

    def _publisher(self) -> Publisher | None:
        """The task that writes checkpoints, or None without checkpoints."""
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
        """The verifier of the issuer's tokens, or None without an issuer."""
        from gateway.security.openid import Issuer, OpenIdTokens

        openid = self.settings.openid
        if openid is None:
            return None
        claims = openid.caller_claim, openid.scopes_claim, openid.owner_claim
        issuer = Issuer(openid.issuer, openid.audience, openid.algorithms, *claims)
        origins = (openid.issuer, openid.keys_origin or openid.issuer)
        transport = self.transport or self._new_transport(origins)
        return OpenIdTokens(issuer, transport, self.clock)

    @cached_property
    def code_flow(self) -> CodeFlow | None:
        """The code flow by which people sign in at the issuer, or None without an issuer or a client."""
        from gateway.security.code_flow import CodeFlow

        openid = self.settings.openid
        if openid is None or openid.client_id is None:
            return None
        transport = self.transport or self._new_transport((openid.issuer, openid.keys_origin or openid.issuer))
        secret = None if openid.client_secret is None else openid.client_secret.get_secret_value()
        return CodeFlow(openid.issuer, openid.client_id, secret, openid.sign_in_scopes, transport, self.clock)

    @property
    def rate(self) -> Quota | None:
        """The rate limit of each caller, or None."""
        limit = self.settings.rate_limit
        return None if limit == "none" else Quota(limit.requests, limit.seconds)

    def _connection(self, name: str, settings: ConnectionSettings) -> Connection:
        vendor = self.catalogue.vendors.get(settings.vendor)
        if vendor is None:
            mend = did_you_mean(settings.vendor, self.catalogue.vendors)
            raise ConfigurationError(f"connections.{name}.vendor: {settings.vendor} is not installed; {mend}")
        for mistake in value_mistakes(name, vendor, settings):
            raise ConfigurationError(mistake)
        values = vendor.specification.completed(settings.values)
        endpoint = settings.endpoint or _documented_endpoint(name, vendor, values)
        transport = self.transport or self._new_transport({endpoint, *settings.addresses})
        quota = self._quota(vendor, settings)
        return Connection(
            name,
            vendor,
            vendor.specification.bound(values),
            values,
            endpoint,
            settings.authentication.scheme,
            self._credentials(name, vendor, settings.authentication, transport, values),
            Pipeline(self.clock, transport, self.settings.policy, quota, name),
            Drift(name),
            quota,
            settings.require_idempotency_key,
        )

    def _new_transport(self, addresses: Collection[str]) -> HttpTransport:
        """Make a transport that calls only these addresses, and is closed with the gateway."""
        from gateway.transport.http import HttpTransport

        seconds = self.settings.policy.connect_seconds
        self._transports.append(HttpTransport(self.clock, addresses, connect_seconds=seconds))
        return self._transports[-1]

    def _quota(self, vendor: Vendor, settings: ConnectionSettings) -> Quota | None:
        """This process's share of the vendor's rate limit, or None."""
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
        settings: Authentication,
        transport: Transport,
        values: Mapping[str, str],
    ) -> VendorCredentials:
        place, document = f"connections.{name}.authentication", vendor.specification.api.document
        known = schemes(document)
        if settings.scheme not in known:
            mend = did_you_mean(settings.scheme, known)
            raise ConfigurationError(f"{place}.scheme: {vendor.name} has no {settings.scheme}; {mend}")
        fitting = kind_of_settings(vendor.adapter, document, settings.scheme)
        if settings.kind != fitting:
            mend = f'use kind = "{fitting}".' if fitting else "it has no client credentials flow, and cannot be used."
            raise ConfigurationError(f"{place}.kind: does not fit the scheme {settings.scheme}; {mend}")
        if not isinstance(settings, ClientCredentialsAuthentication):
            scheme = checked_schemes(vendor.adapter, document, values)[settings.scheme]
            return self._signature(place, Signature(scheme, settings.parts, self.clock))
        return ClientCredentials(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            token_url=settings.token_url,
            scopes=tuple(known[settings.scheme]["flows"]["clientCredentials"]["scopes"]),
            # The token endpoint is a separate service, and can fail independently of the API.
            transport=ReadingTransport(Pipeline(self.clock, transport, self.settings.policy, name=name)),
            clock=self.clock,
            basic=settings.client_authentication == "basic",
        )

    def _signature(self, place: str, signature: Signature) -> Signature:
        """Try a signature once, so that an unusable secret is reported before the first call, and return it."""
        parts = {name: usable(name, part) for name, part in signature.parts.items()}
        try:
            headers = signature.scheme.sign(HttpRequest("GET", "https://vendor.invalid/", {}), parts, self.clock.now())
        except ValueError:
            raise ConfigurationError(
                f"{place}.secret: cannot sign requests. Copy the secret again from the vendor."
            ) from None
        except AdapterFailed as error:
            raise ConfigurationError(f"{place}.secret: cannot sign requests. {error.detail}") from None
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise ConfigurationError(
                f"{place}.secret: has a character that a header field cannot contain. Copy it again from the vendor."
            )
        return signature


def value_mistakes(name: str, vendor: Vendor, settings: ConnectionSettings) -> Iterator[str]:
    """The mistakes in the values of a connection, each with its key."""
    for value, mend in misfits(vendor.specification, settings.values):
        yield f"connections.{name}.values.{value}: {mend}"


def _documented_endpoint(name: str, vendor: Vendor, values: Mapping[str, str]) -> str:
    """The server of the vendor's document, for an account with these values. Raises ConfigurationError without one."""
    place, server = f"connections.{name}.endpoint", vendor.specification.server(values)
    if server is None:
        raise ConfigurationError(
            f"{place}: is missing; the document of {vendor.name} has no server that is certainly that of the account. "
            "Write the base URL of the account."
        )
    try:
        endpoint = canonical_base(server)
    except ValueError:
        raise ConfigurationError(
            f"{place}: is missing, and the values make no URL of the server {vendor.name} has. Correct the values, or "
            "write the base URL of the account."
        ) from None
    if not endpoint.startswith("https://"):
        raise ConfigurationError(f"{place}: is missing, and the server {vendor.name} has is not https://. Write a URL.")
    return endpoint


def callers_in(settings: Settings) -> tuple[Caller, ...]:
    """The callers whose keys are in the settings."""
    has_default = settings.api_key is not None or settings.access_key is not None
    default = (Caller(DEFAULT_CALLER, EVERYTHING),) if has_default else ()
    return (*default, *(caller_of(name, each) for name, each in settings.callers.items()))


def caller_of(name: str, settings: CallerSettings) -> Caller:
    """Make a caller from the settings."""
    return Caller(name, frozenset(settings.scopes), settings.owner or "")


def policy_of(name: str, settings: ApprovalSettings) -> ApprovalPolicy:
    """Make a policy from the settings."""
    return ApprovalPolicy(
        name,
        settings.actions,
        settings.connections,
        settings.callers,
        settings.items,
        settings.approvals,
        settings.approvers,
        timedelta(seconds=settings.decide_seconds),
        timedelta(seconds=settings.execute_seconds),
    )


def window_of(name: str, settings: WindowSettings) -> Window:
    """Make a window from the settings."""
    recurrence = Recurrence(settings.cron, settings.time_zone)
    return Window(name, settings.kind, settings.connections, settings.actions, recurrence, settings.duration)


def emergency_rules(settings: BreakGlassSettings) -> EmergencyRules:
    """Make the rules for emergencies from the settings."""
    return EmergencyRules(
        settings.items, timedelta(seconds=settings.seconds), timedelta(seconds=settings.review_seconds)
    )
