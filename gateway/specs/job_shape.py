"""Shapes of job objects: one vendor can show the same job in several, such as in a list and alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.domain.model import Json
from gateway.domain.times import is_date_time
from gateway.domain.vocabulary import TIMESTAMP, Source
from gateway.specs.derivation import Derivation
from gateway.specs.lens import Lens, Parts, Place, UnmappableValue

VendorJob = Mapping[str, Json]
"""A job as the vendor's API shows it. It is never changed in place: a changed job is a new object."""

DERIVED = "derivedStatus"


@dataclass(frozen=True)
class JobShape:
    """The values in a job object. The status is at a place of the lens, or it is derived.

    `examples` are the document's jobs in this shape, each by the status that it has when it is read alone.
    """

    lens: Lens
    derivation: Derivation | None = None
    examples: Mapping[str, VendorJob] = field(default_factory=dict, repr=False)

    @classmethod
    def compile(cls, vendor: Mapping[str, Any], read: Mapping[str, Any]) -> JobShape:
        """The shape of the jobs of an `x-job-read`, whose members replace those of `x-job-vendor`."""
        lens = Lens.compile(read.get("job", vendor["job"]))
        rules = read.get(DERIVED, vendor.get(DERIVED))
        has_place = Source.JOB_VENDOR_STATUS in lens.sources
        return cls(lens, None if has_place or not rules else Derivation.compile(rules))

    @property
    def statuses(self) -> frozenset[str]:
        """The statuses that the rules can give; empty if a member holds the status."""
        return frozenset(self.derivation.statuses if self.derivation else ())

    @property
    def values(self) -> frozenset[str]:
        """The sources of all values that the job object shows."""
        return frozenset(self.lens.sources) | ({Source.JOB_VENDOR_STATUS} if self.derivation else set())

    def bound(self, values: Mapping[str, Json]) -> JobShape:
        """The shape with constants instead of these values. Raises UnmappableValue if a map does not have one."""
        return replace(self, lens=self.lens.bound(values))

    def with_examples(self, jobs: Iterable[VendorJob]) -> JobShape:
        """The shape with these examples. Of several jobs in one status, the first counts."""
        by_status: dict[str, VendorJob] = {}
        for job in jobs:
            by_status.setdefault(self.status_of(job), job)
        return replace(self, examples=by_status)

    def with_rows(self, alone: JobShape, rows: Iterable[VendorJob]) -> JobShape:
        """The shape with those rows that show an example of `alone`: they have its id."""
        by_id = {self.id_of(row): row for row in rows}
        found = ((status, by_id.get(alone.id_of(job))) for status, job in alone.examples.items())
        return replace(self, examples={status: row for status, row in found if row is not None})

    def id_of(self, job: VendorJob) -> str:
        """The id of a job."""
        return str(self.lens.read(Source.JOB_ID, {"body": job}))

    def status_of(self, job: VendorJob) -> str:
        """The vendor status of a job."""
        parts = {"body": job}
        derived = self.derivation.status_of(parts) if self.derivation else None
        return str(self.lens.read(Source.JOB_VENDOR_STATUS, parts) if derived is None else derived)

    def place_of(self, source: str) -> Place | None:
        """The place of a value; None if no place holds it."""
        return self.lens.place_of(source)

    def decode(self, parts: Parts) -> dict[str, Json]:
        """The values of a job, with the job object as the body. Raises LensMismatch as a lens does."""
        return self.lens.decode(parts) | self._derived(parts)

    def legible(self, parts: Parts) -> dict[str, Json]:
        """The values of a vendor's job that can be read. Never fails."""
        return self.lens.legible(parts) | self._derived(parts)

    def _derived(self, parts: Parts) -> dict[str, Json]:
        return {Source.JOB_VENDOR_STATUS: self.derivation.status_of(parts)} if self.derivation else {}

    def encode(self, values: Mapping[str, Json], at: str = "") -> dict[str, Any]:
        """The job that has these values, as the body. `at` stands for times that its status needs and nobody knows.

        A derived status is shown by the values of its example that the rules test. Raises UnmappableValue if there is
        no such example, or if the status could not be derived from the job again.
        """
        written = self.lens.encode(values)
        status = values.get(Source.JOB_VENDOR_STATUS)
        return written if self.derivation is None or status is None else self._showing(str(status), written, at)

    def in_status_of(self, job: VendorJob, example: VendorJob) -> VendorJob:
        """The job with the status of the example, otherwise unchanged."""
        parts: dict[str, Any] = {"body": deepcopy(job)}
        if self.derivation is not None:
            *_, values = self.derivation.shown_by({"body": example})
            self.derivation.put(parts, values)
        changed: VendorJob = parts["body"]
        return changed

    def _showing(self, status: str, written: Mapping[str, Any], at: str) -> dict[str, Any]:
        derivation, example = self.derivation, self.examples.get(status)
        if derivation is not None and example is not None:
            wanted = derivation.status_of({"body": example})
            for values in derivation.shown_by({"body": example}):
                shown = deepcopy({"body": {}} | dict(written))
                known = {place: self._timely(place, value, written, at) for place, value in values.items()}
                derivation.put(shown, known)
                if derivation.status_of(shown) == wanted:
                    return shown
        raise UnmappableValue(Source.JOB_VENDOR_STATUS, tuple(self.examples))

    def _timely(self, place: Place, value: Json, written: Parts, at: str) -> Json:
        """A value of an example, for another job: a time is the job's own if it is known, and otherwise `at`."""
        for rule in self.lens.rules:
            if rule.place == place and str(rule.source).startswith(TIMESTAMP):
                own = place.get(written)
                return rule.encode({str(rule.source): at}) if own is None else own
        return _with_times(value, at)


def _with_times(value: Json, at: str) -> Json:
    """A value in which every time, a text of RFC 3339, is this one."""
    if isinstance(value, str):
        return at if is_date_time(value) else value
    if isinstance(value, Mapping):
        return {name: _with_times(each, at) for name, each in value.items()}
    return list(map(partial(_with_times, at=at), value)) if isinstance(value, list) else value
