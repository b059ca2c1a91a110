"""Both vendors without HTTP, on a fake clock, with a fault for each request and a record of what they did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from gateway.app import Catalogue
from gateway.domain.errors import VendorReplyNotUnderstood, VendorTimedOut, VendorUnreachable
from gateway.domain.model import HttpReply, HttpRequest, Json
from tests.faults.fixtures import AZURE, VONAGE
from tests.support.clock import FakeClock
from tests.support.transport import reply
from tests.support.vendors import azure_error, vonage_error, vonage_job, vonage_page

TOKEN = "canary.bearer-token.of+the/schedules"
ASSIGNMENT = "assignment-1"
_ACTIONS = {
    AZURE: re.compile(r"/routing/jobs/(?P<job>[^/:?]+)(?:/assignments/[^/:]+)?:(?P<action>\w+)\?.*"),
    VONAGE: re.compile(r"/interactions/jobs/(?P<job>[^/]+)/(?P<action>\w+)"),
}
_AZURE_JOB = re.compile(r"/routing/jobs/(?P<job>[^/:?]+)\?.*")
_URL = re.compile(r"https://(?P<connection>[a-z0-9-]+)\.(?P<service>api|tokens)\.test(?P<target>/.*)")


SOON = (0.001, 0.05)
FOR_EVER = (1_000.0, 1_000.0)
"""Seconds that a request takes, at least and at most."""

STICKINESS = 0.4
"""Probability that a fault also happens to the next request."""


class Reach(StrEnum):
    """How far a request comes. `turned away`: the vendor says that it has not looked at it, and has not."""

    NOWHERE = "nothing is sent"
    TURNED_AWAY = "turned away"
    REFUSED = "refused"
    PERHAPS_DONE = "perhaps done"
    DONE = "done"


Answer = Callable[[HttpRequest, HttpReply], HttpReply | Exception]
"""What the gateway gets, made from its request and from what a vendor would say that is well."""


@dataclass(frozen=True)
class Fault:
    """What befalls a request: how far it comes, what is answered, and how long that takes at least and at most.

    `weight` is how often, beside the others. `asks` is for how many seconds the vendor wants to be left alone.
    """

    weight: int
    reach: Reach
    answer: Answer
    seconds: tuple[float, float] = SOON
    asks: int = 0


def says(status: int, body: Json | bytes = None, **headers: str) -> Answer:
    """A reply."""
    return lambda _request, _well: reply(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


def fails(error: Exception) -> Answer:
    """No reply."""
    return lambda _request, _well: type(error)(*error.args)


def refuses(status: int, code: str, **headers: str) -> Answer:
    """An error in the vendor's own words."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    azure, vonage = azure_error(status, code, **fields), vonage_error(status, code, **fields)
    return lambda request, _well: azure if "/routing/" in request.url else vonage


def echoes(status: int) -> Answer:
    """An error whose text repeats what proves who asked."""
    return lambda request, _well: vonage_error(status, f"I do not know {request.headers.get('Authorization')}")


def is_well(_request: HttpRequest, well: HttpReply) -> HttpReply:
    """As it should be."""
    return well


UNREACHABLE = fails(VendorUnreachable("No connection to the vendor could be made."))
SILENCE = fails(VendorTimedOut("The vendor did not answer in time."))
BROKEN = fails(VendorReplyNotUnderstood("The vendor's reply broke off, or is not HTTP."))
DONE, PERHAPS_DONE = Reach.DONE, Reach.PERHAPS_DONE
REFUSED, TURNED_AWAY, NOWHERE = Reach.REFUSED, Reach.TURNED_AWAY, Reach.NOWHERE
THROTTLED = "ThrottleLimitExceededException"

