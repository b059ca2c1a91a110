"""Batches: made from a selection, looked at, confirmed, watched, paused, aborted, and reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from itertools import islice
from threading import BoundedSemaphore
from typing import Any

from flask import Blueprint, Response, current_app, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway.console.api import Refused, path_of
from gateway.console.forms import KEY
from gateway.console.jobs import document, filter_body, filter_in, planned
from gateway.console.requests import api
from gateway.console.words import counted
from gateway.domain.access import Caller

pages = Blueprint("batches", __name__)

ON_A_PAGE = 100
AT_ONCE = 500
"""Most jobs that are sent to the API in one request."""
DOWNLOADS = "jobgate.downloads"
"""The member of the application's configuration with the room for reports that are being read."""
MOST_DOWNLOADS = 4
"""Most reports that are read at the same time, so that slow readers leave threads for the other pages."""
AGAIN_SECONDS = 10
"""Seconds after which a reader comes again that has found no room."""
GOING = frozenset({"collecting", "preparing", "ready", "running", "pausing", "aborting", "finishing"})
"""The states in which a page without scripts looks again by itself."""
POSSIBLE: Mapping[str, tuple[str, ...]] = {
    "collecting": ("abort",),
    "preparing": ("abort",),
    "awaiting_confirmation": ("abort",),
    "awaiting_approval": ("abort",),
    "ready": ("pause", "abort"),
    "running": ("pause", "abort"),
    "paused": ("resume", "abort"),
    "stopped": ("resume", "abort"),
}
"""The commands that a person can give in each state."""
ENDED = frozenset({"completed", "aborted", "expired"})
STILL = ENDED | {"awaiting_confirmation"}
"""The states in which the page does not change by itself."""


@pages.get("/batches")
def listed() -> str:
    """The batches, newest first."""
    query = [(name, each) for name in ("state", "connection", "cursor") for each in request.args.getlist(name) if each]
    found = api().get("/batches", [*query, ("limit", str(ON_A_PAGE))])
    return render_template("batches.html", found=found, states=document().words("BatchState"), args=request.args)


@pages.post("/batches")
def create() -> AnyResponse | tuple[str, int]:
    """Make a batch of the selected jobs. Nothing is sent to a vendor before it is confirmed."""
    form = request.form
    body: dict[str, Any] = {"action": form.get("action", ""), "reason": form.get("reason", "").strip()}
    if form.get("incident", "").strip():
        body["labels"] = {"incident": form["incident"].strip()}
    jobs = [] if form.get("all") else selected()
    mistake = _mistake(body, jobs)
    if mistake:
        problem = {"title": "The batch is not made yet", "detail": mistake, "status": HTTPStatus.BAD_REQUEST}
        return render_template("problem.html", problem=problem), HTTPStatus.BAD_REQUEST
    if form.get("all"):
        names = [each["name"] for each in api().get("/connections")["items"]]
        body["select"] = {"filter": filter_body(filter_in(form), names)}
    elif len(jobs) <= AT_ONCE:
        body["select"] = {"jobs": jobs}
    else:
        body["select"] = {"pages": True}
    batch = api().post("/batches", body, key=form[KEY]).body["id"]
    if "pages" in body["select"]:
        _add(batch, jobs)
    return redirect(url_for("batches.shown", batch=batch), HTTPStatus.SEE_OTHER)


@pages.get("/batches/<batch>")
def shown(batch: str) -> str:
    """One batch: what it would do, does, or did."""
    return render_template("batch.html", **content(batch))


@pages.get("/batches/<batch>/now")
def now(batch: str) -> AnyResponse:
    """The part of the page that changes, for its script; 304 if nothing has."""
    response = make_response(render_template("batch_now.html", **content(batch)))
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return response.make_conditional(request)


@pages.post("/batches/<batch>/confirm")
def confirm(batch: str) -> AnyResponse | tuple[str, int]:
    """Confirm a batch by its manifest, and by the number that was typed if there are several jobs."""
    body = manifest_in(request.form)
    if body is None:
        return numbers_differ()
    if request.form.get("share"):
        body["share"] = float(request.form["share"])
    api().post(f"{path_of('batches', batch)}/confirm", body)
    flash("The batch is confirmed.")
    return redirect(url_for("batches.shown", batch=batch), HTTPStatus.SEE_OTHER)


@pages.post("/batches/<batch>/break-glass")
def break_glass(batch: str) -> AnyResponse | tuple[str, int]:
    """Begin a batch in an emergency, without the approval of a second person."""
    body = manifest_in(request.form)
    if body is None:
        return numbers_differ()
    body |= {name: request.form[name].strip() for name in ("reason", "ticket") if request.form.get(name, "").strip()}
    api().post(f"{path_of('batches', batch)}/break-glass", body)
    flash("The batch begins without approval. Another owner has to review it.")
    return redirect(url_for("batches.shown", batch=batch), HTTPStatus.SEE_OTHER)


@pages.post("/batches/<batch>/<any(pause, resume, abort):command>")
def command(batch: str, command: str) -> AnyResponse:
    """Pause, resume or abort a batch."""
    reason = request.form.get("reason", "").strip()
    api().post(f"{path_of('batches', batch)}/{command}", {"reason": reason} if reason else None)
    done = {"pause": "is being paused", "resume": "goes on", "abort": "is being aborted"}[command]
    flash(f"The batch {done}.")
    return redirect(url_for("batches.shown", batch=batch), HTTPStatus.SEE_OTHER)


