"""Routing of requests to operations by the raw path, before percent-decoding.

Connexion routes by the decoded path, where an encoded colon in an id looks like the colon before a verb. Here the two
differ: `/jobs/a%3Acancel` is the job `a:cancel`, and `/jobs/a:cancel` cancels the job `a`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.specs.operations import Api, Operation

TOKEN = "token"  # noqa: S105 - the name of an operation, not a token
"""Name of the token endpoint in logs and faults; documents have no operationId for it."""


class Routes:
    """The routes of one vendor, below its prefix."""

    def __init__(self, api: Api, token_paths: Collection[str]) -> None:
        """Route to the document's operations and to the token endpoints."""
        self.base_path = base_path(api.document.content)
        self._api = api
        self._token_paths = token_paths

    def operation(self, method: str, raw_path: str) -> Operation | None:
        """The documented operation of a request, None if there is none."""
        return self._api.operation_at("GET" if method == "HEAD" else method, self._below_base(raw_path))

    def is_token_request(self, method: str, raw_path: str) -> bool:
        """True if a request is for a token endpoint."""
        return method == "POST" and raw_path in self._token_paths

    def methods(self, raw_path: str) -> tuple[str, ...]:
        """The methods that a path accepts; empty for an unknown path."""
        return ("POST",) if raw_path in self._token_paths else self._api.methods_at(self._below_base(raw_path))

    def _below_base(self, raw_path: str) -> str:
        """The path below the document's server; empty, which matches no route, for a path elsewhere."""
        return raw_path.removeprefix(self.base_path) if raw_path.startswith(f"{self.base_path}/") else ""


def base_path(content: Mapping[str, Any]) -> str:
    """The path of the first server of a document, without a slash at its end."""
    server: Mapping[str, Any] = next(iter(content.get("servers", ())), {"url": ""})
    values = {name: each["default"] for name, each in server.get("variables", {}).items()}
    url: str = server["url"].format(**values)
    return urlsplit(url).path.rstrip("/")
