"""The work of every contender: the client's request, the resulting vendor request, and requests to be refused."""

from __future__ import annotations

import json
from dataclasses import dataclass

CONNECTION = "bench"
JOB = "8780b28c-7079-4de1-9143-4d369289e958"
KEY = "bench"

CLIENT_TARGET = f"/v1/connections/{CONNECTION}/jobs/{JOB}/cancel"
VENDOR_TARGET = f"/routing/jobs/{JOB}:cancel?api-version=2023-11-01"
NATIVE_TARGET = f"/native/azure-job-router/{CONNECTION}{VENDOR_TARGET}"
"""The target at Jobgate for the vendor's own clients."""

PARAMETERS = {"note": "Closing job", "dispositionCode": "JobCompleted."}
JOB_ACTION = {"connection": CONNECTION, "jobId": JOB, "action": "cancel", "outcome": "applied"}
"""The members that the answer of a translating contender must have."""


@dataclass(frozen=True)
class Ask:
    """A POST of the client."""

    what: str
    body: str
    key: str = KEY

    @property
    def headers(self) -> dict[str, str]:
        """Its header fields."""
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}


WORK = Ask("the work", json.dumps(PARAMETERS, separators=(",", ":")))
UNKNOWN_MEMBER = Ask("a body with an unknown member", json.dumps(PARAMETERS | {"reason": "none"}))
WRONG_TYPE = Ask("a body with a member of the wrong type", json.dumps(PARAMETERS | {"note": 5}))
UNKNOWN_KEY = Ask("an unknown key", WORK.body, "another")
