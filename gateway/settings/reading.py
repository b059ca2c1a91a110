"""Settings as they are read: what can be used of them, and every mistake in them, all in one run.

Where something is wrong, the rest is still read, so that what only the vendors' documents show to be wrong is told in
the same run.
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
}
"""What takes the place of a value that is missing or wrong while the rest is looked at."""


@dataclass(frozen=True)
class Reading:
    """Settings as they were read. With mistakes, the settings are what can be looked at all the same."""

    file: Path | None
    settings: Settings
    mistakes: tuple[str, ...] = ()

    def good(self) -> Settings:
        """The settings, where there is no mistake. Raises ConfigurationError."""
        refuse(self.file, self.mistakes)
        return self.settings


def refuse(file: Path | None, mistakes: Collection[str]) -> None:
    """Refuse settings that have mistakes. Raises ConfigurationError, which lists them all."""
    if mistakes:
        sources = "the environment" if file is None else f"{file} or the environment"
        raise ConfigurationError("\n  ".join([f"the settings in {sources} cannot be used:", *mistakes]))


def read(file: Path | None, options: Mapping[str, object]) -> Reading:
    """Read the settings. Raises ConfigurationError where there is nothing that could be read."""
    if file is not None and not file.is_file():
        raise ConfigurationError(f"{file}: there is no such file.")
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
    """The settings with a command's options in `[server]`, None setting nothing; or as they are, and mistakes."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        server = ServerSettings.model_validate({**dict(settings.server), **given})
    except ValidationError as error:
        return settings, mistakes_of(error, "server")
    return settings.model_copy(update={"server": server}), []


def _validated(file: Path | None, data: dict[str, Any]) -> Settings:
    """The settings; `data` is filled with all that was read, before it is looked at. Raises ValidationError."""

    class Read(Settings):
        """The settings of one reading."""

        @model_validator(mode="before")
        @classmethod
        def _keep(cls, values: dict[str, Any]) -> dict[str, Any]:
            data.update(deepcopy(values))
            return values

    Read.file = file
    return _importable(Read())


class _Given(Settings):
    """Settings that have been read already: no file and no environment."""

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
    """The settings as of the class that others can import: they travel to worker processes."""
    return Settings.model_construct(**{name: getattr(read, name) for name in Settings.model_fields})


def _usable(data: dict[str, Any], mistakes: list[Mistake]) -> Settings:
    """What can be used: without what is wrong, or with a stand-in; failing that, without all that is around it.

    Mistakes that show only then are added to the others.
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
    """Whether a mistake is there because another was mended; what a section says of its members holds all the same."""
    depth = len(late.path) if late.type == "value_error" else min(len(late.path), len(known.path))
    return late.path[:depth] == known.path[:depth] and (late.type != "value_error" or late.path == known.path)


def _mend(data: dict[str, Any], mistake: Mistake) -> None:
    *above, name = mistake.path or ("",)
    table = _at(data, above)
    if isinstance(table, dict):
        if name in STAND_INS:
            table[name] = STAND_INS[name]
        elif isinstance(table.get(name), dict) and mistake.type == "value_error" and "plain_http" not in table[name]:
            table[name]["plain_http"] = True
        else:
            table.pop(name, None)


def _drop(data: dict[str, Any], mistake: Mistake) -> None:
    """Leave out the connection, the caller or the setting that is wrong."""
    first, *below = mistake.path or ("",)
    if first in {"connections", "callers"} and below and isinstance(data.get(first), dict):
        data[first].pop(below[0], None)
    else:
        data.pop(first, None)


def _drop_all(data: dict[str, Any], mistake: Mistake) -> None:
    data.pop(mistake.path[0] if mistake.path else "", None)


def _at(data: Any, path: Iterable[str]) -> Any:
    """What is at a path, None where there is nothing."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _referred_to(data: Any) -> frozenset[str]:
    """The environment variables in which secrets are kept, by references such as `env:DESK_KEY`."""
    return frozenset(text.removeprefix("env:") for text in _texts(data) if text.startswith("env:"))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list | tuple):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _texts(each)
