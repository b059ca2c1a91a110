"""Scopes for stock Connexion, which has no check for OpenID Connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connexion.security import AbstractSecurityHandler


class Scopes(AbstractSecurityHandler):
    """Allow everything to the only caller."""

    def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Callable[..., dict[str, str]]:  # noqa: ARG002 - Connexion names them
        """The check of a request."""
        return lambda _request: {"sub": "bench"}


SECURITY_MAP = {"openIdConnect": Scopes}
"""The handler to be added to Connexion's own."""
