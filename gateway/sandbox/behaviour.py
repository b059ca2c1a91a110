"""The simulated behaviour of the operations in a vendor's document, without HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.domain.encoding import dump
from gateway.domain.model import JobAction, Json, Result
from gateway.domain.vocabulary import Meaning, Source
from gateway.edge.exchange import RawReply
from gateway.sandbox.examples import VendorJob
from gateway.sandbox.paging import Pages
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.request_log import Exchange
from gateway.sandbox.simulator import Simulator
from gateway.specs.lens import Lens, LensMismatch
from gateway.specs.operations import Operation
from gateway.specs.vendor import ReadMapping, VendorSpecification

Parts = Mapping[str, Any]
"""The typed values of a request, `{path, query, header, body}`."""

NO_HEADERS: Mapping[str, str] = {}

Behave = Callable[[Operation, Parts, Exchange], RawReply]
"""Carry out one operation. Raises Refusal if the vendor would refuse it."""


class Behaviour:
    """Carries out operations by the extension that each carries."""

    def __init__(self, specification: VendorSpecification, simulator: Simulator) -> None:
        """Simulate this vendor. Raises SpecificationError if a list cannot be simulated."""
        self._specification = specification
        self._simulator = simulator
        self._pages = {
            name: Pages(specification, read, simulator.examples)
            for name, read in specification.reads.items()
            if read.items is not None
        }
        self._behaviours: Mapping[str, Behave] = {
            "x-job-action": self._perform,
            "x-job-read": self._read,
        }

    def answer(self, operation: Operation, parts: Parts, exchange: Exchange) -> RawReply:
        """Carry out an operation. Raises Refusal if the vendor would refuse it."""
        parts = operation.with_defaults(parts)
        if self._specification.is_for_another_account(operation.operation_id, parts):
            raise Refusal(Meaning.UNKNOWN_JOB)
        try:
            # Checks what every request to this vendor must carry.
            self._specification.request.decode(parts)
            return self._behave(operation)(operation, parts, exchange)
        except LensMismatch as mismatch:
            raise Refusal(Meaning.INVALID_REQUEST, f"{mismatch}.") from mismatch

    def job_body(self, job: VendorJob) -> tuple[Operation, Mapping[str, Json]] | None:
        """A read operation and its reply with this job in it; None if the document has no reads."""
        read = self._specification.job_read or self._specification.list_read
        if read is None:
            return None
        if read.items is None:
            return read.operation, self._alone(read, job)
        pages = self._pages[read.operation.operation_id]
        return read.operation, pages.body([job], read.encode({}).parts(), "")

    def _behave(self, operation: Operation) -> Behave:
        found = (each for name, each in self._behaviours.items() if name in operation.extensions)
        return next(found, _refuse)

    def _perform(self, operation: Operation, parts: Parts, exchange: Exchange) -> RawReply:
        asked = self._specification.decode(operation.operation_id, parts)
        if not asked:
            raise Refusal(Meaning.INVALID_REQUEST, "The request does not match any action.")
        exchange.job_action = job_action = self._simulator.chosen(asked)
        try:
            change = self._simulator.perform(job_action)
        except Refusal as refusal:
            exchange.before = exchange.after = refusal.before
            raise
        exchange.before, exchange.after = change.before, change.after
        return self._done(operation, job_action, change.job)

    def _done(self, operation: Operation, job_action: JobAction, job: VendorJob) -> RawReply:
        """The documented reply of success; `job` is the job after the action."""
        mapping = self._specification.actions[job_action.action]
        said = None if mapping.result is Result.JOB else self._said(operation, job)
        if said is not None:
            return _reply(operation, operation.success, said)
        if mapping.result is Result.GONE:
            return _reply(operation, operation.success, job)
        versions = self._versions(self._specification.reads[mapping.confirm], job_action.job_id)
        return _reply(operation, operation.success, job, versions)

    def _said(self, operation: Operation, job: VendorJob) -> Json:
        """The body of a reply of success that is not the job: the document's example, or a text; else None."""
        example = _example(self._specification, operation, operation.success)
        if example is not None:
            return None if Source.JOB_ID in self._specification.job.legible({"body": example}) else example
        response = operation.response(operation.success)
        bodies = response.bodies.values() if response else ()
        return None if all(each.is_valid(job) for each in bodies) else ""

    def _read(self, operation: Operation, parts: Parts, exchange: Exchange) -> RawReply:
        part = self._specification.parts.get(operation.operation_id)
        if part is not None:
            self._simulator.job(_job_id(part.lens, parts))
            return _reply(operation, operation.success, _example(self._specification, operation, operation.success))
        read = self._specification.reads[operation.operation_id]
        if read.items is not None:
            return _reply(operation, 200, self._many(read, parts, exchange))
        job_id = _job_id(read.lens, parts)
        return _reply(operation, 200, self._alone(read, self._simulator.job(job_id)), self._versions(read, job_id))

    def _alone(self, read: ReadMapping, job: VendorJob) -> Mapping[str, Json]:
        """The body of the reply to a read of one job."""
        return read.with_job(self._simulator.examples.shown(read, job))

    def _versions(self, read: ReadMapping, job_id: str) -> Mapping[str, str]:
        """The header fields with the version of a job."""
        written = read.reply.encode({Source.JOB_VERSION: self._simulator.version(job_id)}).get("header", {})
        return {name: str(value) for name, value in written.items()}

    def _many(self, read: ReadMapping, parts: Parts, exchange: Exchange) -> Mapping[str, Json]:
        pages = self._pages[read.operation.operation_id]
        return pages.body(self._simulator.jobs(), parts, exchange.url)


def _job_id(lens: Lens, parts: Parts) -> str:
    """The id of the job that a request names. Raises Refusal (unknown-job) if it names none."""
    job_id = lens.decode(parts).get(Source.JOB_ID)
    if job_id is None:
        raise Refusal(Meaning.UNKNOWN_JOB)
    return str(job_id)


def _refuse(*_: object) -> RawReply:
    raise Refusal(None, "The sandbox does not simulate this operation.", status=501)


def _example(specification: VendorSpecification, operation: Operation, status: int) -> Any:
    """The first example of a response's body in the document."""
    document = specification.api.document
    node = document.content["paths"][operation.path][operation.method.lower()]
    contents = document.resolve(node["responses"].get(str(status), {})).get("content", {}).values()
    found = (document.resolve(each) for kind in contents for each in kind.get("examples", {}).values())
    return next((each["value"] for each in found), None)


def _reply(operation: Operation, status: int, body: Json, headers: Mapping[str, str] = NO_HEADERS) -> RawReply:
    """A reply with the body and those header fields that the document has for it."""
    response = operation.response(status)
    names = {name.lower() for name in response.headers} if response else set()
    documented = {name: value for name, value in headers.items() if name.lower() in names}
    if response is None or not response.media_types:
        return RawReply(status, documented, b"")
    return RawReply(status, {**documented, "content-type": response.media_types[0]}, dump(body))
