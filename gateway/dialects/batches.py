"""Batches in the unified API: requests become plans and commands, batches become replies."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.batches import report
from gateway.batches.batches import Batches, Shown, unknown_batch
from gateway.dialects import rendering
from gateway.dialects.services import Services
from gateway.dialects.unified import BASE_PATH, cursor_of, key_of, link_to_next, record_at
from gateway.domain.access import SCOPE_FOR_OTHERS
from gateway.domain.batches import (
    PROMPT,
    Batch,
    BatchPlan,
    JobReference,
    Limits,
    filter_of,
)
from gateway.domain.encoding import decode_cursor, encode_cursor, unknown_cursor
from gateway.domain.errors import (
    Explanation,
    FieldError,
    LedgerUnavailable,
    MalformedRequest,
    ParameterNotSupported,
    WrongBatchState,
)
from gateway.domain.model import JobAction, Json, Outcome
from gateway.domain.times import parse_date_time
from gateway.domain.vocabulary import DISCARD, MODE, TERMINATE, Mode
from gateway.edge.authentication import check_scopes
from gateway.edge.surface import Handler, Reply, Request
from gateway.engine.action import ActionRequest
from gateway.engine.support import supported
from gateway.ledger.batches import BatchSelection, ItemSelection
from gateway.specs.capabilities import action_of
from gateway.specs.operations import Api, Operation

LOOK_AGAIN_SECONDS = 1
"""Seconds in Retry-After for a batch that goes on by itself."""
NOTE = "note"
"""The parameter that the reason of a batch is, unless it has another one."""


@dataclass(frozen=True)
class BatchApi:
    """The handlers of the operations on batches. `api` is the document with the actions that a batch can have."""

    services: Services
    api: Api

    def handlers(self) -> dict[str, Handler]:
        """The handlers by operationId."""
        return {
            "createBatch": self.create,
            "listBatches": self.list_batches,
            "getBatch": self.get,
            "listBatchItems": self.items,
            "addBatchItems": self.add,
            "prepareBatch": self.prepare,
            "confirmBatch": self.confirm,
            "pauseBatch": self.pause,
            "resumeBatch": self.resume,
            "abortBatch": self.abort,
            "breakGlass": self.break_glass,
            "redriveBatch": self.redrive,
            "getBatchReport": self.report,
        }

    @property
    def batches(self) -> Batches:
        """The batches. Raises LedgerUnavailable if the gateway has no database."""
        if self.services.batches is None:
            raise LedgerUnavailable("This gateway keeps no batches.", Explanation(outcome=Outcome.NOT_SENT))
        return self.services.batches

    async def create(self, request: Request) -> Reply:
        """Create a batch. Raises Forbidden, MalformedRequest, and what the vendors' documents refuse."""
        plan, jobs = self.plan_of(request.body)
        self.check(request, plan, connections_in(plan, jobs))
        key = key_of(request)
        batch, is_replayed = await self.batches.create(
            plan, jobs, request.caller.name, key, fingerprint_of(request.body), request.caller.owner
        )
        return self._accepted(request, batch, is_replayed=is_replayed)

    async def list_batches(self, request: Request) -> Reply:
        """Return a page of batches."""
        query, own = request.query, request.caller.name
        before = record_at(query["cursor"]) if "cursor" in query else None
        caller = query.get("caller", None if request.caller.audits else own)
        if caller != own and not request.caller.audits:
            return Reply(rendering.whole_list(()))
        chosen = BatchSelection(caller, tuple(query.get("state", ())), query.get("connection"), query.get("label"))
        page = await self.batches.store.page(chosen, query["limit"], before)
        cursor = cursor_of(page.next_cursor)
        headers = link_to_next(f"{request.address.prefix}{BASE_PATH}/batches", query, cursor)
        return Reply({"items": list(map(rendering.batch, page.items)), "nextCursor": cursor}, headers=headers)

    async def get(self, request: Request) -> Reply:
        """Return one of the caller's batches, or anybody's to an auditor. Raises UnknownBatch."""
        return reply_with(await self._seen(request))

    async def items(self, request: Request) -> Reply:
        """Return a page of the items of a batch. Raises UnknownBatch."""
        batch, query = await self._seen(request), request.query
        outcomes = (query["outcome"],) if "outcome" in query else ()
        chosen = ItemSelection(batch.id, query.get("verdict"), outcomes)
        after = position_at(query["cursor"]) if "cursor" in query else 0
        found = await self.batches.store.items(chosen, after, query["limit"] + 1)
        shown = found[: query["limit"]]
        cursor = encode_cursor(b"%d" % shown[-1].position) if len(found) > len(shown) else None
        path = f"{request.address.prefix}{BASE_PATH}/batches/{batch.id}/items"
        body = {"items": list(map(report.line_of, shown)), "nextCursor": cursor}
        return Reply(body, headers=link_to_next(path, query, cursor))

    async def add(self, request: Request) -> Reply:
        """Add a page of jobs to a batch. Raises Forbidden, and what `Batches.add` raises."""
        batch = await self.batches.get(request.path["batchId"], request.caller.name)
        jobs = references(request.body)
        self.check(request, batch.plan, tuple(dict.fromkeys(each.connection for each in jobs)))
        return reply_with(await self.batches.add(batch.id, request.caller.name, request.query["page"], jobs))

    async def prepare(self, request: Request) -> Reply:
        """Prepare a batch whose jobs are all added. Raises WrongBatchState."""
        return reply_with(await self.batches.prepare(request.path["batchId"], request.caller.name))

    async def confirm(self, request: Request) -> Reply:
        """Confirm a batch. Raises Forbidden, WrongBatchState and ManifestDiffers."""
        caller, given = request.caller, request.body
        batch = await self.batches.get(request.path["batchId"], caller.name)
        self.check(request, batch.plan, batch.connections)
        shown = given["manifestDigest"], given["count"], given.get("share")
        return reply_with(await self.batches.confirm(batch.id, caller.name, *shown, caller.owner))

    async def pause(self, request: Request) -> Reply:
        """Pause a batch, also of others to a caller who may stop them. Raises UnknownBatch and WrongBatchState."""
        batch, caller = await self._stoppable(request), request.caller
        is_others = batch.caller != caller.name
        return reply_with(await self.batches.pause(batch.id, caller.name, reason_in(request), is_others=is_others))

    async def resume(self, request: Request) -> Reply:
        """Resume a batch. Raises Forbidden and WrongBatchState."""
        batch = await self.batches.get(request.path["batchId"], request.caller.name)
        self.check(request, batch.plan, batch.connections)
        return reply_with(await self.batches.resume(batch.id, request.caller.name, reason_in(request)))

    async def abort(self, request: Request) -> Reply:
        """Abort a batch, also of others to a caller who may stop them. Raises UnknownBatch and WrongBatchState."""
        batch, caller, reason = await self._stoppable(request), request.caller, reason_in(request)
        is_others = batch.caller != caller.name
        return reply_with(await self.batches.abort(batch.id, caller.name, reason, caller.owner, is_others=is_others))

    async def break_glass(self, request: Request) -> Reply:
        """Begin a batch in an emergency. Raises Forbidden, WrongBatchState, ManifestDiffers and BreakGlassRefused."""
        caller, given = request.caller, request.body
        batch = await self.batches.get(request.path["batchId"], caller.name)
        self.check(request, batch.plan, batch.connections)
        shown = Shown(given["manifestDigest"], given["count"])
        begun = await self.batches.break_glass(batch.id, caller, shown, given["reason"], given.get("ticket"))
        return reply_with(begun)

    async def redrive(self, request: Request) -> Reply:
        """Make a new batch of what was not sent. Raises Forbidden and WrongBatchState."""
        caller, key = request.caller.name, key_of(request)
        batch = await self.batches.get(request.path["batchId"], caller)
        self.check(request, batch.plan, batch.connections)
        fingerprint = fingerprint_of(["redrive", batch.id, request.body])
        again, is_replayed = await self.batches.redrive(batch.id, caller, reason_in(request), key, fingerprint)
        return self._accepted(request, again, is_replayed=is_replayed)

    async def report(self, request: Request) -> Reply:
        """Send the report of an ended batch. Raises UnknownBatch and WrongBatchState."""
        batch, kind = await self._seen(request), request.query["format"]
        if batch.report is None:
            raise WrongBatchState(f"A batch has its report once it has ended; it is {batch.state}.")
        media_type, _, _ = report.FORMATS[kind]
        digest = bytes.fromhex(batch.report.ndjson if kind == "ndjson" else batch.report.csv)
        headers = {"content-type": media_type, "Repr-Digest": f"sha-256=:{b64encode(digest).decode()}:"}
        return Reply(None, headers=headers, stream=report.content(self.batches.store, batch.id, kind))

    def plan_of(self, body: Mapping[str, Any], at: str = "/body") -> tuple[BatchPlan, list[JobReference]]:
        """The plan of a batch in a request, and the jobs that it names. `at` is its place. Raises MalformedRequest."""
        selected, limits = body["select"], body.get("limits", {})
        action = body["action"]
        usual = {NOTE: body["reason"]} if self._takes_note(action) else {}
        usual |= {MODE: Mode.GRACEFUL.value} if action == TERMINATE else {}
        plan = BatchPlan(
            action=action,
            reason=body["reason"],
            parameters={**usual, **body.get("parameters", {})},
            labels=body.get("labels", {}),
            filter=selected.get("filter"),
            is_paged="pages" in selected,
            limits=Limits(
                limits.get("maxItems"),
                limits.get("maxShare"),
                limits.get("maxErrors"),
                limits.get("maxUnknown"),
                limits.get("ratePerSecond"),
            ),
            priority=body.get("priority", 50),
            not_before=time_in(body, "notBefore"),
            deadline=time_in(body, "deadline"),
            expected_count=body.get("confirm", {}).get("expectedCount"),
        )
        if plan.filter is not None:
            try:
                filter_of(plan.filter)
            except ValueError:
                raise malformed(f"{at}/select/filter/olderThan", "is not a duration of ISO 8601") from None
        return plan, references(selected.get("jobs", ()))

    def check(self, request: Request, plan: BatchPlan, connections: Iterable[str]) -> None:
        """Check that the caller may act on these connections, and that their vendors have the action.

        Raises Forbidden, UnknownConnection, ActionNotSupported and ParameterNotSupported.
        """
        operation = self._operation_of(plan.action)
        check_scopes(request.caller, operation.scopes, None)
        self._check_parameters(operation, plan)
        for name in connections:
            check_scopes(request.caller, (), name)
            connection = self.services.directory.connection(name)
            if plan.action == TERMINATE:
                if plan.parameters.get(MODE) == Mode.FORCED:
                    check_scopes(request.caller, connection.vendor.capabilities[DISCARD].definition.scopes, None)
            else:
                action = JobAction(plan.action, "any", plan.parameters)
                supported(ActionRequest(connection, action, request.caller.name))

    def _check_parameters(self, operation: Operation, plan: BatchPlan) -> None:
        """Hold the parameters against the schema of the action. Raises ParameterNotSupported."""
        parts = {**operation.example, "query": {}, "header": {}, "body": dict(plan.parameters)}
        wrong = [each for each in operation.check(parts) if each.pointer.startswith("/body")]
        if wrong:
            errors = tuple(
                FieldError(each.pointer.replace("/body", "/body/parameters", 1), each.detail) for each in wrong
            )
            raise ParameterNotSupported(
                f"{plan.action} does not take these parameters: {errors[0].pointer} {errors[0].detail}.",
                Explanation(errors=errors, outcome=Outcome.NOT_SENT),
            )

    def _operation_of(self, action: str) -> Operation:
        """The operation of the unified API that performs an action on one job."""
        found = (each for each in self.api.operations.values() if action_of(each) == action)
        return next(found)

    def _takes_note(self, action: str) -> bool:
        """True if an action has a note."""
        operation = self._operation_of(action)
        parts = {**operation.example, "query": {}, "header": {}, "body": {NOTE: "n"}}
        return not any(each.pointer.startswith("/body") for each in operation.check(parts))

    async def _seen(self, request: Request) -> Batch:
        """The batch of a request, if it is the caller's, who otherwise has to see all, or its approval.

        Raises UnknownBatch.
        """
        batch = await self.batches.get(request.path["batchId"], None)
        if request.caller.name == batch.caller or request.caller.audits:
            return batch
        if batch.approval is None or not await self.services.approvals.shows(batch.approval, request.caller):
            raise unknown_batch()
        return batch

    async def _stoppable(self, request: Request) -> Batch:
        """The batch of a request to stop it: the caller's own, or anybody's to a caller with the operation's scope.

        Such a caller has to be allowed to use its connections. Raises UnknownBatch.
        """
        batch, caller = await self.batches.get(request.path["batchId"], None), request.caller
        # One that has no connection yet is nobody else's: it cannot act either.
        may_stop = bool(batch.connections) and caller.may(request.operation.extensions[SCOPE_FOR_OTHERS])
        if batch.caller == caller.name or (may_stop and all(map(caller.may_use, batch.connections))):
            return batch
        raise unknown_batch()

    def _accepted(self, request: Request, batch: Batch, *, is_replayed: bool) -> Reply:
        """The reply to a new batch."""
        at = {"Location": f"{request.address.prefix}{BASE_PATH}/batches/{batch.id}"}
        replayed = {"Idempotent-Replayed": "true"} if is_replayed else {}
        return Reply(rendering.batch(batch), 202, {**at, **replayed, **look_again(batch)})


