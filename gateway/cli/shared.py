"""Common parts of the commands: settings, ledger, failures, and the advice in messages.

Exit codes: 0 success; 1 a check failed, or the settings cannot be used; 2 wrong usage, or the ledger cannot be used. So
`audit verify` distinguishes a broken chain (1) from an unreadable one (2).
"""

from __future__ import annotations

import errno
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from gateway.ledger.database import Database
    from gateway.settings.settings import Settings

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The settings file. Default: JOBGATE_CONFIG, else jobgate.toml in this folder.",
        dir_okay=False,
    ),
]

LEDGER_UNUSABLE = 2
"""Exit code if the ledger cannot be used."""

NOT_THE_LEDGERS = (
    *("connections.", "connections:", "callers.", "callers:", "openid.", "openid:", "server.", "server:"),
    *("approvals.", "approvals:", "break_glass."),
    *("api_key:", "access_key:", "checkpoints.webhook:"),
)
"""Beginnings of mistakes that commands about the ledger ignore. A misspelt `state_folder` is not among them."""
PRIVATE_KEY = "checkpoints.key:"
"""Beginning of mistakes that only commands which sign checkpoints report."""

_file: ContextVar[Path | None] = ContextVar("file", default=None)
"""The settings file of this command."""

_ADVICE = re.compile(r"`jobgate (?:serve|keys|config|audit|connections|ledger)\b[^`]*`")
"""Commands in a message that accept `--config`."""


class Failure(Exception):
    """A command failed. The message says why, and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        """Fail with an exit code."""
        super().__init__(message)
        self.exit_code = exit_code


class Commands(TyperGroup):
    """The command group. A failure prints one message on standard error, no traceback, and sets the exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        _file.set(None)
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            warn(str(error))
            raise typer.Exit(code) from None


def exit_code(error: Exception) -> int | None:
    """The exit code for an expected error; None for a defect of the program."""
    from gateway.settings.settings import ConfigurationError
    from gateway.specs.document import SpecificationError

    if isinstance(error, Failure):
        return error.exit_code
    if isinstance(error, OSError):
        return None if error.errno == errno.EPIPE else 1
    return 1 if isinstance(error, ConfigurationError | SpecificationError) else None


def warn(text: str) -> None:
    """Print a message on standard error. The commands in it get the same `--config`."""
    typer.echo(f"jobgate: {with_same_settings(text)}", err=True)


def with_same_settings(text: str) -> str:
    """Add the settings file of this command to the commands in a message."""
    file = _file.get()
    if file is None:
        return text
    option = f" --config {shlex.quote(str(file))}"
    return _ADVICE.sub(lambda match: match[0] if "--config" in match[0] else f"{match[0][:-1]}{option}`", text)


def chosen_file(config: Path | None) -> Path | None:
    """Find the settings file of this command, and remember it for messages."""
    from gateway.settings.files import settings_file

    file = settings_file(config)
    _file.set(file)
    return file


def settings_of(config: Path | None, *, with_ledger: bool = True) -> Settings:
    """Load the settings of this command, and print their sources. Raises ConfigurationError."""
    from gateway.settings.settings import load

    file = chosen_file(config)
    settings = load(file)
    tell_used(file, settings, with_ledger=with_ledger)
    return settings


def ledger_settings_of(config: Path | None, *, is_signing: bool = False) -> Settings:
    """Load the settings of a command that only uses the ledger: no vendor secrets, and no key unless `is_signing`.

    Mistakes in other settings are ignored, with a warning. Raises ConfigurationError for the rest.
    """
    from gateway.settings.reading import read, refuse

    file = chosen_file(config)
    reading = read(file, {})
    unneeded = NOT_THE_LEDGERS if is_signing else (*NOT_THE_LEDGERS, PRIVATE_KEY)
    refuse(file, [each for each in reading.mistakes if not each.startswith(unneeded)])
    tell_used(file, reading.settings)
    if passed_over := len(reading.mistakes):
        mistakes = counted(passed_over, "mistake")
        warn(f"warning: {mistakes} in settings that are not needed here; `jobgate config check` names all")
    return reading.settings


def tell_used(file: Path | None, settings: Settings, *, with_ledger: bool = True) -> None:
    """Print the sources of the settings, and the ledger, on standard error. Raises ConfigurationError."""
    from gateway.app.databases import database_of
    from gateway.settings.files import sources

    ledger = f"; ledger {database_of(settings).name}" if with_ledger else ""
    typer.echo(f"Settings: {sources(file)}{ledger}", err=True)


@contextmanager
def opened(config: Path | None) -> Iterator[Database]:
    """The database of the ledger, closed after the block. Raises ConfigurationError and Failure."""
    from gateway.app.databases import database_of

    database = database_of(ledger_settings_of(config))
    with ledger_faults_named(database):
        yield database


@contextmanager
def ledger_faults_named(database: Database) -> Iterator[None]:
    """Close the database after the block. Raises Failure if it cannot be used."""
    from gateway.domain.errors import LedgerUnavailable
    from gateway.ledger.addresses import UnusableDatabase

    try:
        yield
    except LedgerUnavailable as error:
        raise Failure(f"the ledger {database.name} cannot be used: {error.__cause__}", LEDGER_UNUSABLE) from None
    except UnusableDatabase as error:
        raise Failure(str(error), LEDGER_UNUSABLE) from None
    finally:
        database.dispose()


def in_utf8(stream: object) -> None:
    """Make a stream write UTF-8. Streams of tests, which are not files, already do."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8")


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 document`, `2 documents`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
