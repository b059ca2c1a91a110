"""One job action on its way: the request for it, the work on it, and its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from msgspec import Struct
from msgspec.structs import force_setattr

from gateway.domain.leases import Lease
from gateway.domain.model import Job, JobAction
from gateway.domain.record import NOBODY, JobActionRecord, Origin, SignedName
from gateway.engine.calls import CallContext
from gateway.engine.connections import Connection
from gateway.engine.plans import Plan

_SORTED = json.JSONEncoder(sort_keys=True)
_text = encode_basestring_ascii
"""The JSON of a text. An encoder of all of a request takes three times as long as its texts one by one."""


def _members(of: Mapping[str, Any]) -> str:
    """The JSON of an object, its members in the order of their names."""
    return _SORTED.encode(dict(of)) if of else "{}"


class ActionRequest(Struct, frozen=True):
    """A caller's request to apply one action to one job of one connection.

    `strict` refuses parameters that the vendor cannot carry, instead of recording them. The same request with the same
    `key` gets the same answer, refusals only if it `keeps_refusals`; with the same `signature` it always does. It may
    take `seconds`, if that is less than the gateway allows. `operation` is what the request asked for, if the job's
    status chose the action: the same request is then the same, whatever the status is later. `parent` is the id of the
    termination that it is a step of. Under a `lease`, nothing is sent once the lease is lost. `labels` are the caller's
    own words, which only the record has. `is_approved`: it belongs to a batch whose plan has met the policies.
    `is_emergency`: to one that began by break-glass, so that no window holds it back.
    """

    connection: Connection
    job_action: JobAction
    caller: str
    strict: bool = False
    key: str | None = None
    keeps_refusals: bool = True
    signature: SignedName | None = None
    origin: Origin = NOBODY
    seconds: float | None = None
    operation: str | None = None
    parent: str | None = None
    lease: Lease | None = None
    labels: Mapping[str, str] = {}
    is_approved: bool = False
    is_emergency: bool = False

    def __post_init__(self) -> None:
        """Give id and parameters their canonical form at the vendor, whatever surface they come by."""
        force_setattr(self, "job_action", self.connection.specification.canonical(self.job_action))

    @property
    def fingerprint(self) -> bytes:
        """A hash of connection, job, action or operation, parameters, precondition and labels."""
        asked = self.job_action
        action = self.operation or asked.action
        whole = [_text(self.connection.name), _text(action), _text(asked.job_id), _members(asked.parameters)]
        if asked.version is not None:
            whole.append(_text(asked.version))
        if self.labels:
            whole.append(_members(self.labels))
        return hashlib.sha256(f"[{', '.join(whole)}]".encode()).digest()


class ActionInProgress(Struct):
    """A job action between its claim and its conclusion. `record` is the ledger's present state of it.

    `job` is the job after the action, if the vendor's reply showed it.
    """

    request: ActionRequest
    plan: Plan
    record: JobActionRecord
    context: CallContext
    job: Job | None = None

    @property
    def connection(self) -> Connection:
        """The connection that the job lives in."""
        return self.request.connection


class ActionResult(Struct, frozen=True):
    """The record of a job action, from which it is answered. `is_replayed`: the same request was made before.

    `job` is the job after the action, if the vendor has just shown it.
    """

    record: JobActionRecord
    is_replayed: bool = False
    job: Job | None = None

    @property
    def is_begun(self) -> bool:
        """True if the action is to be carried out: it is new, and was not refused at once."""
        return not self.is_replayed and self.record.conclusion is None

    @property
    def is_early(self) -> bool:
        """True while the same request, made before, is still being worked on."""
        return self.is_replayed and self.record.conclusion is None