def reply_with(batch: Batch) -> Reply:
    """A batch as it is now."""
    return Reply(rendering.batch(batch), headers=look_again(batch))


def look_again(batch: Batch) -> dict[str, str]:
    """The Retry-After of a batch that goes on by itself."""
    return {"Retry-After": str(LOOK_AGAIN_SECONDS)} if batch.state in PROMPT else {}


def references(jobs: Iterable[Mapping[str, str]]) -> list[JobReference]:
    """The jobs that a request names."""
    return [JobReference(each["connection"], each["jobId"]) for each in jobs]


def connections_in(plan: BatchPlan, jobs: Iterable[JobReference]) -> tuple[str, ...]:
    """The connections of a new batch."""
    if plan.filter is not None:
        return tuple(plan.filter["connections"])
    return tuple(dict.fromkeys(each.connection for each in jobs))


def reason_in(request: Request) -> str | None:
    """The reason in a request's body."""
    return None if request.body is None else request.body.get("reason")


def time_in(body: Mapping[str, Any], name: str) -> Any:
    """The time in a member of a body, None if it has none. Raises MalformedRequest."""
    if name not in body:
        return None
    try:
        return parse_date_time(body[name])
    except (ValueError, OverflowError):
        raise malformed(f"/body/{name}", "is not a date-time of RFC 3339") from None


def malformed(pointer: str, detail: str) -> MalformedRequest:
    """The problem with one place of a request."""
    return MalformedRequest(
        f"The request is not valid: {pointer} {detail}.", Explanation(errors=(FieldError(pointer, detail),))
    )


def fingerprint_of(body: Json) -> bytes:
    """A hash of a request's content."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()


def position_at(cursor: str) -> int:
    """The position in a cursor. Raises UnknownCursor if the cursor is not one of ours."""
    text = decode_cursor(cursor)
    if not text.isdigit() or len(text) > len("100000"):
        raise unknown_cursor()
    return int(text)
