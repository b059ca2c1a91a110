"""An adapter: a vendor's OpenAPI document, and the pure functions for what the document cannot express."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from gateway.domain.model import HttpRequest, JobAction, Json

Sign = Callable[[HttpRequest, str, datetime], Mapping[str, str]]
"""`sign(request, secret, now)` returns the headers that authenticate the request.

Raises ValueError if the secret is malformed; the message does not contain it.
"""

Signed = Callable[[str], str | None]
"""`signed(secret)` returns the proof in the request, such as its signature, if this secret made it; otherwise None.

A signature is returned in one canonical form, however the request writes it, since it identifies the request
(`Signing.lasts`).
"""

Verify = Callable[[HttpRequest, datetime, str], Signed]
"""`verify(request, now, endpoint)` reverses `sign`: it returns the check to apply to each secret.

Raises PermissionError with the reason if no secret can have signed this request, or not at this time. `endpoint` is the
URL that the client is configured with: the first part of the request's URL, without a slash at its end.
"""

Find = Callable[[Mapping[str, Json]], tuple[str, ...]]
"""`find(vendor_job)` returns the possible values of a parameter, read from the vendor's own job object."""

Evidence = Callable[[Mapping[str, Json], JobAction], bool | None]
"""`evidence(vendor_job, job_action)` returns True if the vendor's own job object shows that the action was carried out.

False if it shows the opposite, None if it shows neither. Needed for actions that do not show in the job's status.
"""

Simulate = Callable[[Mapping[str, Json], JobAction, datetime], Mapping[str, Json]]
"""`simulate(vendor_job, job_action, now)` returns the vendor's job object after the action.

The given object has the new status already. Raises LookupError if the action names a part that the job does not have.
"""


@dataclass(frozen=True)
class Signing:
    """The signing and verification of requests, for a security scheme of the vendor's document other than OAuth 2.0.

    `public` names the headers that can be shown: their values do not depend on the secret. `lasts` is how long after a
    request was accepted `verify` can accept it again. During that time the signature identifies the request, and a
    repeated request has no further effect. None: the proof is the same in every request, and identifies none.
    """

    sign: Sign
    verify: Verify
    public: frozenset[str] = frozenset()
    lasts: timedelta | None = None


@dataclass(frozen=True)
class Adapter:
    """The adapter of one vendor. `specification` is its OpenAPI document with the x-job extensions.

    The keys are names of security schemes in `signing`, names used by `x-job-action.find` in `finders`, and names used
    by `x-job-action.evidence` in `evidence`. Only the sandbox uses `simulate`: the changes that an action makes to the
    vendor's job besides its status.
    """

    specification: Path
    signing: Mapping[str, Signing] = field(default_factory=dict)
    finders: Mapping[str, Find] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    simulate: Simulate | None = None
