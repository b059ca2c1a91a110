"""The rules for settings with which a gateway can start, for `serve`, `config check` and reloads alike."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.app import Catalogue, Gateway, database_of
from gateway.app.databases import checkpoints_of, signer_of
from gateway.app.gateway import callers_in, policy_of, value_mistakes
from gateway.approvals.satisfiability import Population
from gateway.domain.access import Caller
from gateway.domain.approvals import matches
from gateway.domain.clock import SystemClock
from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.domain.suggestions import did_you_mean
from gateway.edge.hosts import is_loopback
from gateway.ledger.addresses import UnusableDatabase
from gateway.ledger.database import Database, head, storage_failures
from gateway.ledger.keys import KeyStore
from gateway.ledger.memory import MemoryLedger
from gateway.ledger.notes import UnusableKey
from gateway.serving.sockets import listen
from gateway.settings.reading import Reading, read, refuse
from gateway.settings.scopes import scope_mistakes, scope_warnings
from gateway.settings.settings import ConfigurationError, Settings
from gateway.startup.telemetry import REMEDY, is_asked, is_installed

SANDBOX_KEY = "only-for-trying-out"
SANDBOX_ACCESS_KEY = "b25seS1mb3ItdHJ5aW5nLW91dA=="
"""The API key and the access key in the documentation, for the sandbox only. The second is the first in Base64."""


@dataclass(frozen=True)
class Subject:
    """Settings under check, and their purpose. `wrong` has the sections with known mistakes."""

    file: Path | None
    settings: Settings
    catalogue: Catalogue
    is_sandbox: bool
    is_offline: bool
    wrong: frozenset[str]


def checked(
    file: Path | None,
    options: Mapping[str, object],
    catalogue: Catalogue,
    *,
    is_sandbox: bool = False,
    is_offline: bool = False,
) -> Settings:
    """Read and check the settings. Raises ConfigurationError, which lists every mistake.

    Offline, the ledger is not checked: perhaps only the gateway's machine can reach its database.
    """
    reading = read(file, options)
    refuse(file, mistakes_in(reading, catalogue, is_sandbox=is_sandbox, is_offline=is_offline))
    return reading.settings


def mistakes_in(reading: Reading, catalogue: Catalogue, *, is_sandbox: bool, is_offline: bool) -> list[str]:
    """All mistakes in the settings, each with its remedy. Of several at one key, only the first is reported."""
    found = list(reading.mistakes)
    keys = {_key(each) for each in found}
    wrong = frozenset(each.partition(".")[0] for each in keys)
    subject = Subject(reading.file, reading.settings, catalogue, is_sandbox, is_offline, wrong)
    for rule in RULES:
        found += [each for each in rule(subject) if _key(each) not in keys]
    return found


def warnings_of(settings: Settings) -> Iterator[str]:
    """Yield a warning for each valid setting that is probably a mistake."""
    for name, caller in settings.callers.items():
        for warning in scope_warnings(caller.scopes, settings.connections):
            yield f"callers.{name}.scopes: {warning}"
    if is_asked(settings) and not is_installed():
        yield f"no traces are sent, although the environment names a collector; {REMEDY}"
    for section, rules in (("approvals", settings.approvals), ("windows", settings.windows)):
        for name, rule in rules.items():
            for number, pattern in enumerate(rule.connections):
                if not any(matches((pattern,), each) for each in settings.connections):
                    mend = did_you_mean(pattern, settings.connections)
                    place = f"{section}.{name}.connections.{number}"
                    yield f"{place}: {pattern} matches no connection in the settings; {mend}"


def ledger_warnings(settings: Settings) -> Iterator[str]:
    """Yield a warning if a gateway would refuse actions, because the ledger is older than its newest checkpoint.

    Nothing is created. What keeps the ledger from being read is a mistake, which `ledger_can_be_used` reports.
    """
    with (
        suppress(ConfigurationError, UnusableDatabase, UnusableKey, LedgerUnavailable, OSError),
        opened(settings) as known,
    ):
        checkpoints = checkpoints_of(settings, known, SystemClock())
        is_readable = known.exists and known.version() == head()
        mismatch = checkpoints.mismatch() if checkpoints is not None and is_readable else None
        if mismatch is not None:
            yield mismatch


def _key(mistake: str) -> str:
    """The key of a mistake."""
    return mistake.partition(":")[0].partition(" ")[0]


def connections_can_work(subject: Subject) -> Iterator[str]:
    """Yield the mistakes in the values of a connection; or that it contradicts its vendor's document otherwise."""
    for name, each in subject.settings.connections.items():
        vendor = subject.catalogue.vendors.get(each.vendor)
        mistakes = [] if vendor is None else list(value_mistakes(name, vendor, each))
        yield from mistakes
        if mistakes:
            continue
        alone = subject.settings.model_copy(update={"connections": {name: each}})
        yield from _mistake_of(partial(Gateway, alone, subject.catalogue, ledger=MemoryLedger()))