WELL = "well"
FAULTS: Mapping[str, Fault] = {
    WELL: Fault(24, DONE, is_well),
    "slow": Fault(4, DONE, is_well, (0.5, 4.0)),
    "too late": Fault(3, DONE, is_well, FOR_EVER),
    "refused": Fault(5, NOWHERE, UNREACHABLE),
    "connection that never comes": Fault(2, NOWHERE, UNREACHABLE, (2.0, 2.0)),
    "silence": Fault(4, PERHAPS_DONE, SILENCE, FOR_EVER),
    "reset": Fault(4, PERHAPS_DONE, BROKEN),
    "broken off late": Fault(2, PERHAPS_DONE, BROKEN, (1.0, 4.0)),
    "HTML": Fault(2, PERHAPS_DONE, says(200, b"<html>")),
    "NaN": Fault(1, PERHAPS_DONE, says(200, b'{"id": NaN}')),
    "an array": Fault(1, PERHAPS_DONE, says(200, b"[]")),
    "error inside a success": Fault(2, PERHAPS_DONE, refuses(200, "Failed")),
    "redirect": Fault(2, PERHAPS_DONE, says(302, location="http://169.254.169.254/")),
    "400": Fault(1, REFUSED, refuses(400, "BadRequest")),
    "401": Fault(6, TURNED_AWAY, refuses(401, "Denied")),
    "403": Fault(1, REFUSED, refuses(403, "Forbidden")),
    "404": Fault(1, REFUSED, refuses(404, "NotFound")),
    "408": Fault(2, PERHAPS_DONE, refuses(408, "Timeout")),
    "409": Fault(1, REFUSED, refuses(409, "Conflict")),
    "412": Fault(1, REFUSED, refuses(412, "PreconditionFailed")),
    "429": Fault(4, TURNED_AWAY, refuses(429, THROTTLED)),
    "429 at once": Fault(2, TURNED_AWAY, refuses(429, THROTTLED, retry_after="0")),
    "429 soon": Fault(3, TURNED_AWAY, refuses(429, THROTTLED, retry_after="3"), asks=3),
    "429 later": Fault(1, TURNED_AWAY, refuses(429, THROTTLED, retry_after="60"), asks=60),
    "429 nonsense": Fault(1, TURNED_AWAY, refuses(429, THROTTLED, retry_after="1e9")),
    "429 in other words": Fault(2, TURNED_AWAY, refuses(429, "SlowDown")),
    "500": Fault(3, PERHAPS_DONE, refuses(500, "InternalError")),
    "500 with our credentials": Fault(2, PERHAPS_DONE, echoes(500)),
    "400 with our credentials": Fault(1, REFUSED, echoes(400)),
    "501": Fault(1, PERHAPS_DONE, says(501)),
    "502": Fault(2, PERHAPS_DONE, says(502, b"<html>")),
    "503": Fault(2, PERHAPS_DONE, says(503)),
    "503 soon": Fault(2, PERHAPS_DONE, says(503, retry_after="2"), asks=2),
    "503 later": Fault(1, PERHAPS_DONE, says(503, retry_after="120"), asks=120),
    "504": Fault(2, PERHAPS_DONE, says(504)),
}
"""Every fault that can happen to a request."""


@dataclass(frozen=True)
class Fate:
    """A fault that befalls a request at a time, on the monotonic clock, and takes so many seconds of those left."""

    name: str
    at: float
    seconds: float
    left: float

    @property
    def reach(self) -> Reach:
        """How far the request comes."""
        return FAULTS[self.name].reach

    @property
    def is_heard(self) -> bool:
        """Whether the gateway hears of it before its deadline."""
        return self.seconds < self.left

    @property
    def until(self) -> float:
        """When the gateway knows what it will know."""
        return self.at + min(self.seconds, self.left)


@dataclass(frozen=True)
class Call:
    """A request for an action, and what the vendor knows of it.

    `fits`: the job was in a status that allows it. `is_done`: the vendor did it.
    """

    job_id: str
    action: str
    fate: Fate
    fits: bool
    is_done: bool

    @property
    def is_received(self) -> bool:
        """Whether the vendor had it, and may have looked at it."""
        return self.fate.reach not in {Reach.NOWHERE, Reach.TURNED_AWAY}

    @property
    def leaves_doubt(self) -> bool:
        """Whether nobody but the vendor can know what came of it."""
        lost = self.fate.reach is not Reach.NOWHERE and not self.fate.is_heard
        return lost or self.fate.reach is Reach.PERHAPS_DONE


