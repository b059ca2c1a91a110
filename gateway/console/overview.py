"""The first page: what is wrong now, and the way to everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway.console.requests import api
from gateway.console.words import ago, counted

pages = Blueprint("overview", __name__)

BATCHES_THAT_WAIT: Mapping[str, tuple[str, str, str]] = {
    "stopped": ("bad", "stopped", "Read why, then resume or abort."),
    "awaiting_confirmation": ("wait", "waiting to be confirmed", "Nothing is sent until somebody confirms."),
    "awaiting_approval": ("wait", "waiting for a second person", "Nothing is sent until somebody approves."),
    "paused": ("wait", "paused", "Nothing is sent until somebody resumes."),
}
"""The states of batches in which a person has to do something: tone, words, and what follows."""


@dataclass(frozen=True)
class Concern:
    """Something that is wrong, or that waits for a person. `tone` is `bad` or `wait`."""

    tone: str
    title: str
    detail: str
    link: str


@pages.get("/")
def begin() -> AnyResponse:
    """Lead to the overview. A path of the gateway never ends with a slash."""
    return redirect(url_for("overview.page"))


@pages.get("/overview")
def page() -> str:
    """The overview."""
    return render_template("overview.html", **content())


@pages.get("/overview/now")
def now() -> AnyResponse:
    """The part of the overview that changes, for the script of the page; 304 if nothing has."""
    response = make_response(render_template("overview_now.html", **content()))
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    return response.make_conditional(request)


def content() -> dict[str, Any]:
    """The values of the overview, from one call."""
    overview = api().get("/overview")
    concerns = [*unknown(overview), *batches(overview), *approvals(overview), *connections(overview)]
    concerns.sort(key=lambda each: each.tone)  # bad before wait
    going = {state: number for state, number in overview["batches"].items() if state not in BATCHES_THAT_WAIT}
    return {"overview": overview, "concerns": concerns, "going": going}


def unknown(overview: Mapping[str, Any]) -> Iterator[Concern]:
    """The concern about unknown outcomes."""
    count = overview["unknown"]["count"]
    if count:
        since = overview["unknown"]["oldestAt"]
        yield Concern(
            "bad",
            f"{counted(count, 'outcome is', 'outcomes are')} unknown",
            f"The oldest was sent {ago(since)}. Jobgate never sends them again; it reads the jobs until they show.",
            url_for("records.listed", outcome="unknown"),
        )


def batches(overview: Mapping[str, Any]) -> Iterator[Concern]:
    """The concerns about batches. Those whose approval is a concern of its own are none here."""
    shown_as_approvals = {"awaiting_approval"} if overview.get("approvals", {}).get("pending") else set()
    for state, (tone, words, mend) in BATCHES_THAT_WAIT.items():
        count = 0 if state in shown_as_approvals else overview["batches"].get(state, 0)
        if count:
            title = f"{counted(count, 'batch is', 'batches are')} {words}"
            yield Concern(tone, title, mend, url_for("batches.listed", state=state))


def approvals(overview: Mapping[str, Any]) -> Iterator[Concern]:
    """The concerns about decisions of a second person, if the caller can see approvals."""
    waiting = overview.get("approvals", {})
    link = url_for("schedules.approvals")
    late, due = waiting.get("reviewsOverdue", 0), waiting.get("reviewsDue", 0)
    if late:
        title = f"{counted(late, 'review of an emergency is', 'reviews of emergencies are')} overdue"
        yield Concern("bad", title, "Another owner has to look at what was done.", link)
    if due > late:
        title = f"{counted(due - late, 'emergency waits', 'emergencies wait')} for a review"
        yield Concern("wait", title, "Another owner has to look at what was done.", link)
    if waiting.get("pending"):
        title = f"{counted(waiting['pending'], 'approval waits', 'approvals wait')} for a second person"
        yield Concern("wait", title, "Nothing is sent until somebody decides. Approvals expire.", link)


def connections(overview: Mapping[str, Any]) -> Iterator[Concern]:
    """The concerns about connections."""
    for each in overview["connections"]:
        name, link = each["connection"], url_for("connections.shown", name=each["connection"])
        answered = (
            f"It last answered {ago(each['lastSuccessAt'])}." if "lastSuccessAt" in each else "It never answered."
        )
        if each["breaker"] != "closed":
            title = f"{name} does not answer: its breaker is {each['breaker']}"
            yield Concern("bad", title, f"Nothing is sent to it until a trial succeeds. {answered}", link)
        elif each["failures"]:
            title = f"{name} does not answer: {counted(each['failures'], 'call', 'calls')} in a row failed"
            yield Concern("bad", title, answered, link)
        elif each["waiting"]:
            title = f"{name} is slow: {counted(each['waiting'], 'request waits', 'requests wait')}"
            yield Concern("wait", title, answered, link)
        if each["contractDrift"]:
            title = f"{name} departs from its documentation: {counted(each['contractDrift'], 'reply', 'replies')}"
            yield Concern("wait", title, "Its replies do not match the vendor's OpenAPI document.", link)