@pages.post("/batches/<batch>/redrive")
def redrive(batch: str) -> AnyResponse:
    """Make a new batch of what can be tried again."""
    made = api().post(f"{path_of('batches', batch)}/redrive", key=request.form[KEY]).body["id"]
    flash("This is a new batch, of the jobs that can be tried again.")
    return redirect(url_for("batches.shown", batch=made), HTTPStatus.SEE_OTHER)


@pages.get("/batches/<batch>/report.<any(csv, ndjson):kind>")
def report(batch: str, kind: str) -> AnyResponse | tuple[str, int, dict[str, str]]:
    """The report of a batch that has ended, as a file; 503 while too many are being read."""
    room: BoundedSemaphore = current_app.config[DOWNLOADS]
    if not room.acquire(blocking=False):
        return no_room()
    with ExitStack() as afterwards:
        afterwards.callback(room.release)
        streamed = api().stream(f"{path_of('batches', batch)}/report", [("format", kind)])
        afterwards.callback(streamed.close)
        response = Response(streamed.pieces())
        response.headers["Content-Type"] = streamed.headers["content-type"]
        response.headers["Content-Disposition"] = f'attachment; filename="batch-{batch}.{kind}"'
        response.call_on_close(afterwards.pop_all().close)
    return response


def no_room() -> tuple[str, int, dict[str, str]]:
    """Say that too many reports are being read."""
    detail = f"{MOST_DOWNLOADS} reports are being downloaded. Try again once one of them is complete."
    problem = {"title": "Too many downloads", "detail": detail, "status": HTTPStatus.SERVICE_UNAVAILABLE}
    fields = {"Retry-After": str(AGAIN_SECONDS)}
    return render_template("problem.html", problem=problem), HTTPStatus.SERVICE_UNAVAILABLE, fields


def manifest_in(form: Mapping[str, str]) -> dict[str, Any] | None:
    """The manifest that a form confirms; None if it acts on several jobs, and another number was typed."""
    count = int(form["count"])
    if count > 1 and form.get("typed", "").strip().replace(",", "") != str(count):
        return None
    return {"manifestDigest": form["digest"], "count": count}


def numbers_differ() -> tuple[str, int]:
    """Say that another number was typed."""
    jobs = counted(int(request.form["count"]), "job", "jobs")
    detail = f"You typed “{request.form.get('typed', '')}”, but the batch acts on {jobs}. Nothing was sent."
    problem = {"title": "The numbers differ", "detail": detail, "status": HTTPStatus.CONFLICT}
    return render_template("problem.html", problem=problem), HTTPStatus.CONFLICT


def content(batch: str) -> dict[str, Any]:
    """The values of a batch's page."""
    known = api().get(path_of("batches", batch))
    query = [(name, request.args[name]) for name in ("verdict", "outcome", "cursor") if request.args.get(name)]
    items = api().get(f"{path_of('batches', batch)}/items", [*query, ("limit", str(ON_A_PAGE))])
    return {
        "batch": known,
        "items": items,
        "is_going": known["state"] in GOING,
        "is_still": known["state"] in STILL,
        "is_ended": known["state"] in ENDED,
        "commands": commands_for(known, api().caller),
        "sample": sample(known) if known["state"] == "awaiting_confirmation" else None,
        "verdicts": document().words("Verdict"),
        "outcomes": document().words("ItemOutcome"),
        "args": request.args,
    }


def commands_for(batch: Mapping[str, Any], caller: Caller) -> list[str]:
    """The commands that a caller can give: all that are possible for its own batch, those for others for any other."""
    possible = POSSIBLE.get(batch["state"], ())
    is_own = batch["caller"] == caller.name
    return [each for each in possible if is_own or document().is_for_others(f"{each}Batch", caller)]


def sample(batch: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The plan for the first job of a batch, with the exact request, None if it cannot be shown."""
    found = api().get(f"{path_of('batches', batch['id'])}/items", [("verdict", "will_act"), ("limit", "1")])["items"]
    if not found:
        return None
    try:
        plan = planned(batch["action"], found[0]["connection"], found[0]["jobId"])
    except Refused as refusal:
        return {"item": found[0], "problem": refusal.problem}
    return {"item": found[0], "plan": plan}


def selected() -> list[dict[str, str]]:
    """The jobs whose boxes are checked, and those whose ids are pasted."""
    ticked = (json.loads(each) for each in request.form.getlist("job"))
    jobs = [{"connection": connection, "jobId": job_id} for connection, job_id in ticked]
    default = request.form.get("pastedConnection", "")
    for line in request.form.get("pasted", "").splitlines():
        words = line.replace(",", " ").split()
        if len(words) > 1:
            jobs.append({"connection": words[0], "jobId": words[1]})
        elif words:
            jobs.append({"connection": default, "jobId": words[0]})
    return jobs


def _mistake(body: Mapping[str, Any], jobs: Sequence[Mapping[str, str]]) -> str:
    if not body["action"]:
        return "Choose an action."
    if not body["reason"]:
        return "Write a reason. It becomes the note of each action, and stays in the record."
    if not jobs and not request.form.get("all"):
        return "Select at least one job."
    if not all(each["connection"] for each in jobs):
        return "Choose the connection of the pasted ids, or write it before each id."
    return ""


def _add(batch: str, jobs: Sequence[Mapping[str, str]]) -> None:
    """Add many jobs in pages, and have them prepared."""
    for page, some in enumerate(_pages(jobs), 1):
        api().post(f"{path_of('batches', batch)}/items", some, query=[("page", str(page))])
    api().post(f"{path_of('batches', batch)}/prepare")


def _pages(jobs: Sequence[Mapping[str, str]]) -> Iterator[list[Mapping[str, str]]]:
    rest = iter(jobs)
    while some := list(islice(rest, AT_ONCE)):
        yield some