@dataclass
class FaultyVendors:
    """The `Transport` port, with both vendors behind it: as many accounts of each as are asked for.

    Where `is_spoilt`, each request meets a fault. `calls` are the requests for actions, `story` is all that happened.
    """

    catalogue: Catalogue
    clock: FakeClock
    random: Random = field(default_factory=Random)
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=lambda: {TOKEN})
    is_spoilt: bool = True
    last: dict[str, str] = field(default_factory=dict)

    def begin(self, seed: int) -> None:
        """Forget everything, and draw what happens from this seed on."""
        self.random = Random(seed)  # noqa: S311 - nothing is secret
        self.is_spoilt = True
        for kept in (self.jobs, self.calls, self.story, self.last):
            kept.clear()

    async def send(self, request: HttpRequest, deadline: float) -> HttpReply:
        """What befalls a request, and what it does at the vendor."""
        now = self.clock.monotonic()
        if now >= deadline:
            raise VendorUnreachable("No connection to the vendor could be made in time.")
        name = self._draw(request) if self.is_spoilt else WELL
        fate = Fate(name, now, self.random.uniform(*FAULTS[name].seconds), deadline - now)
        self._keep_secret(request)
        well, is_done = self._handle(request, fate)
        self.story.append(f"    {request.method} {request.url}: {fate}{', done' if is_done else ''}")
        self.clock.advance(fate.until - now)
        if not fate.is_heard:
            is_nowhere = fate.reach is Reach.NOWHERE
            raise VendorUnreachable("No connection in time.") if is_nowhere else VendorTimedOut("No reply in time.")
        answer = FAULTS[name].answer(request, well)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def move(self, connection: str, job_id: str) -> None:
        """Let a job go on by itself, as far as it does."""
        vendor = self.catalogue.vendors[vendor_of(connection)].specification
        known = self.jobs[connection]
        following = [after for before, after in vendor.transitions if before == known[job_id]]
        if following:
            known[job_id] = self.random.choice(following)
            self.story.append(f"{job_id} of {connection} is {known[job_id]} by itself")

    def _draw(self, request: HttpRequest) -> str:
        """The next fault, which often is the last one: what fails goes on failing for a while."""
        origin = request.url[: request.url.index(".test/")]
        drawn = self.random.choices([*FAULTS], [each.weight for each in FAULTS.values()])[0]
        self.last[origin] = self.last.get(origin, WELL) if self.random.random() < STICKINESS else drawn
        return self.last[origin]

    def _handle(self, request: HttpRequest, fate: Fate) -> tuple[HttpReply, bool]:
        """What a vendor that is well says, and whether it has done something."""
        asked = _URL.fullmatch(request.url)
        assert asked is not None, request.url
        if asked["service"] == "tokens":
            return reply(200, {"access_token": TOKEN, "expires_in": 7200, "token_type": "Bearer"}), False
        connection, target = asked["connection"], asked["target"]
        action = _ACTIONS[vendor_of(connection)].fullmatch(target)
        if request.method == "POST" and action is not None:
            return self._act(connection, action["job"], action["action"], fate)
        assert request.method == "GET", request.url
        return self._read(connection, target), False

    def _act(self, connection: str, job_id: str, action: str, fate: Fate) -> tuple[HttpReply, bool]:
        vendor, known = vendor_of(connection), self.jobs[connection]
        mapping = self.catalogue.vendors[vendor].specification.actions[action]
        fits = known[job_id] in mapping.from_statuses
        wants = {Reach.DONE: True, Reach.PERHAPS_DONE: self.random.random() < 0.5}.get(fate.reach, False)
        is_done = fits and wants
        if is_done:
            known[job_id] = mapping.to_status
        self.calls.append(Call(job_id, action, fate, fits, is_done))
        if not fits:
            return azure_error(409, "Conflict") if vendor == AZURE else vonage_error(409, "No."), False
        return reply(200, {}) if vendor == AZURE else reply(204), is_done

    def _read(self, connection: str, target: str) -> HttpReply:
        known = self.jobs[connection]
        if vendor_of(connection) == VONAGE:
            return vonage_page([vonage_job(status, job_id) for job_id, status in known.items()])
        one = _AZURE_JOB.fullmatch(target)
        if one is None:
            return reply(200, {"value": [azure_job(job_id, status) for job_id, status in known.items()]})
        if one["job"] not in known:
            return azure_error(404, "NotFound")
        return reply(200, azure_job(one["job"], known[one["job"]]))

    def _keep_secret(self, request: HttpRequest) -> None:
        """Nobody else may see what proves who asks."""
        proof = request.headers.get("Authorization", "").rpartition(" ")[2]
        self.secrets |= {part for part in (proof, proof.rpartition("Signature=")[2]) if part}


def vendor_of(connection: str) -> str:
    """Which vendor's account it is, by its name."""
    return AZURE if connection.startswith("azure") else VONAGE


def azure_job(job_id: str, status: str) -> dict[str, Json]:
    """A RouterJob, with an assignment as soon as it has one."""
    time = "2026-01-05T09:40:00.1111111+00:00"
    closed: dict[str, Json] = {"closedAt": time} if status == "closed" else {}
    done: dict[str, Json] = {"assignmentId": ASSIGNMENT, "assignedAt": time, "completedAt": time, **closed}
    has = {"assignments": {ASSIGNMENT: done}} if status in {"completed", "closed"} else {}
    return {"id": job_id, "etag": '"1"', "status": status, **has}


def is_given_away(secret: str, text: str) -> bool:
    """Whether a text has a secret, as it is or as JSON writes it."""
    return secret in text or json.dumps(secret)[1:-1] in text
