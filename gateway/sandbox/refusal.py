"""The refusal of a request by a simulated vendor."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from gateway.domain.vocabulary import Meaning


class Refusal(Exception):
    """An error reply.

    `meaning` is None if no meaning fits. `message` replaces the document's own message, `status` its HTTP status.
    `before` is the vendor status of the job of the refused action.
    """

    def __init__(
        self,
        meaning: Meaning | None,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        before: str | None = None,
    ) -> None:
        """Refuse with a meaning, or with a status only."""
        super().__init__(message or meaning)
        self.meaning = meaning
        self.message = message
        self.status = status
        self.headers = headers
        self.before = before

    @property
    def status_code(self) -> int:
        """The HTTP status. Connexion uses it to rank the refusals of alternative security schemes."""
        return self.status or (HTTPStatus.INTERNAL_SERVER_ERROR if self.meaning is None else self.meaning.usual_status)
