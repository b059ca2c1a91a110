"""Finding jobs over all connections, looking at one, and acting on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from gateway.console.api import Refused, path_of
from gateway.console.document import Document
from gateway.console.forms import KEY
from gateway.console.requests import api, seconds_left
from gateway.console.words import spoken

pages = Blueprint("jobs", __name__)

ON_A_PAGE = 100
"""Number of jobs on a page."""
AGES = {
    "PT5M": "5 minutes",
    "PT15M": "15 minutes",
    "PT1H": "1 hour",
    "PT4H": "4 hours",
    "P1D": "1 day",
    "P7D": "7 days",
}
"""Ages of jobs to choose from, by their ISO 8601 duration."""
FILTER = ("connection", "status", "vendorStatus", "olderThan", "queue", "type")
"""The parameters of the API's filter for jobs."""
REPEATED = frozenset({"connection", "status", "vendorStatus"})


@dataclass(frozen=True)
class Choice:
    """An action to choose. `why_not` is the reason why it cannot be chosen, empty if it can."""

    action: str
    summary: str
    why_not: str


@pages.get("/jobs")
def listed() -> str:
    """The jobs that a filter finds, to be selected."""
    wanted = filter_in(request.args)
    cursor = [("cursor", request.args["cursor"])] if request.args.get("cursor") else []
    shown: dict[str, Any] = {"items": [], "nextCursor": None, "incomplete": []}
    total, problem = None, None
    connections = api().get("/connections")["items"]
    if "find" in request.args:
        try:
            shown = api().get("/jobs", [*wanted, *cursor, ("limit", str(ON_A_PAGE))], seconds=seconds_left())
            total = total_of(wanted, shown, is_first=not cursor)
        except Refused as refusal:
            problem = refusal.problem
    return render_template(
        "jobs.html",
        wanted=wanted,
        args=request.args,
        found=shown,
        total=total,
        problem=problem,
        connections=connections,
        statuses=document().words("JobStatus"),
        ages=AGES,
        choices=list(choices(connections)),
    )


@pages.get("/job")
def one() -> tuple[str, int]:
    """One job, with what can be done with it, and what has been done: that is known even if the vendor is silent."""
    connection, job_id = request.args.get("connection", ""), request.args.get("id", "")
    job, problem, status = None, None, int(HTTPStatus.OK)
    try:
        job = api().get(place(connection, job_id), [("include", "vendor")], seconds=seconds_left())
    except Refused as refusal:
        problem, status = refusal.problem, refusal.status
    history = api().get("/job-actions", [("connection", connection), ("jobId", job_id), ("limit", "50")])["items"]
    possible = [] if job is None else list(choices_for(job))
    page = render_template(
        "job.html", connection=connection, job_id=job_id, job=job, problem=problem, history=history, choices=possible
    )
    return page, status


@pages.get("/job/<action>")
def preview(action: str) -> str:
    """The page with the request that an action would send to the vendor."""
    connection, job_id = request.args.get("connection", ""), request.args.get("id", "")
    plan, problem = None, None
    try:
        plan = planned(action, connection, job_id)
    except Refused as refusal:
        problem = refusal.problem
    return render_template(
        "job_preview.html", action=action, connection=connection, job_id=job_id, plan=plan, problem=problem
    )


@pages.post("/job/<action>")
def act(action: str) -> Response:
    """Perform an action on a job, once for each form that was drawn, and show its record."""
    connection, job_id = request.form["connection"], request.form["id"]
    body = {"note": request.form["note"]} if request.form.get("note") else {}
    answer = api().post(f"{place(connection, job_id)}{path_of(action)}", body, key=request.form[KEY])
    outcome = spoken(answer.body.get("outcome") or "not known yet")
    flash(f"{spoken(action).capitalize()}: the outcome is {outcome}.")
    return redirect(url_for("records.shown", record=answer.body["id"]), HTTPStatus.SEE_OTHER)


def document() -> Document:
    """The document of the API."""
    found: Document = current_app.config["jobgate.document"]
    return found


def place(connection: str, job_id: str) -> str:
    """The path of a job in the API."""
    return path_of("connections", connection, "jobs", job_id)


def planned(action: str, connection: str, job_id: str) -> Mapping[str, Any]:
    """The preview of an action: its request, or its steps. Raises Refused."""
    path = f"{place(connection, job_id)}{path_of(action)}"
    plan: Mapping[str, Any] = api().preview(path, seconds=seconds_left())
    return plan


def filter_in(values: MultiDict[str, str]) -> list[tuple[str, str]]:
    """The filter in the values of a form, as the query of the API."""
    return [(name, each.strip()) for name in FILTER for each in values.getlist(name) if each.strip()]


def filter_body(wanted: Sequence[tuple[str, str]], connections: Sequence[str]) -> dict[str, Any]:
    """The filter as the body of a batch has it. Without connections, it is for all of them."""
    names = {"connection": "connections", "status": "statuses", "vendorStatus": "vendorStatuses"}
    body: dict[str, Any] = {}
    for name, value in wanted:
        if name in REPEATED:
            body.setdefault(names[name], []).append(value)
        else:
            body[name] = value
    return {"connections": list(connections)} | body


def total_of(wanted: Sequence[tuple[str, str]], shown: Mapping[str, Any], *, is_first: bool) -> Mapping[str, Any]:
    """The number of all jobs that the filter finds. If they fit on the page, nothing is counted. Raises Refused."""
    if is_first and shown["nextCursor"] is None:
        return {"count": len(shown["items"]), "isComplete": not shown["incomplete"]}
    counted: Mapping[str, Any] = api().get("/jobs/count", wanted, seconds=seconds_left())
    return counted


def choices(connections: Sequence[Mapping[str, Any]]) -> Iterator[Choice]:
    """The actions of batches over these connections."""
    vendors = {each["vendor"] for each in connections}
    supported = {
        action["action"]
        for vendor in api().get("/vendors")["items"]
        if vendor["name"] in vendors
        for action in vendor["actions"]
        if action["support"] == "native"
    }
    allowed = document().words("RecordedAction")
    for action, operation in document().actions.items():
        if action not in allowed:
            continue
        why_not = document().why_not(operation, api().caller) or document().why_not("createBatch", api().caller)
        if not why_not and action not in supported | {"terminate"}:
            why_not = "No vendor of these connections has it."
        yield Choice(action, document().api.operations[operation].summary, why_not)


def choices_for(job: Mapping[str, Any]) -> Iterator[Choice]:
    """The actions on one job."""
    blocked = {each["action"]: each["reason"] for each in job["blockedActions"]}
    for action, operation in document().actions.items():
        why_not = document().why_not(operation, api().caller) or blocked.get(action, "")
        is_end = action == "terminate"
        if not why_not and is_end and job["final"]:
            why_not = "The job has ended."
        if not why_not and not is_end and action not in job["allowedActions"]:
            why_not = "The vendor does not have it."
        yield Choice(action, document().api.operations[operation].summary, why_not)


def job_value(job: Mapping[str, Any]) -> str:
    """A job as the value of a checkbox."""
    return json.dumps([job["connection"], job["id"]])