def scopes_are_known(subject: Subject) -> Iterator[str]:
    """Yield a mistake for each unknown scope."""
    for name, caller in subject.settings.callers.items():
        for number, scope in enumerate(caller.scopes):
            yield from (f"callers.{name}.scopes.{number}: {each}" for each in scope_mistakes([scope]))


def rules_name_actions(subject: Subject) -> Iterator[str]:
    """Yield a mistake for each pattern of actions that matches none, in policies and windows."""
    known = list(subject.catalogue.acting_scopes)
    settings = subject.settings
    for section, rules in (("approvals", settings.approvals), ("windows", settings.windows)):
        for name, rule in rules.items():
            for number, pattern in enumerate(rule.actions):
                if not any(matches((pattern,), each) for each in known):
                    mend = did_you_mean(pattern, known)
                    yield f"{section}.{name}.actions.{number}: {pattern} matches no action; {mend}"


def policies_can_be_met(subject: Subject) -> Iterator[str]:
    """Yield a mistake for each policy under which a batch could wait for an approval that nobody can give.

    The owners behind the tokens of an issuer are not known, so with an issuer nothing is said.
    """
    settings = subject.settings
    if not settings.approvals or settings.openid or subject.is_offline or subject.wrong & {"callers", "approvals"}:
        return
    operations = subject.catalogue.api.operations
    population = Population(
        (*callers_in(settings), *stored_callers(subject)),
        tuple(settings.connections),
        subject.catalogue.acting_scopes,
        frozenset(operations["createBatch"].scopes),
        frozenset(operations["getApproval"].scopes) | frozenset(operations["approve"].scopes),
    )
    for name, policy in settings.approvals.items():
        mistake = population.mistake(policy_of(name, policy))
        if mistake is not None:
            yield f"approvals.{name}.approvers: {mistake}"


