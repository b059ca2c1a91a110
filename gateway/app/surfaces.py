"""The APIs and pages of a gateway, with their handlers and security."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.app import Gateway
from gateway.app.console import console_key_of
from gateway.console.console import PATH, Console
from gateway.console.sessions import new_key
from gateway.dialects.approvals import ApprovalsApi
from gateway.dialects.batches import BatchApi
from gateway.dialects.keys import KeysApi
from gateway.dialects.native import Dialect
from gateway.dialects.overview import OverviewApi
from gateway.dialects.refusals import Refusals
from gateway.dialects.schedules import SchedulesApi
from gateway.dialects.services import Services
from gateway.dialects.unified import BASE_PATH, Problems, UnifiedApi
from gateway.domain.encoding import dump
from gateway.edge.addresses import Addresses
from gateway.edge.authentication import Authenticator, unified_security, vendor_security
from gateway.edge.exchange import Application
from gateway.edge.hosts import TrustedHosts
from gateway.edge.html_pages import Pages, Show
from gateway.edge.metrics_page import protected_metrics
from gateway.edge.rates import Rates
from gateway.edge.surface import Surface, application
from gateway.security.callers import Callers
from gateway.settings.settings import ServerSettings
from gateway.specs.native import NativeApi


def application_of(gateway: Gateway) -> Application:
    """The ASGI application of a gateway."""
    return serving(gateway, surfaces_of(gateway))


def surfaces_of(gateway: Gateway) -> list[Surface]:
    """The APIs of a gateway: the unified one, and those of the vendors."""
    catalogue = gateway.catalogue
    callers = Callers(gateway.keyring, gateway.clock, gateway.tokens)
    authenticator = Authenticator(callers, Rates(gateway.clock, gateway.rate))
    services = services_of(gateway, callers)
    return [
        Surface(
            catalogue.api,
            BASE_PATH,
            UnifiedApi(services).handlers(catalogue.actions)
            | BatchApi(services, catalogue.api).handlers()
            | ApprovalsApi(services.approvals, gateway.clock).handlers()
            | SchedulesApi(services, BatchApi(services, catalogue.api)).handlers()
            | OverviewApi(services).handlers()
            | KeysApi(gateway.present_keys, gateway.clock).handlers(),
            unified_security(authenticator),
            Problems(catalogue.api),
        ),
        *(native_surface(each, services, authenticator) for each in catalogue.natives.values()),
    ]


def serving(gateway: Gateway, surfaces: Sequence[Surface]) -> Application:
    """The ASGI application that serves these surfaces, and the pages of a gateway, by its settings."""
    settings, catalogue = gateway.settings, gateway.catalogue
    return application(
        surfaces,
        pages=Pages(
            catalogue.documents, gateway.lifespan, gateway.readiness, metrics_page(gateway), pages_of_console(gateway)
        ),
        limits=settings.limits,
        addresses=addresses(settings.server),
        response_validation=gateway.response_validation,
        names={*gateway.directory.vendors, *gateway.directory.connections},
    )


def metrics_page(gateway: Gateway) -> Show | None:
    """The page with the metrics, if the settings want it on the main port."""
    if gateway.metrics is None or not gateway.settings.server.metrics:
        return None
    callers = Callers(gateway.keyring, gateway.clock, gateway.tokens)
    authenticator = Authenticator(callers, Rates(gateway.clock, gateway.rate))
    return protected_metrics(gateway.metrics.scrape, gateway.metrics.media_type, authenticator)


def addresses(served: ServerSettings) -> Addresses:
    """The addresses that clients call. With `plain_http`, clients are assumed to use HTTPS, through a proxy."""
    hosts = TrustedHosts.of(served.host, served.trusted_hosts)
    return Addresses.of(hosts, served.trusted_proxies, "https" if served.plain_http else None)


def services_of(gateway: Gateway, callers: Callers) -> Services:
    """The services of a gateway that its dialects use."""
    return Services(
        gateway.clock,
        gateway.directory,
        gateway.calls,
        gateway.jobs,
        gateway.actions,
        gateway.ledger,
        gateway.reconciler,
        callers.access_tokens,
        gateway.approvals,
        gateway.batches,
        gateway.schedules,
    )


def native_surface(native: NativeApi, services: Services, authenticator: Authenticator) -> Surface:
    """The surface of a vendor's own API."""
    return Surface(
        native.api,
        native.base_path,
        Dialect(native, services).handlers(),
        vendor_security(authenticator, native),
        Refusals(native),
        dump,  # byte for byte like the vendor
        lenient=True,
    )


def pages_of_console(gateway: Gateway) -> Mapping[str, Application]:
    """The console by its path, nothing if the settings switch it off. Raises ConfigurationError."""
    if not gateway.settings.server.has_console:
        return {}
    # A gateway that was given its ledger keeps no files.
    key = new_key() if gateway.key_store is None else console_key_of(gateway.settings)
    return {PATH: Console(lambda: gateway.application, gateway.catalogue.api, key, gateway.code_flow)}
