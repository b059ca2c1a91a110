"""Environment variables: those that are settings, and those that only look like one."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator

from gateway.domain.suggestions import closest
from gateway.settings.files import OF_COMMANDS, VARIABLE
from gateway.settings.tree import keys

PREFIX = "JOBGATE_"
BELOW = "__"

_ORCHESTRATOR = re.compile(
    r"JOBGATE(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""The variables that Kubernetes sets for a Service whose name begins with `jobgate`."""
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def variable(key: str) -> str:
    """The environment variable of a key: `JOBGATE_SERVER__PORT` for `server.port`."""
    return f"{PREFIX}{key.replace('.', BELOW).upper()}"


def set_variables() -> list[str]:
    """The names of the environment variables that set something, sorted."""
    return [name for name in _named() if _is_setting(name)]


def unknown_variables(referred_to: Collection[str]) -> Iterator[str]:
    """Yield a mistake for each variable that begins with `JOBGATE_` but is not a setting, with a suggestion.

    Variables to which a secret refers, as in `env:JOBGATE_DESK_KEY`, are known, and so are those of Kubernetes.
    """
    for name in _named():
        if name in {VARIABLE, *OF_COMMANDS, *referred_to} or _is_setting(name) or _is_an_orchestrators(name):
            continue
        likely = suggested_key(name.removeprefix(PREFIX).lower().replace(BELOW, "."))
        mend = f"did you mean {variable(likely)}?" if likely else "docs/limits.md lists the settings"
        yield f"{name}: this environment variable is not a setting; {mend}"


def suggested_key(written: str) -> str | None:
    """The key that was probably meant: the same name in another section, or a similar one. None without either."""
    name = written.rpartition(".")[2]
    elsewhere = [key for key in keys() if key.rpartition(".")[2] == name and key != written]
    return elsewhere[0] if len(elsewhere) == 1 else closest(written, keys())


def _named() -> list[str]:
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX))


def _is_setting(name: str) -> bool:
    """True if a variable is read as a setting. The part after `__` is validated later, with all settings."""
    first, below, _ = name.upper().removeprefix(PREFIX).lower().partition(BELOW)
    return first in keys() and (not below or _has_keys(first))


def _has_keys(first: str) -> bool:
    return first in {"connections", "callers", "approvals", "windows"} or any(
        key.startswith(f"{first}.") for key in keys()
    )


def _is_an_orchestrators(name: str) -> bool:
    return bool(_ORCHESTRATOR.fullmatch(name)) or (
        name.endswith("_PORT") and _ADDRESS.match(os.environ[name]) is not None
    )
