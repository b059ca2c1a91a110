"""Run a gateway, with or without its sandbox: for `jobgate serve`, the demo and the tests."""

from __future__ import annotations

import gc
import logging
import resource
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from gateway.app import Catalogue, Gateway, database_of
from gateway.app.databases import checkpoints_of
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.edge.exchange import Application
from gateway.edge.response_validation import ResponseValidation
from gateway.engine.connections import Vendor
from gateway.ledger.addresses import UnusableDatabase
from gateway.security.keys import new_access_secret, new_key
from gateway.serving.listening import (
    HOST,
    ServerOptions,
    address,
    in_background,
    listen,
    server,
    supervisor,
)
from gateway.serving.logs import log_to_terminal
from gateway.serving.reloading import Reloadable, require_unchanged_fixed_settings
from gateway.serving.supervisor import Patience
from gateway.serving.temporary import temporary_folder
from gateway.serving.tls import Certificate, self_signed
from gateway.serving.writing import CommonWriter, common_writer
from gateway.settings.files import sources
from gateway.settings.settings import (
    ConfigurationError,
    ConnectionSettings,
    Settings,
    load,
    with_server,
)
from gateway.specs.security import kind_of_settings
from gateway.startup.banner import Banner, SandboxLines, Used, sandbox_banner
from gateway.startup.checks import checked, require_a_caller, require_usable_certificate, warnings_of
from gateway.startup.telemetry import admin_port, gathered_at_socket, log_options, metrics_of, record_traces
from gateway.telemetry.gathering import Gatherer, Reporter

if TYPE_CHECKING:
    from gateway.sandbox.server import Sandbox, SandboxServer

log = logging.getLogger(__name__)

MOST_FILES = 65_536
"""Most open connections and files of one process."""


@dataclass(frozen=True)
class SandboxKeys:
    """The API key and the access key of a gateway with its sandbox."""

    api_key: SecretStr
    access_key: SecretStr

    def given_to(self, settings: Settings) -> Settings:
        """The settings with these keys."""
        return settings.model_copy(update={"api_key": self.api_key, "access_key": self.access_key})

    @property
    def shown(self) -> tuple[str, str]:
        """Both keys as text. They are meant to be shown."""
        return self.api_key.get_secret_value(), self.access_key.get_secret_value()


@dataclass(frozen=True)
class Running:
    """A running gateway and its sandbox."""

    url: str
    api_key: str
    access_key: str
    gateway: Gateway
    sandbox: SandboxServer


@contextmanager
def running(  # noqa: PLR0913 - each caller needs one or two of them
    api_key: str | None = None,
    port: int = 0,
    *,
    access_key: str | None = None,
    certificate: Certificate | None = None,
    catalogue: Catalogue | None = None,
    state_folder: Path | None = None,
    settings: Settings | None = None,
) -> Iterator[Running]:
    """Run a gateway with the sandbox of every installed vendor, on loopback, until the block ends.

    Without settings, they come from the environment. The ledger is temporary unless there is a `state_folder` for it.
    With a certificate, the gateway serves HTTPS. Without a catalogue, one is loaded.
    """
    catalogue = catalogue or Catalogue.load()
    keys = SandboxKeys(SecretStr(api_key or new_key().text), SecretStr(access_key or new_access_secret()))
    kept = (settings or load()).model_copy(update={"state_folder": state_folder, "database_url": None})
    ledger = with_temporary_ledger(kept) if state_folder is None else nullcontext(kept)
    with simulators(catalogue) as sandbox, ledger as used:
        gateway = Gateway(with_sandbox(keys.given_to(used), catalogue.vendors, sandbox), catalogue)
        with in_background(gateway.application, port, used.limits, certificate=certificate) as url:
            yield Running(url, *keys.shown, gateway, sandbox)


@dataclass(frozen=True)
class Source:
    """The source of the settings: a file, the environment, and the options of the command. It can be read again."""

    file: Path | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def read(self) -> Settings:
        """Read the settings. Raises ConfigurationError."""
        return load(self.file, self.options)

    def checked(self, catalogue: Catalogue, *, is_sandbox: bool) -> Settings:
        """Read the settings and check that a gateway can start with them. Raises ConfigurationError."""
        return checked(self.file, self.options, catalogue, is_sandbox=is_sandbox)

    def checked_again(self, catalogue: Catalogue) -> Settings:
        """Read and check the settings for a reload, without the ledger, which is in use. Raises ConfigurationError."""
        return checked(self.file, self.options, catalogue, is_offline=True)


@cache
def installed() -> Catalogue:
    """The catalogue of this process, loaded once. Raises SpecificationError."""
    return Catalogue.load()


