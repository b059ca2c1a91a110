"""Read the settings, and collect every mistake in one run.

Settings with mistakes are repaired as far as possible, so that the checks against the vendors' documents can run too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from gateway.settings.environment import unknown_variables
from gateway.settings.mistakes import Mistake, mistakes_of
from gateway.settings.settings import ConfigurationError, ServerSettings, Settings

STAND_INS: Mapping[str, Any] = {
    "endpoint": "https://stand-in.invalid",
    "token_url": "https://stand-in.invalid",
    "client_id": "stand-in",
    "secret": "stand-in",
    "client_secret": "stand-in",
    "username": "stand-in",
    "password": "stand-in",
    "key": "stand-in",
    "access_key_id": "stand-in",
    "secret_access_key": "stand-in",
}
"""Placeholders for missing or invalid values of a connection, with which the rest can be checked."""


@dataclass(frozen=True)
class Reading:
    """The settings as read, and the mistakes in them. With mistakes, the settings are repaired, for checks only."""

    file: Path | None
    settings: Settings
    mistakes: tuple[str, ...] = ()

    def good(self) -> Settings:
        """Return the settings. Raises ConfigurationError if there are mistakes."""
        refuse(self.file, self.mistakes)
        return self.settings


def refuse(file: Path | None, mistakes: Collection[str]) -> None:
    """Raise ConfigurationError, which lists all mistakes, if there are any."""
    if mistakes:
        sources = "the environment" if file is None else f"{file} or the environment"
        raise ConfigurationError("\n  ".join([f"the settings in {sources} have mistakes:", *mistakes]))


def read(file: Path | None, options: Mapping[str, object]) -> Reading:
    """Read the settings. Raises ConfigurationError if the file does not exist or is not TOML."""
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{file}: this file does not exist.")
    data: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    try:
        settings = _validated(file, data)
    except ValidationError as error:
        mistakes = mistakes_of(error)
        settings = _usable(data, mistakes)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read as TOML: {error}") from None
    settings, more = with_options(settings, options)
    mistakes += more
    return Reading(file, settings, (*map(str, mistakes), *unknown_variables(_referred_to(data))))


def with_options(settings: Settings, options: Mapping[str, object]) -> tuple[Settings, list[Mistake]]:
    """Set the options of a command, except None, in `[server]`. With mistakes, the settings are returned unchanged."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        server = ServerSettings.model_validate({**dict(settings.server), **given})
    except ValidationError as error:
        return settings, mistakes_of(error, "server")
    return settings.model_copy(update={"server": server}), []


def _validated(file: Path | None, data: dict[str, Any]) -> Settings:
    """Validate the settings; `data` receives the input before validation. Raises ValidationError."""

    class Read(Settings):
        """The settings of one run, with its own file."""

        @model_validator(mode="before")
        @classmethod
        def _keep(cls, values: dict[str, Any]) -> dict[str, Any]:
            data.update(deepcopy(values))
            return values

    Read.file = file
    return _importable(Read())


class _Given(Settings):
    """Settings from arguments alone, without file and environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The arguments alone."""
        return (init_settings,)


def _importable(read: Settings) -> Settings:
    """The same settings as an instance of `Settings`, which can be pickled for worker processes."""
    return Settings.model_construct(**{name: getattr(read, name) for name in Settings.model_fields})


def _usable(data: dict[str, Any], mistakes: list[Mistake]) -> Settings:
    """Repair the settings: replace or remove each invalid value, and if that fails, everything around it.

    Mistakes that show only after a repair are added to `mistakes`.
    """
    latest: Iterable[Mistake] = mistakes
    for mend in (_mend, _mend, _drop, _drop_all):
        for mistake in latest:
            mend(data, mistake)
        try:
            return _importable(_Given(**data))
        except ValidationError as error:
            latest = mistakes_of(error)
            mistakes += [each for each in latest if not any(_follows(each, known) for known in mistakes)]
    return _importable(_Given())


def _follows(late: Mistake, known: Mistake) -> bool:
    """True if a late mistake is only the effect of repairing a known one, at the same key, or at one above or below it.

    The mistake of a validator over a whole section is such an effect only at the same key.
    """
    depth = len(late.path) if late.type == "value_error" else min(len(late.path), len(known.path))
    return late.path[:depth] == known.path[:depth] and (late.type != "value_error" or late.path == known.path)


def _mend(data: dict[str, Any], mistake: Mistake) -> None:
    *above, name = mistake.path or ("",)
    table = _at(data, above)
    if isinstance(table, dict):
        if name in STAND_INS and above[:1] == ["connections"]:
            table[name] = STAND_INS[name]
        elif isinstance(table.get(name), dict) and mistake.type == "value_error" and "plain_http" not in table[name]:
            table[name]["plain_http"] = True
        else:
            table.pop(name, None)


def _drop(data: dict[str, Any], mistake: Mistake) -> None:
    """Remove the invalid connection, caller, policy or window, or the whole section."""
    first, *below = mistake.path or ("",)
    if first in {"connections", "callers", "approvals", "windows"} and below and isinstance(data.get(first), dict):
        data[first].pop(below[0], None)
    else:
        data.pop(first, None)


def _drop_all(data: dict[str, Any], mistake: Mistake) -> None:
    data.pop(mistake.path[0] if mistake.path else "", None)


def _at(data: Any, path: Iterable[str]) -> Any:
    """The value at a path, or None."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _referred_to(data: Any) -> frozenset[str]:
    """The environment variables to which secrets refer, as in `env:DESK_KEY`."""
    return frozenset(text.removeprefix("env:") for text in _texts(data) if text.startswith("env:"))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list | tuple):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _texts(each)
