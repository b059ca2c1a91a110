"""Jobs of any vendor in the words of one vendor's document."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.domain.encoding import dump
from gateway.domain.model import Job, Json
from gateway.domain.vocabulary import TIMESTAMP, Source
from gateway.specs.numbered_pages import Part, numbered_page
from gateway.specs.vendor import ReadMapping, VendorSpecification

NO_ACCOUNT: Mapping[str, Json] = {}


@dataclass(frozen=True)
class Words:
    """Translates jobs of other vendors into the words of this one."""

    vendor: VendorSpecification

    def job(self, job: Job, account: Mapping[str, Json] = NO_ACCOUNT) -> Mapping[str, Json] | None:
        """The job as this vendor would show it; None if it cannot, for example because its ids have another form.

        `account` holds the values of this vendor's account (`connection.workspace`) that the client named.
        """
        values: dict[str, Json] = {f"{TIMESTAMP}{name}": at for name, at in job.timestamps.items()}
        values |= {Source.JOB_ID: job.id, Source.JOB_VERSION: version(job), Source.JOB_VENDOR_STATUS: self.status(job)}
        shown: Mapping[str, Json] = self.vendor.job.encode({**values, **account}).get("body", {})
        return shown if self._can_say(shown) else None

    def status(self, job: Job) -> str | None:
        """This vendor's word for the status of a job."""
        return self.vendor.word_for(job.status.status)

    def headers(self, read: ReadMapping, job: Job) -> dict[str, str]:
        """The header fields about the job in the reply to a read."""
        written: Mapping[str, Json] = read.reply.encode({Source.JOB_VERSION: version(job)}).get("header", {})
        return {name: str(value) for name, value in written.items()}

    def _can_say(self, shown: Mapping[str, Json]) -> bool:
        """True if the vendor's document allows such a job."""
        one, many = self.vendor.job_read, self.vendor.list_read
        if one is not None:
            return fits(one, shown)
        return many is None or fits(many, numbered_page(many, Part([shown], 1, 1, 1)))


def fits(read: ReadMapping, body: Mapping[str, Json]) -> bool:
    """True if the document allows this body in the reply to a read."""
    response = read.operation.response(200)
    validators: list[Any] = list(response.bodies.values()) if response else []
    return all(validator.is_valid(body) for validator in validators)


def version(job: Job) -> str:
    """A text that changes whenever the job changes, in the form of an entity tag (RFC 9110, 8.8.3)."""
    return f'"{hashlib.sha256(dump(job.vendor_object)).hexdigest()[:32]}"'
