"""Jobs of a simulated vendor, made from the examples in its document."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from gateway.domain.model import Json
from gateway.domain.vocabulary import Source
from gateway.sandbox.ids import id_like
from gateway.specs.document import SpecificationError
from gateway.specs.job_shape import VendorJob
from gateway.specs.lens import Place
from gateway.specs.vendor import ReadMapping, VendorSpecification

__all__ = ["Examples", "VendorJob"]

_ABSENT = object()
_NUMBER = re.compile(r"[0-9]+")


class Examples:
    """The example jobs of one vendor, and new jobs made from them."""

    def __init__(self, specification: VendorSpecification) -> None:
        """Use this vendor's examples. Raises SpecificationError if they lack an id or a status."""
        self._specification = specification
        self._job = specification.job
        self._id = _place(specification, Source.JOB_ID)
        self._version = self._job.place_of(Source.JOB_VERSION)
        if self._job.derivation is None:
            self._status = _place(specification, Source.JOB_VENDOR_STATUS)
        else:
            _check_statuses(specification)
        for read in specification.reads.values():
            _check_rows(specification, read)

    def id_of(self, job: VendorJob) -> str:
        """The id of a vendor's job."""
        return self._job.id_of(job)

    def status_of(self, job: VendorJob) -> str:
        """The vendor status of a vendor's job."""
        return self._job.status_of(job)

    def version_of(self, job: VendorJob) -> Json:
        """The version in a vendor's job; None if it has none."""
        return None if self._version is None else self._version.get({"body": job})

    def with_version(self, job: VendorJob, version: Json) -> VendorJob:
        """A copy of the job in another version; the job itself if the vendor's jobs have no place for one."""
        return job if self._version is None else _with(self._version, job, version)

    def with_status(self, job: VendorJob, status: str) -> VendorJob:
        """A copy of the job in another status, otherwise unchanged."""
        if self._job.derivation is None:
            return _with(self._status, job, status)
        return self._job.in_status_of(job, self._job.examples[status])

    def make(self, status: str, job_id: str | None = None) -> VendorJob:
        """A job in a status, made from the example of that status or, without one, from the first example.

        Without an id, it gets a new one in the form of the example's.
        """
        template = self._of(status) or next(iter(self._specification.examples), {})
        made = job_id or id_like(self.id_of(template), str(uuid.uuid4()))
        return self._with_id(self.with_status(template, status), made)

    def moved(self, job: VendorJob, status: str) -> VendorJob:
        """The job after a system transition to another status.

        Members that differ between the examples of the two statuses, such as the worker of an assigned job, come from
        the example of the new one. The other members stay, unless they would show another status.
        """
        old, new = self._of(self.status_of(job)) or {}, self._of(status) or {}
        moved = _with(self._id, _changed(job, old, new), self._id.get({"body": job}))
        return self.with_status(moved, status)

    def shown(self, read: ReadMapping, job: VendorJob) -> VendorJob:
        """The job as it is in the reply to a read.

        If such jobs have a shape of their own, it is made from the row that shows the example of the job's status.
        """
        if not read.has_own_shape:
            return job
        values = self._job.legible({"body": job})
        row = read.job.examples[self.status_of(job)]
        return _merged(row, read.job.lens.encode(values).get("body", {}))

    def seeds(self) -> Iterator[VendorJob]:
        """The examples, and a copy of each for every action of the vendor."""
        yield from self._specification.examples
        for example in self._specification.examples:
            for action in self._specification.actions:
                example_id = self.id_of(example)
                yield self._with_id(example, id_like(example_id, f"{self._specification.name}/{example_id}/{action}"))

    def _with_id(self, job: VendorJob, job_id: str) -> VendorJob:
        """A copy of the job with another id; a number if its own is one."""
        is_number = isinstance(self._id.get({"body": job}), int) and job_id.isdecimal()
        return _with(self._id, job, int(job_id) if is_number else job_id)

    def _of(self, status: str) -> VendorJob | None:
        return self._job.examples.get(status)


def next_version(version: Json) -> Json:
    """The version after this one, in the same form: its first number is one higher."""
    if isinstance(version, int):
        return version + 1
    text = str(version)
    number = _NUMBER.search(text)
    if number is None:
        return f"{text}1"
    return f"{text[: number.start()]}{int(number[0]) + 1:0{len(number[0])}}{text[number.end() :]}"


def _place(specification: VendorSpecification, source: str) -> Place:
    place = specification.job.place_of(source)
    if place is None:
        message = f"x-job-vendor.job does not say where {source} is in a job. Add it."
        raise SpecificationError(f"{specification.api.document.path}: {message}")
    return place


def _check_statuses(specification: VendorSpecification) -> None:
    """Raise SpecificationError if no example job is in some status, since a derived status is copied from one."""
    for status in specification.clear_statuses:
        if status not in specification.job.examples:
            message = f"the derivedStatus of no example job is {status}. Add such an example to a read."
            raise SpecificationError(f"{specification.api.document.path}: {message}")


def _check_rows(specification: VendorSpecification, read: ReadMapping) -> None:
    """Raise SpecificationError if an example job is not shown in a read whose jobs have a shape of their own."""
    for status, job in specification.job.examples.items() if read.has_own_shape else ():
        if status not in read.job.examples:
            message = f"{read.operation.operation_id} has no example of the job {specification.job.id_of(job)}. Add it."
            raise SpecificationError(f"{specification.api.document.path}: {message}")


def _with(place: Place, job: VendorJob, value: Json) -> VendorJob:
    parts: dict[str, Any] = {"body": deepcopy(job)}
    place.put(parts, value)
    changed: VendorJob = parts["body"]
    return changed


def _changed(job: VendorJob, old: Mapping[str, Json], new: Mapping[str, Json]) -> VendorJob:
    """The job with those members of `new` that differ from `old`, at any depth."""
    changed = dict(job)
    for name, value in new.items():
        before, present = old.get(name, _ABSENT), job.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and isinstance(present, Mapping):
            changed[name] = _changed(present, before, value)
        elif before != value:
            changed[name] = value
    return changed


def _merged(job: VendorJob, more: Mapping[str, Json]) -> VendorJob:
    """The job with these members, at any depth."""
    return {**job, **{name: _with_members(job.get(name), value) for name, value in more.items()}}


def _with_members(value: Json, more: Json) -> Json:
    return _merged(value, more) if isinstance(value, Mapping) and isinstance(more, Mapping) else more
