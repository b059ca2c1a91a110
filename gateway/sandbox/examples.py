"""Jobs of a simulated vendor, made from the examples in its document."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from gateway.domain.model import Json
from gateway.domain.vocabulary import Source
from gateway.specs.document import SpecificationError
from gateway.specs.lens import Place
from gateway.specs.vendor import VendorSpecification

VendorJob = Mapping[str, Json]
"""A job as the vendor's API returns it. It is never changed in place: a changed job is a new object."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://jobgate.invalid/sandbox")
_ABSENT = object()


def copy_id(vendor: str, example_id: str, action: str) -> str:
    """The id of the copy of an example for trying an action. The same arguments always give the same id."""
    return str(uuid.uuid5(_NAMESPACE, f"{vendor}/{example_id}/{action}"))


class Examples:
    """The example jobs of one vendor, and new jobs made from them."""

    def __init__(self, specification: VendorSpecification) -> None:
        """Use this vendor's examples. Raises SpecificationError if its jobs have no id or no status."""
        self._specification = specification
        self._id = _place(specification, Source.JOB_ID)
        self._status = _place(specification, Source.JOB_VENDOR_STATUS)

    def id_of(self, job: VendorJob) -> str:
        """The id of a vendor's job."""
        return str(self._id.get({"body": job}))

    def status_of(self, job: VendorJob) -> str:
        """The vendor status of a vendor's job."""
        return str(self._status.get({"body": job}))

    def with_status(self, job: VendorJob, status: str) -> VendorJob:
        """A copy of the job in another status, otherwise unchanged."""
        return _with(self._status, job, status)

    def make(self, status: str, job_id: str) -> VendorJob:
        """A job in a status, made from the example of that status or, without one, from the first example."""
        template = self._of(status) or next(iter(self._specification.examples), {})
        return _with(self._id, self.with_status(template, status), job_id)

    def moved(self, job: VendorJob, status: str) -> VendorJob:
        """The job after a system transition to another status.

        Members that differ between the examples of the two statuses, such as the worker of an assigned job, come from
        the example of the new one. The other members stay.
        """
        old, new = self._of(self.status_of(job)) or {}, self._of(status) or {}
        changed = {name: each for name, each in new.items() if old.get(name, _ABSENT) != each}
        moved = _with(self._id, {**job, **changed}, self._id.get({"body": job}))
        return self.with_status(moved, status)

    def seeds(self) -> Iterator[VendorJob]:
        """The examples, and a copy of each for every action of the vendor."""
        yield from self._specification.examples
        for example in self._specification.examples:
            for action in self._specification.actions:
                job_id = copy_id(self._specification.name, self.id_of(example), action)
                yield _with(self._id, example, job_id)

    def _of(self, status: str) -> VendorJob | None:
        examples = self._specification.examples
        return next((each for each in examples if self.status_of(each) == status), None)


def _place(specification: VendorSpecification, source: str) -> Place:
    place = specification.job.place_of(source)
    if place is None:
        message = f"x-job-vendor.job does not say where {source} is in a job. Add it."
        raise SpecificationError(f"{specification.api.document.path}: {message}")
    return place


def _with(place: Place, job: VendorJob, value: Json) -> VendorJob:
    parts: dict[str, Any] = {"body": deepcopy(job)}
    place.put(parts, value)
    changed: VendorJob = parts["body"]
    return changed
