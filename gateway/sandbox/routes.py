"""Which operation a request is for, told from the path as it was sent.

Connexion routes by the decoded path, where an encoded colon in an id looks like the one before a verb. Here the two
differ: `/jobs/a%3Acancel` is the job `a:cancel`, and `/jobs/a:cancel` is what cancels the job `a`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.specs.operations import Api, Operation

TOKEN = "token"  # noqa: S105 - the name of an operation, not a token
"""What a token endpoint is called in logs and faults; documents have no operationId for it."""

_PARAMETER = re.compile(r"\{[^}]+\}")


class Routes:
    """The addresses of one vendor, below its prefix."""

    def __init__(self, api: Api, token_paths: Collection[str]) -> None:
        """The addresses of the document's operations, and of the token endpoints."""
        self.base_path = base_path(api.document.content)
        self._token_paths = token_paths
        by_literals = sorted(api.operations.values(), key=_literals, reverse=True)
        self._operations = [(_pattern(self.base_path + each.path), each) for each in by_literals]

    def operation(self, method: str, raw_path: str) -> Operation | None:
        """The documented operation that a request is for; None where there is none."""
        wanted = "GET" if method == "HEAD" else method
        return next((each for each in self._operations_at(raw_path) if each.method == wanted), None)

    def is_token_request(self, method: str, raw_path: str) -> bool:
        """Whether a request is for a token endpoint."""
        return method == "POST" and raw_path in self._token_paths

    def methods(self, raw_path: str) -> tuple[str, ...]:
        """The methods that an address takes; none where there is no such address."""
        if raw_path in self._token_paths:
            return ("POST",)
        methods = {operation.method for operation in self._operations_at(raw_path)}
        return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))

    def _operations_at(self, raw_path: str) -> list[Operation]:
        """The operations of the template that says most of the path literally."""
        found = [each for pattern, each in self._operations if pattern.fullmatch(raw_path)]
        return [each for each in found if each.path == found[0].path]


def base_path(content: Mapping[str, Any]) -> str:
    """The path of the first server of a document, without a slash at its end."""
    server: Mapping[str, Any] = next(iter(content.get("servers", ())), {"url": ""})
    values = {name: each["default"] for name, each in server.get("variables", {}).items()}
    url: str = server["url"].format(**values)
    return urlsplit(url).path.rstrip("/")


def _literals(operation: Operation) -> int:
    return len(_PARAMETER.sub("", operation.path))


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in _PARAMETER.split(template)))
