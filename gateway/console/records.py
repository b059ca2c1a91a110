"""The records of job actions, as the ledger has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from flask import Blueprint, render_template, request

from gateway.console.api import path_of
from gateway.console.jobs import document
from gateway.console.requests import api
from gateway.console.words import spoken

pages = Blueprint("records", __name__)

ON_A_PAGE = 100
CONDITIONS = ("outcome", "status", "connection", "action", "jobId", "caller", "label", "cursor")


@dataclass(frozen=True)
class Moment:
    """Something that happened to a job action, at a time of the API."""

    at: str
    title: str
    detail: str = ""
    tone: str = "plain"


@pages.get("/actions")
def listed() -> str:
    """The records that meet some conditions, newest first."""
    query = [(name, request.args[name]) for name in CONDITIONS if request.args.get(name)]
    found = api().get("/job-actions", [*query, ("limit", str(ON_A_PAGE))])
    return render_template(
        "records.html",
        found=found,
        args=request.args,
        outcomes=document().words("Outcome"),
        connections=[each["name"] for each in api().get("/connections")["items"]],
    )


@pages.get("/actions/<record>")
def shown(record: str) -> str:
    """One record, with its timeline."""
    known = api().get(path_of("job-actions", record))
    return render_template("record.html", record=known, timeline=sorted(timeline(known), key=attrgetter("at")))


def timeline(record: Mapping[str, Any]) -> Iterator[Moment]:
    """The events of a job action, as a timeline."""
    yield Moment(record["requestedAt"], f"{record['caller']} asked for it", record["parameters"].get("note", ""))
    for number, each in enumerate(record["attempts"], 1):
        again = "" if number == 1 else f" again, attempt {number}"
        yield Moment(each["sentAt"], f"Sent to {record['vendor']}{again}", tone="going")
    for each in record["readings"]:
        status = each.get("job", {}).get("vendorStatus")
        read = f"The job was read: {status}" if status else "The job could not be read"
        yield Moment(each["at"], read, each.get("problem", ""))
    if "completedAt" in record:
        problem = record.get("problem", {})
        by = f" by {spoken(record['settledBy'])}" if "settledBy" in record else ""
        outcome = record.get("outcome", "unknown")
        title = f"The outcome is {spoken(outcome)}, settled{by}"
        yield Moment(record["completedAt"], title, problem.get("detail", ""), outcome)
