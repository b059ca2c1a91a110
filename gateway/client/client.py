"""The client, with the calls about every noun of the API."""

from __future__ import annotations

from .approvals import Approvals
from .batches import Batches
from .job_actions import JobActions
from .jobs import Jobs
from .keys import Keys
from .schedules import Schedules
from .vendors import Vendors


class Client(Vendors, Jobs, JobActions, Batches, Schedules, Approvals, Keys):
    """A client of one gateway. It keeps connections open, so use it in a `with` block, and one in each thread.

    Every method that calls the gateway raises ClientError if the call fails.
    """
