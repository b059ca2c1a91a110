"""Problems, checked against the API's document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from gateway.app import Catalogue
from gateway.domain.errors import catalogue as problem_kinds
from gateway.specs.schemas import Validator

KINDS = {kind.code: kind for kind in problem_kinds()}


def code_at(address: str) -> str:
    """The code of the problem whose page is at this address: absolute, or a path where no host was known yet."""
    found = re.fullmatch(r"(?:https?://[^/]+)?(?:/[^/]+)*/problems/([a-z-]+)", address)
    assert found, address
    return found[1]


class Response(Protocol):
    """What the checks need of a response."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def json(self) -> Any:
        """The body as JSON."""


class Problems:
    """Checks that a response is a problem of the catalogue, as the document of the API describes it."""

    media_type = "application/problem+json"

    def __init__(self, catalogue: Catalogue) -> None:
        """Compile the schema of problems."""
        document = catalogue.api.document
        self._validator = Validator(document, {"$ref": "#/components/schemas/Problem"})

    def check(self, response: Response, headers: Mapping[str, str]) -> dict[str, Any]:
        """The problem, once it has passed: media type, schema, status, kind, and the id of the request."""
        problem: dict[str, Any] = response.json
        assert headers["content-type"] == self.media_type
        assert self._validator.errors(problem) == ()
        kind = KINDS[problem["code"]]
        assert (problem["status"], response.status) == (kind.status, kind.status)
        assert (problem["title"], code_at(problem["type"])) == (kind.title, kind.code)
        assert headers["x-request-id"] == problem["requestId"]
        return problem