def serve(source: Source, *, sandbox_port: int | None, accept_restored_ledger: bool = False) -> None:
    """Serve in the foreground until told to stop; without simulators if `sandbox_port` is None.

    Without `accept_restored_ledger`, a ledger that is older than its newest checkpoint is only read.
    """
    log_to_terminal()
    catalogue = installed()
    settings = source.checked(catalogue, is_sandbox=sandbox_port is not None)
    log_to_terminal(log_options(settings))
    with listen(settings.server.host, settings.server.port) as listening:
        used = sources(source.file)
        if sandbox_port is None:
            accept_ledger(settings, is_asked=accept_restored_ledger)
            _serve(settings, catalogue, listening, source, Used(used, database_of(settings).name))
            return
        with simulators(catalogue, sandbox_port) as sandbox, with_ledger(settings) as kept:
            keys = SandboxKeys(
                kept.api_key or SecretStr(new_key().text), kept.access_key or SecretStr(new_access_secret())
            )
            wired = with_sandbox(keys.given_to(kept), catalogue.vendors, sandbox)
            ledger = database_of(kept).name + ("" if settings.has_ledger else " (deleted at exit)")
            accept_ledger(wired, is_asked=accept_restored_ledger)
            _serve(wired, catalogue, listening, None, Used(used, ledger, SandboxLines(sandbox.url, *keys.shown)))


@contextmanager
def with_ledger(settings: Settings) -> Iterator[Settings]:
    """Add a temporary ledger to the settings, deleted after the block, unless they have one."""
    if settings.has_ledger:
        yield settings
        return
    with with_temporary_ledger(settings) as kept:
        yield kept


@contextmanager
def with_temporary_ledger(settings: Settings) -> Iterator[Settings]:
    """Replace the ledger in the settings by a temporary one, which is deleted after the block with its checkpoints."""
    with temporary_folder("jobgate-sandbox-") as folder:
        checkpoints = settings.checkpoints.model_copy(update={"file": None, "key": None, "webhook": None})
        yield settings.model_copy(update={"state_folder": folder, "database_url": None, "checkpoints": checkpoints})


def serve_sandbox(port: int) -> None:
    """Serve the simulators alone, in the foreground, until told to stop."""
    log_to_terminal()
    sandbox = sandbox_of(Catalogue.load())
    with listen(HOST, port) as listening:
        banner = sandbox_banner(address(listening), [vendor.endpoint for vendor in sandbox.vendors.values()])
        server(sandbox, ServerOptions(access_log=True, banner=banner)).run(sockets=[listening])


def simulators(catalogue: Catalogue, port: int = 0) -> SandboxServer:
    """A server for the simulators of all installed vendors, as a context manager."""
    from gateway.sandbox.server import SandboxServer

    return SandboxServer(sandbox_of(catalogue), port)


def sandbox_of(catalogue: Catalogue) -> Sandbox:
    """The simulators of all installed vendors, as one ASGI application."""
    from gateway.sandbox.server import Sandbox

    return Sandbox({name: (vendor.adapter, vendor.specification) for name, vendor in catalogue.vendors.items()})


def with_sandbox(settings: Settings, vendors: Mapping[str, Vendor], sandbox: SandboxServer) -> Settings:
    """The settings with a connection to each simulator, and with response validation. Raises ConfigurationError."""
    simulated = {sandbox_name(name, vendors): sandbox_connection(vendor, sandbox) for name, vendor in vendors.items()}
    taken = simulated.keys() & settings.connections.keys()
    if taken:
        raise ConfigurationError(f"connections.{min(taken)}: the sandbox uses this name too. Rename the connection.")
    checked = settings.server.response_validation or ResponseValidation.REFUSE
    return with_server(settings, response_validation=checked).model_copy(
        update={"connections": {**settings.connections, **simulated}}
    )


def sandbox_name(vendor: str, vendors: Iterable[str]) -> str:
    """The name of the connection to a simulator: `azure-sandbox`, or with the whole vendor name if two begin alike."""
    first = vendor.split("-", 1)[0]
    alike = [name for name in vendors if name.split("-", 1)[0] == first]
    return f"{first if len(alike) == 1 else vendor}-sandbox"


def sandbox_connection(vendor: Vendor, sandbox: SandboxServer) -> ConnectionSettings:
    """The connection to a simulator, with the first security scheme of the vendor's document."""
    scheme = next(iter(vendor.specification.api.document.content["security"][0]))
    kind = str(kind_of_settings(vendor.adapter, vendor.specification.api.document, scheme))
    tokens = {"token_url": sandbox.token_url(vendor.name)} if kind == "client-credentials" else {}
    written = {
        "vendor": vendor.name,
        "endpoint": sandbox.endpoint(vendor.name),
        "values": vendor.specification.example_values,
        "authentication": {"kind": kind, "scheme": scheme, **sandbox.credentials(vendor.name).parts(kind), **tokens},
        "plain_http": True,
        "quota": "none",
    }
    return ConnectionSettings.model_validate(written)


def application(
    settings: Settings, source: Source | None, writer: Path | None, metrics: Path | None = None
) -> Application:
    """Make the gateway's ASGI application in a worker process, from the current settings.

    `writer` is the socket of the process that writes for all workers, `metrics` that of the one that gathers from them,
    if there are any.
    """
    log_to_terminal(log_options(settings))
    record_traces(settings)
    reporter = None if metrics is None else Reporter(metrics)
    read = settings if source is None else source.read()
    made = Gateway(read, installed(), writer=writer, metrics=reporter).application
    settle_in()
    return made


