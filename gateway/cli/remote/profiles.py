"""Profiles: the gateways that a user logged in to, each with its API key, in a file that only this user can read."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.cli.exit_codes import ExitCode
from gateway.cli.shared import Failure

URL, KEY, PROFILE = "JOBGATE_URL", "JOBGATE_KEY", "JOBGATE_PROFILE"
"""The environment variables with a gateway's address, with the API key for it, and with the name of a profile."""
DEFAULT = "default"
"""The profile of those who name none."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Profile:
    """A gateway, and the key for it. `certificate` is a PEM file to trust; empty: those that are trusted anyway."""

    url: str
    key: str = field(repr=False)
    certificate: str = ""


def chosen(name: str | None) -> Profile:
    """The profile with a name, else the one of the environment, else the default one. Raises Failure without any.

    A key is only ever sent to the address that it stands beside, so the environment has both or neither.
    """
    url, key = os.environ.get(URL), os.environ.get(KEY)
    if name is None and (url or key):
        if not (url and key):
            raise Failure(f"{KEY if url else URL} is not set: set both {URL} and {KEY}, or neither", ExitCode.USAGE)
        return Profile(url, key)
    wanted = name or os.environ.get(PROFILE) or DEFAULT
    known = profiles()
    if wanted not in known:
        where = f" --profile {wanted}" if wanted != DEFAULT else ""
        raise Failure(
            f"there is no profile {wanted} in {profiles_file()}. Log in with `jobgate login{where}`, or set {URL} and "
            f"{KEY}.",
            ExitCode.USAGE,
        )
    return known[wanted]


def profiles() -> Mapping[str, Profile]:
    """Every profile by name. Raises Failure if the file cannot be used, or if others can read it."""
    file = profiles_file()
    try:
        with file.open("rb") as opened:
            if os.name == "posix" and os.fstat(opened.fileno()).st_mode & OTHERS:
                raise Failure(f"other users can read the keys in {file}. Run: chmod 600 {file}", ExitCode.USAGE)
            return {name: Profile(**each) for name, each in tomllib.load(opened).items()}
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, TypeError):
        raise Failure(f"{file} is not a file of profiles. Delete it, and log in again.", ExitCode.USAGE) from None


def save(name: str, profile: Profile) -> Path:
    """Write a profile beside the others. The file is replaced as a whole, and nobody else can ever read it."""
    import tomli_w

    file = profiles_file()
    kept = {**profiles(), name: profile}
    written = {each: {key: value for key, value in asdict(kept[each]).items() if value} for each in sorted(kept)}
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        tomli_w.dump(written, opened)
    new.replace(file)
    return file


def profiles_file() -> Path:
    """The file of profiles, in the user's folder for configuration."""
    from platformdirs import user_config_path

    return user_config_path("jobgate", appauthor=False) / "profiles.toml"
