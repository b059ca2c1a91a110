"""The words that documents, code and tests share, each declared once.

Meanings are what a vendor's `errors.meanings` can say; sources are the values that a lens can carry; bounds are those
that `specs/gateway.yaml` sets. The schema of the extensions and the documents are held against all three by the lint
and by tests.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """The meaning of a vendor's refusal."""

    UNKNOWN_JOB = "unknown-job"
    WRONG_STATE = "wrong-state"
    INVALID_REQUEST = "invalid-request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"

    @property
    def usual_status(self) -> int:
        """The HTTP status of a vendor whose document has no answer of its own for it."""
        return _USUAL_STATUS[self]


_USUAL_STATUS = {
    Meaning.UNKNOWN_JOB: 404,
    Meaning.WRONG_STATE: 409,
    Meaning.INVALID_REQUEST: 400,
    Meaning.UNAUTHENTICATED: 401,
    Meaning.FORBIDDEN: 403,
    Meaning.THROTTLED: 429,
}


class Source(StrEnum):
    """The values that a lens carries between a vendor's message and Jobgate."""

    JOB_ID = "job.id"
    JOB_VENDOR_STATUS = "job.vendorStatus"
    JOB_VERSION = "job.version"
    ERROR_CODE = "error.code"
    ERROR_MESSAGE = "error.message"
    ERROR_TARGET = "error.target"
    PAGE_CURSOR = "page.cursor"
    PAGE_LIMIT = "page.limit"
    PAGE_NUMBER = "page.number"
    PAGE_COUNT = "page.count"
    PAGE_TOTAL = "page.total"
    REPLY_REQUEST_ID = "reply.requestId"


PARAMETER: Final = "parameters."
"""Prefix of the sources that are parameters of an action, by the names of the unified API: `parameters.note`."""
TIMESTAMP: Final = "job.timestamps."
"""Prefix of the sources that are times of a job: `job.timestamps.createdAt`."""

LONGEST_JOB_ID: Final = 1_024
"""Characters of a job's id."""
LONGEST_STATUS: Final = 256
"""Characters of a vendor's own word for a status."""
LONGEST_TIME: Final = 64
"""Characters of a time of day."""
LONGEST_TEXT: Final = 1_024
"""Characters of a vendor's message, and of the sentence of a problem."""
LONGEST_CURSOR: Final = 8_192
"""Characters of a cursor."""
LARGEST_PAGE: Final = 1_000
"""Jobs in one answer."""
MOST_DEPARTURES: Final = 50
"""Kinds of departures from a vendor's document that are told apart for each connection."""
LONGEST_PLACE: Final = 256
"""Characters of the JSON pointer of a departure."""
LONGEST_DEPARTURE: Final = 512
"""Characters of the description of a departure."""