def accept_ledger(settings: Settings, *, is_asked: bool) -> None:
    """Accept a restored ledger, if asked to. Raises ConfigurationError."""
    if is_asked:
        prepare_database(settings, accept_restored_ledger=True)


def prepare_database(settings: Settings, *, accept_restored_ledger: bool = False) -> bool:
    """Migrate the ledger, and compare it with its checkpoints, before serving. Raises ConfigurationError.

    Return True if actions are accepted, because the ledger matches its newest checkpoint.
    """
    database = database_of(settings)
    try:
        database.migrate()
        require_a_caller(settings, database)
        checkpoints = checkpoints_of(settings, database, SystemClock())
        if checkpoints is not None and accept_restored_ledger:
            checkpoints.accept()
        if checkpoints is not None:
            checkpoints.begin()
    except UnusableDatabase as error:
        raise ConfigurationError(str(error)) from None
    except LedgerUnavailable as error:
        raise ConfigurationError(f"the ledger's database {database.name} cannot be used: {error.__cause__}") from None
    finally:
        database.dispose()
    return checkpoints is None or checkpoints.outdated is None


def settle_in() -> None:
    """Tune this process for serving.

    The garbage collector ignores all current objects, which stay (some hundred thousand: documents, schemas, modules),
    and runs less often, since most requests leave no reference cycles. To look for garbage among them would take a
    tenth of a second, and find next to none. The limit of open files, which defaults to the needs of a desktop program,
    is raised to the maximum of the system.
    """
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = MOST_FILES if most == resource.RLIM_INFINITY else min(MOST_FILES, most)
    with suppress(ValueError, OSError):  # some systems allow less than they report
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


@contextmanager
def certificate(settings: Settings) -> Iterator[Certificate | None]:
    """The TLS certificate of the settings, for the block, or None. Raises ConfigurationError if it is unusable."""
    served = settings.server
    if served.tls_self_signed:
        with self_signed(served.host) as made:
            yield made
    elif served.tls_cert is None or served.tls_key is None:
        yield None
    else:
        require_usable_certificate(served.tls_cert, served.tls_key)
        yield Certificate(served.tls_cert, served.tls_key)


def _serve(
    settings: Settings,
    catalogue: Catalogue,
    listening: socket.socket,
    source: Source | None,
    used: Used,
) -> None:
    """Serve a gateway with these settings. A reload reads them again from their source."""
    for warning in warnings_of(settings):
        log.warning("%s", warning)
    log.info("settings: %s; ledger: %s", used.settings, used.ledger)
    directory = Gateway(settings, catalogue).directory  # a mistake is reported before the ledger is touched
    if not prepare_database(settings):
        used = replace(used, ledger=f"{used.ledger} (does not match its newest checkpoint: actions are refused)")
    with certificate(settings) as made, metrics_of(settings) as metrics, admin_port(settings, metrics) as admin:
        url = address(listening, "https" if made else "http")
        trust = str(made.certificate) if made and settings.server.tls_self_signed else None
        banner = Banner(url, used, directory, trust, admin, settings.server.has_console).text()
        patience = Patience(settings.server.start_seconds, settings.server.health_seconds)
        options = ServerOptions(settings.server.access_log, settings.limits, banner, made, patience)
        if settings.server.workers > 1:
            with writer_of(settings) as writer:
                _supervise(settings, options, listening, source, writer, metrics)
            return
        record_traces(settings)
        make = partial(Gateway, catalogue=catalogue, metrics=metrics)
        again = partial(not_of_the_sandbox, settings) if source is None else partial(source.checked_again, catalogue)
        served = server(Reloadable(settings, again, make), options)
        settle_in()
        served.run(sockets=[listening])


def _supervise(  # noqa: PLR0913, PLR0917 - what workers share
    settings: Settings,
    options: ServerOptions,
    listening: socket.socket,
    source: Source | None,
    writer: CommonWriter | None,
    metrics: Gatherer | None,
) -> None:
    """Serve with several workers, and with the process that writes for them, if there is one.

    `metrics` gathers from them.
    """
    path, companion = (writer.path, writer.companion) if writer else (None, None)
    reread = None if source is None else partial(check_again, source, settings)
    with gathered_at_socket(metrics) as socket_of_metrics:
        make = partial(application, settings, source, path, socket_of_metrics)
        supervisor(make, replace(options, companion=companion), settings.server.workers, listening, reread).run()


@contextmanager
def writer_of(settings: Settings) -> Iterator[CommonWriter | None]:
    """The process that writes to a SQLite ledger for all workers, not yet started. None: they write themselves.

    Raises ConfigurationError.
    """
    database = database_of(settings)
    if database.file is None:
        yield None
        return
    with common_writer(database.address, log_options(settings)) as writer:
        yield writer


def not_of_the_sandbox(_settings: Settings) -> Settings:
    """Refuse a reload, since the connections to the sandbox are made at start. Raises ConfigurationError."""
    raise ConfigurationError("a gateway with the sandbox cannot reload its settings. Restart it.")


def check_again(source: Source, settings: Settings) -> None:
    """Check that new workers can use the current settings. Raises ConfigurationError."""
    require_unchanged_fixed_settings(settings, source.checked_again(installed()))
