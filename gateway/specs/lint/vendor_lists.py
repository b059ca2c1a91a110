"""Rules for vendors' documents: the ways in which lists of jobs go on, and the time ranges that they demand."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.domain.vocabulary import Source
from gateway.specs.document import Document, pointer
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.vendor_parts import Call, calls, reads, source, vendor

WINDOW = frozenset({Source.WINDOW_START, Source.WINDOW_END, Source.WINDOW_INTERVAL})
WHOLE_WINDOWS = (frozenset({Source.WINDOW_START, Source.WINDOW_END}), frozenset({Source.WINDOW_INTERVAL}))
"""The sources that say a whole time range."""
PLACES = ("items", "next", "token", "pages")
"""Members of the `x-job-read` of a list that are places in its reply."""
ONLY_WITH = {"pages": "page.number in the request", "links": "next"}
"""Members of `x-job-read` that say nothing without another."""


def lists_that_do_not_go_on_in_one_way(document: Document) -> Iterator[Fault]:
    """A list goes on in exactly one way: by a link, a token or a number."""
    for read in _lists(document):
        ways = _ways(read)
        if len(ways) != 1:
            found = " and ".join(ways) or "nothing"
            fix = "Keep one of next, token, and page.number in the request."
            yield Fault(read.place, f"{found} leads to the next page", fix)


def members_without_the_other(document: Document) -> Iterator[Fault]:
    """The number of pages is that of numbered pages, and other links come beside the link to the next page."""
    for read in _lists(document):
        for member, other in ONLY_WITH.items():
            if member in read.node and other not in _ways(read):
                yield Fault(f"{read.place}/{member}", f"says nothing without {other}", "Add that, or remove it.")


def pages_that_no_request_asks_for(document: Document) -> Iterator[Fault]:
    """page.cursor carries what leads to the next page: a link's in the query, a token in the query or the body."""
    for read in _lists(document):
        places = [place for place, value in read.node["request"].items() if source(value) == Source.PAGE_CURSOR]
        if {"next", "token"} & read.node.keys() and not places:
            fix = "Add its place to the request, as in `query.continuationToken: page.cursor`."
            yield Fault(f"{read.place}/request", "nothing carries page.cursor", fix)
        for place in places:
            allowed = _places_of_cursors(read)
            if place.partition(".")[0] not in allowed:
                fix = f"Put it into the {' or the '.join(allowed)}." if allowed else "Remove it, or add next or token."
                yield Fault(f"{read.place}/request" + pointer(place), "no page of this list is found here", fix)


def windows_that_do_not_fit(document: Document) -> Iterator[Fault]:
    """A list that demands a time range carries all of it, and no other request carries one."""
    for call in calls(document):
        carried = call.sources & WINDOW
        if "window" in call.node and carried not in WHOLE_WINDOWS:
            fix = "Add window.start and window.end to the request, or window.interval."
            yield Fault(f"{call.place}/request", "does not carry exactly one time range", fix)
        elif "window" not in call.node and carried:
            fix = "Add `window: {days: 14}` to the x-job-read of a list, or remove it."
            yield Fault(f"{call.place}/request", f"{', '.join(sorted(carried))} has no window", fix)


def members_that_nothing_fills(document: Document) -> Iterator[Fault]:
    """Every required member of a page is filled: by the jobs, by what leads to the next page, or by `reply`."""
    common = vendor(document).get("reply", {})
    for read in _lists(document):
        places = [*(read.node.get(name, "") for name in PLACES), *read.node.get("links", ())]
        filled = {place.split(".")[1] for place in (*places, *common, *read.node.get("reply", {})) if "." in place}
        for name in sorted(_required_of_a_page(document, read) - filled):
            fix = f"Add body.{name} to `reply`, as in `body.{name}: {{const: page}}`, or do not require it."
            yield Fault(read.place, f"nothing fills the required body.{name} of the reply", fix)


def _required_of_a_page(document: Document, read: Call) -> set[str]:
    """The members that every page has, as the schema of the reply says."""
    replies = [
        document.resolve(written) for status, written in read.operation.node["responses"].items() if status[0] == "2"
    ]
    schemas = [
        document.resolve(content.get("schema", {})) for each in replies for content in each.get("content", {}).values()
    ]
    combined = [document.resolve(each) for schema in schemas for each in (schema, *schema.get("allOf", ()))]
    return {name for schema in combined for name in schema.get("required", ())}


def _lists(document: Document) -> Iterator[Call]:
    return (read for read in reads(document) if read.node["kind"] == "list")


def _ways(read: Call) -> list[str]:
    """The ways to the next page of a list."""
    numbered = ["page.number in the request"] if Source.PAGE_NUMBER in read.sources else []
    return [name for name in ("next", "token") if name in read.node] + numbered


def _places_of_cursors(read: Call) -> tuple[str, ...]:
    """The locations in a request that page.cursor can have."""
    if "next" in read.node:
        return ("query",)
    return ("query", "body") if "token" in read.node else ()
