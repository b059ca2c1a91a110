"""Jobs of any vendor in the words of one vendor's document."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.domain.encoding import dump
from gateway.domain.model import Job, Json
from gateway.domain.times import canonical_date_time
from gateway.domain.vocabulary import TIMESTAMP, Source
from gateway.specs.job_shape import JobShape, VendorJob
from gateway.specs.lens import UnmappableValue
from gateway.specs.numbered_pages import Part, numbered_page
from gateway.specs.vendor import ReadMapping, VendorSpecification

NO_ACCOUNT: Mapping[str, Json] = {}


@dataclass(frozen=True)
class Words:
    """Translates jobs of other vendors, read at a certain time, into the words of this one."""

    vendor: VendorSpecification
    at: datetime

    def job(
        self, job: Job, account: Mapping[str, Json] = NO_ACCOUNT, read: ReadMapping | None = None
    ) -> VendorJob | None:
        """The job as this vendor would show it in the reply to a read, by default to an action.

        None if it cannot, for example because its ids have another form. `account` holds the values of this vendor's
        account (`connection.workspace`) that the client named.
        """
        values: dict[str, Json] = {f"{TIMESTAMP}{name}": at for name, at in job.timestamps.items()}
        values |= {Source.JOB_ID: job.id, Source.JOB_VERSION: version(job), Source.JOB_VENDOR_STATUS: self.status(job)}
        shape = self.vendor.job if read is None else read.job
        if shape.derivation is not None and self.status(job) is None:
            return None
        try:
            shown = self.write(shape, {**values, **account})
        except UnmappableValue:
            return None
        return shown if read is None or fits(read, shown) else None

    def write(self, shape: JobShape, values: Mapping[str, Json]) -> VendorJob:
        """The job object that has these values. Raises UnmappableValue if it cannot show its status.

        Times that the status needs and that are not known are the time of reading.
        """
        shown: VendorJob = shape.encode(values, canonical_date_time(self.at.isoformat())).get("body", {})
        return shown

    def status(self, job: Job) -> str | None:
        """This vendor's word for the status of a job."""
        return self.vendor.word_for(job.status.status)

    def headers(self, read: ReadMapping, job: Job) -> dict[str, str]:
        """The header fields about the job in the reply to a read."""
        written: Mapping[str, Json] = read.reply.encode({Source.JOB_VERSION: version(job)}).get("header", {})
        return {name: str(value) for name, value in written.items()}


def fits(read: ReadMapping, job: VendorJob) -> bool:
    """True if the document allows this job in the reply to a read."""
    body = read.with_job(job) if read.items is None else numbered_page(read, Part([job], 1, 1, 1))
    response = read.operation.response(200)
    validators: list[Any] = list(response.bodies.values()) if response else []
    return all(validator.is_valid(body) for validator in validators)


def version(job: Job) -> str:
    """The job's version; without one, a text that changes whenever the job changes, in the same form."""
    return job.version or f'"{hashlib.sha256(dump(job.vendor_object)).hexdigest()[:32]}"'
