"""A stand-in for `rfc3987_syntax`, which is loaded when it is used instead of when it is imported.

jsonschema (4.26.0), which Connexion loads, imports it for a check of formats where some package has installed it, as
our development tools do. It then compiles a grammar for a second (1.1.0), in every process. Nothing here uses that
check.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

NAME = "rfc3987_syntax"


class LateModule(ModuleType):
    """The module, as soon as anything of it is used."""

    def __getattr__(self, name: str) -> Any:
        """Something of the real module."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)

    @staticmethod
    def is_valid_syntax(term: str, value: str) -> bool:
        """Whether a value is what RFC 3987 calls so; importing it by its name is no use yet."""
        return bool(_real().is_valid_syntax(term, value))


def _real() -> ModuleType:
    if isinstance(sys.modules.get(NAME), LateModule):
        del sys.modules[NAME]
    return import_module(NAME)


def install() -> None:
    """Put the stand-in into the place of the module, where there is one that is not loaded yet."""
    if NAME not in sys.modules and find_spec(NAME) is not None:
        sys.modules[NAME] = LateModule(NAME)
