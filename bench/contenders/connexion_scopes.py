"""What a caller may do, for stock Connexion, which checks no scopes of OpenID Connect by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connexion.security import AbstractSecurityHandler


class Scopes(AbstractSecurityHandler):
    """The one caller may do everything."""

    def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Callable[..., dict[str, str]]:  # noqa: ARG002 - Connexion names them
        """The check of a request, as Connexion asks for it."""
        return lambda _request: {"sub": "bench"}


SECURITY_MAP = {"openIdConnect": Scopes}
"""Connexion's handlers of its own, and this one."""