def stored_callers(subject: Subject) -> tuple[Caller, ...]:
    """The callers of the valid keys in the key store; none if it cannot be read, which another rule reports."""
    if subject.is_sandbox and not subject.settings.has_ledger:
        return ()
    now = SystemClock().now()
    with suppress(ConfigurationError, UnusableDatabase, LedgerUnavailable), opened(subject.settings) as known:
        keys = KeyStore(known).all() if known.exists and known.version() == head() else ()
        return tuple(key.caller for key in keys if key.is_good(now))
    return ()


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database of the ledger, for a block. Raises ConfigurationError."""
    database = database_of(settings)
    try:
        yield database
    finally:
        database.dispose()


def secrets_are_private(subject: Subject) -> Iterator[str]:
    """Yield a mistake if every user can read a file with secrets."""
    if subject.file is not None:
        yield from _mistake_of(partial(require_private_file, subject.file, subject.settings))


def access_is_protected(subject: Subject) -> Iterator[str]:
    """Yield a mistake if keys would travel without TLS, or are public."""
    yield from _mistake_of(partial(require_protected_access, subject.settings, is_sandbox=subject.is_sandbox))


def certificate_can_be_used(subject: Subject) -> Iterator[str]:
    """Yield a mistake if the certificate or its key is invalid or unreadable."""
    served = subject.settings.server
    if served.tls_cert is not None and served.tls_key is not None:
        yield from _mistake_of(partial(require_usable_certificate, served.tls_cert, served.tls_key))


def address_is_local(subject: Subject) -> Iterator[str]:
    """Yield a mistake if no port of the address can be listened on."""
    try:
        listen(subject.settings.server.host, 0).close()
    except OSError as error:
        yield f"server.host: {error}"


def ledger_can_be_used(subject: Subject) -> Iterator[str]:
    """Yield a mistake if the ledger cannot be opened, or there is no caller. Nothing is created or changed."""
    settings = subject.settings
    if subject.is_offline or (subject.is_sandbox and not settings.has_ledger):
        return
    try:
        database = database_of(settings)
    except ConfigurationError as error:
        yield str(error)
        return
    try:
        yield from _mistakes_in_ledger(database, subject)
    except UnusableDatabase as error:
        yield str(error)
    except LedgerUnavailable as error:
        yield f"the ledger {database.name} cannot be used: {error.__cause__}"
    finally:
        database.dispose()


def _mistakes_in_ledger(database: Database, subject: Subject) -> Iterator[str]:
    if database.file is not None and not database.exists and not _can_be_made(database.file):
        yield f"the ledger's file {database.file} cannot be made. Set state_folder to a writable folder."
    with storage_failures(Outcome.NOT_SENT):
        version = database.version() if database.exists else None
    is_readable = version in {None, head()}
    if is_readable and not subject.is_sandbox and not subject.wrong & {"api_key", "callers", "openid"}:
        yield from _mistake_of(partial(require_a_caller, subject.settings, database if version else None))


def checkpoints_can_be_kept(subject: Subject) -> Iterator[str]:
    """Yield a mistake if the checkpoint key cannot sign, or the file cannot be written. Nothing is created."""
    settings, wanted = subject.settings, subject.settings.checkpoints
    if not wanted.enabled or (subject.is_sandbox and not settings.has_ledger):
        return
    if wanted.key is not None:
        try:
            signer_of(wanted.key, Path())
        except UnusableKey as error:
            yield f"checkpoints.key: {error}"
    file = wanted.file
    if file is not None and not (os.access(file, os.W_OK) if file.exists() else _can_be_made(file)):
        yield f"checkpoints.file: {file} cannot be written. Set it to a file that this user can write."


def _can_be_made(file: Path) -> bool:
    """True if this user can create a file and its folders."""
    there = next(each for each in file.absolute().parents if each.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def traces_can_be_sent(subject: Subject) -> Iterator[str]:
    """Yield a mistake if the settings ask for traces, and the libraries for them are missing."""
    if subject.settings.traces.endpoint is not None and not is_installed():
        yield f"traces.endpoint: the libraries that send traces are missing; {REMEDY}"


Rule = Callable[[Subject], Iterable[str]]
RULES: tuple[Rule, ...] = (
    connections_can_work,
    scopes_are_known,
    rules_name_actions,
    policies_can_be_met,
    secrets_are_private,
    access_is_protected,
    certificate_can_be_used,
    address_is_local,
    ledger_can_be_used,
    checkpoints_can_be_kept,
    traces_can_be_sent,
)
"""All rules, in the order in which mistakes are reported."""


def _mistake_of(attempt: Callable[[], object]) -> Iterator[str]:
    """Yield the mistake that an attempt raises, if any."""
    try:
        attempt()
    except ConfigurationError as error:
        yield str(error)


def require_private_file(file: Path, settings: Settings) -> None:
    """Raise ConfigurationError if every user can read a settings file that contains secrets."""
    if not file.stat().st_mode & stat.S_IROTH:
        return
    text = file.read_text("utf-8")
    if any(secret.get_secret_value() in text for secret in settings.secrets if secret.written is None):
        raise ConfigurationError(
            f"{file}: contains secrets, and every user of this machine can read it. Run chmod 600 {file}, or write "
            "references such as env:NAME."
        )


def require_protected_access(settings: Settings, *, is_sandbox: bool = False) -> None:
    """Raise ConfigurationError without HTTPS on an address that is not loopback, or with a public API key."""
    served = settings.server
    if not (is_loopback(served.host) or served.is_https or served.plain_http):
        raise ConfigurationError(
            f"server.host: {served.host} is not a loopback address, and without HTTPS anybody on the network path "
            "could read the keys. Set tls_cert and tls_key; or plain_http = true, behind a proxy that terminates TLS."
        )
    for secret in () if is_sandbox else settings.secrets:
        if (known := secret.get_secret_value()) in {SANDBOX_KEY, SANDBOX_ACCESS_KEY}:
            raise ConfigurationError(
                f"{known} is the key in the documentation, so everybody knows it; make one with `jobgate keys create`."
            )


def require_a_caller(settings: Settings, database: Database | None) -> None:
    """Raise ConfigurationError if neither the settings nor the database have a valid caller."""
    if settings.api_key or settings.callers or settings.openid:
        return
    now = SystemClock().now()
    if database is None or not any(key.is_good(now) for key in KeyStore(database).all()):
        raise ConfigurationError(
            "There is no API key, so nobody could call. Make one with `jobgate keys create NAME --scope '*'`, or set "
            "`api_key`, `callers` or `openid`."
        )


def require_usable_certificate(chain: Path, key: Path) -> None:
    """Raise ConfigurationError if certificate and key cannot be used together, or every user can read the key."""
    try:
        if key.stat().st_mode & stat.S_IROTH:
            raise ConfigurationError(f"server.tls_key: every user of this machine can read it. Run chmod 600 {key}.")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    except ssl.SSLError as error:
        raise ConfigurationError(f"server.tls_cert, tls_key: not a certificate with its key: {error.reason}") from None
    except OSError as error:
        raise ConfigurationError(f"server.tls_cert, tls_key: {error.filename or chain} cannot be read") from None
