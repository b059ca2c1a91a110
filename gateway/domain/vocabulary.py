"""Names and limits that documents, code and tests share, each declared once.

Meanings are the entries of a vendor's `errors.meanings`; sources are the values that a lens can carry; limits are those
of `specs/gateway.yaml`. The lint and tests check the schema of the extensions, and the documents, against all three.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """The meaning of a vendor's refusal."""

    UNKNOWN_JOB = "unknown-job"
    WRONG_STATE = "wrong-state"
    CHANGED = "changed"
    INVALID_REQUEST = "invalid-request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"

    @property
    def usual_status(self) -> int:
        """The HTTP status for this meaning if the vendor's document does not give one."""
        return _USUAL_STATUS[self]


_USUAL_STATUS = {
    Meaning.UNKNOWN_JOB: 404,
    Meaning.WRONG_STATE: 409,
    Meaning.CHANGED: 412,
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
    JOB_QUEUE = "job.queue"
    JOB_TYPE = "job.type"
    ERROR_CODE = "error.code"
    ERROR_MESSAGE = "error.message"
    ERROR_TARGET = "error.target"
    ERROR_STATUS = "error.status"
    PAGE_CURSOR = "page.cursor"
    PAGE_LIMIT = "page.limit"
    PAGE_NUMBER = "page.number"
    PAGE_COUNT = "page.count"
    PAGE_TOTAL = "page.total"
    REPLY_REQUEST_ID = "reply.requestId"
    WINDOW_START = "window.start"
    WINDOW_END = "window.end"
    WINDOW_INTERVAL = "window.interval"


PARAMETER: Final = "parameters."
"""Prefix of the sources for parameters of an action, by the names of the unified API: `parameters.note`."""
CONNECTION: Final = "connection."
"""Prefix of the sources for values of a connection, by the names in the vendor's document: `connection.region`."""
TIMESTAMP: Final = "job.timestamps."
"""Prefix of the sources for times of a job: `job.timestamps.createdAt`."""

UNKNOWN_STATUS: Final = "unknown"
"""The common status of a job whose status is not documented, or not told."""
TERMINATE: Final = "terminate"
"""The action of a record that stands for several: the steps that end a job."""
DISCARD: Final = "discard"
"""The action with which work can be lost. A termination uses it only in the mode `forced`."""

LABELS: Final = "labels"
"""The member of a request for an action with the caller's labels. It is no parameter, and no vendor gets it."""
DEFERRING: Final = ("closeAt",)
"""The parameters with a later time for an action: those that the document of the unified API marks as `emulated`."""
MODE: Final = "mode"
"""The parameter with the mode of a termination."""


class Mode(StrEnum):
    """The means of a termination. `forced`: also discarding the job, with which work can be lost."""

    GRACEFUL = "graceful"
    FORCED = "forced"


LONGEST_JOB_ID: Final = 1_024
"""Longest id of a job, in characters."""
LONGEST_STATUS: Final = 256
"""Longest vendor status, in characters."""
LONGEST_GROUP: Final = 1_024
"""Longest queue or type of a job, in characters."""
LONGEST_TIME: Final = 64
"""Longest time, in characters."""
LONGEST_TEXT: Final = 1_024
"""Longest message of a vendor, and longest detail of a problem, in characters."""
LONGEST_CURSOR: Final = 8_192
"""Longest cursor, in characters."""
LARGEST_PAGE: Final = 1_000
"""Largest number of jobs in one answer."""
MOST_DEPARTURES: Final = 50
"""Largest number of kinds of contract drift that are told apart for each connection."""
LONGEST_PLACE: Final = 256
"""Longest JSON pointer of a departure from a vendor's document, in characters."""
LONGEST_DEPARTURE: Final = 512
"""Longest description of a departure, in characters."""
