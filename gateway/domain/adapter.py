"""What an adapter is: a vendor's document, and the few pure functions that a document cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from gateway.domain.model import HttpRequest, JobAction, Json

Sign = Callable[[HttpRequest, str, datetime], Mapping[str, str]]
"""`sign(request, secret, now)` gives the headers that prove who sends the request.

Raises ValueError where the secret cannot be one; the message does not hold it.
"""

Signed = Callable[[str], str | None]
"""What proves the request, as this secret makes it; None where the request has something else.

Of a signature that is one form, however the request writes it: it names the request (`Signing.lasts`).
"""

Verify = Callable[[HttpRequest, datetime, str], Signed]
"""`verify(request, now, endpoint)` is `sign` read backwards: it gives the test that is put to each secret.

Raises PermissionError, saying why, where no secret can have signed this request, or not at this time. `endpoint` is
what the client was configured with: the first part of the request's URL, without a slash at its end.
"""

Find = Callable[[Mapping[str, Json]], tuple[str, ...]]
"""`find(vendor_job)` gives the values that a parameter may have, read from the vendor's own job object."""

Evidence = Callable[[Mapping[str, Json], JobAction], bool | None]
"""`evidence(vendor_job, job_action)` tells from the vendor's own job object whether the action was carried out.

None: it cannot be told. It is for actions that the job's status does not show.
"""

Simulate = Callable[[Mapping[str, Json], JobAction, datetime], Mapping[str, Json]]
"""`simulate(vendor_job, job_action, now)` gives the vendor's job object after the action.

The new status is already in it. Raises LookupError where the action names a part that the job does not have.
"""


@dataclass(frozen=True)
class Signing:
    """A way of proving who sends a request, for a security scheme of the vendor's document that OAuth 2.0 is not.

    `public` names the headers that may be shown: their values do not depend on the secret. `lasts` is how long after a
    request was taken `verify` may take it again. For so long the signature stands for what became of the request, and
    whoever repeats it does nothing. None: what proves who sends is the same in every request, and names none.
    """

    sign: Sign
    verify: Verify
    public: frozenset[str] = frozenset()
    lasts: timedelta | None = None


@dataclass(frozen=True)
class Adapter:
    """One vendor. `specification` is its OpenAPI document with the x-job extensions.

    `signing` goes by the name of the security scheme, `finders` by the name that `x-job-action.find` uses,
    `evidence` by that of `x-job-action.evidence`. `simulate` is what only the sandbox needs: the traces that an action
    leaves in the vendor's job beside its status.
    """

    specification: Path
    signing: Mapping[str, Signing] = field(default_factory=dict)
    finders: Mapping[str, Find] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    simulate: Simulate | None = None
