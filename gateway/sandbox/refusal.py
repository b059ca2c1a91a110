"""Why a simulated vendor refuses a request."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNKNOWN_JOB = "unknown-job"
WRONG_STATE = "wrong-state"
INVALID_REQUEST = "invalid-request"
UNAUTHENTICATED = "unauthenticated"
FORBIDDEN = "forbidden"
THROTTLED = "throttled"

USUAL_STATUS: Mapping[str | None, int] = MappingProxyType(
    {
        UNKNOWN_JOB: 404,
        WRONG_STATE: 409,
        INVALID_REQUEST: 400,
        UNAUTHENTICATED: 401,
        FORBIDDEN: 403,
        THROTTLED: 429,
    }
)
"""The HTTP status of each meaning, for vendors whose document has no answer of their own for it."""


class Refusal(Exception):
    """An answer that is an error.

    `meaning` is a key of the document's `errors.meanings`, None for what no meaning fits. `message`
    replaces the document's own message, `status` its HTTP status. `before` is the vendor status of
    the job that the refused action was for.
    """

    def __init__(
        self,
        meaning: str | None,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        before: str | None = None,
    ) -> None:
        """Refuse for one of the meanings above, or with a status alone."""
        super().__init__(message or meaning)
        self.meaning = meaning
        self.message = message
        self.status = status
        self.headers = headers
        self.before = before

    @property
    def status_code(self) -> int:
        """The usual HTTP status; by it Connexion ranks the refusals of alternative schemes."""
        return self.status or USUAL_STATUS.get(self.meaning, 500)
