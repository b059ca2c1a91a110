"""A lazy stand-in for `rfc3987_syntax`, which is then loaded on first use instead of on import.

jsonschema (4.26.0), which Connexion loads, imports it for a format check if it is installed, as with our development
tools. The import compiles a grammar for a second (1.1.0), in every process. Jobgate does not use that check.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

NAME = "rfc3987_syntax"


class LateModule(ModuleType):
    """Stands in for the module, and loads it on the first use."""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the real module."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(), name)

    @staticmethod
    def is_valid_syntax(term: str, value: str) -> bool:
        """True if a value matches a term of RFC 3987. A function of its own, since `from … import` is not a use yet."""
        return bool(_real().is_valid_syntax(term, value))


def _real() -> ModuleType:
    if isinstance(sys.modules.get(NAME), LateModule):
        del sys.modules[NAME]
    return import_module(NAME)


def install() -> None:
    """Register the stand-in if the module is installed and not loaded yet."""
    if NAME not in sys.modules and find_spec(NAME) is not None:
        sys.modules[NAME] = LateModule(NAME)
