"""Pages of job lists, in the vendor's own form of paging."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.domain.model import Json
from gateway.domain.vocabulary import Meaning, Source
from gateway.sandbox.examples import Examples, VendorJob
from gateway.sandbox.refusal import Refusal
from gateway.specs.document import SpecificationError
from gateway.specs.numbered_pages import Part, numbered_page, page_body
from gateway.specs.vendor import ReadMapping, VendorSpecification
from gateway.specs.windows import Window

GROUPS = (Source.JOB_QUEUE, Source.JOB_TYPE)
"""The values of a job, beside its status, by which lists are filtered."""


class Pages:
    """The pages of one list operation."""

    def __init__(self, specification: VendorSpecification, read: ReadMapping, examples: Examples) -> None:
        """Page this operation. Raises SpecificationError if it has next links or tokens, and no place for them."""
        self._specification = specification
        self._read = read
        self._examples = examples
        self._limit = read.usual_page()
        self._continuation = _continuation(specification, read) if read.next_page else ""

    def body(self, jobs: Sequence[VendorJob], parts: Mapping[str, Json], url: str) -> Mapping[str, Json]:
        """The body of the page for a request `{path, query, header}` to `url`.

        Raises Refusal: unknown-job if its cursor is not that of a next page, invalid-request if its time range is not
        one.
        """
        values = self._read.clients_lens.decode(parts)
        _check_window(values)
        query: Any = parts.get("query", {})
        limit = int(str(values.get(Source.PAGE_LIMIT, self._limit)))
        wanted = self._wanted(jobs, values, query)
        if self._read.next_page:
            return self._continued(wanted, self._after(wanted, jobs, values.get(Source.PAGE_CURSOR)), limit, url)
        number = int(str(values.get(Source.PAGE_NUMBER, 1)))
        start = (number - 1) * limit
        part = Part(self._shown(wanted[start : start + limit]), number, limit, len(wanted))
        return numbered_page(self._read, part)

    def _shown(self, jobs: Sequence[VendorJob]) -> list[VendorJob]:
        return [self._examples.shown(self._read, job) for job in jobs]

    def _wanted(
        self, jobs: Sequence[VendorJob], values: Mapping[str, Json], query: Mapping[str, Json]
    ) -> list[VendorJob]:
        """The jobs with the requested status, queue and type, and with the members that the query requires."""
        read = {rule.place.keys[0] for rule in self._read.lens.rules}
        named = {name for job in jobs for name in job} - read
        members = [(name, each) for name, each in query.items() if name in named]
        return [
            job
            for job in jobs
            if self._selected(job, values.get(Source.JOB_VENDOR_STATUS))
            and all(
                values.get(name) in {None, self._specification.job.lens.read(name, {"body": job})} for name in GROUPS
            )
            and all(job.get(name) == each for name, each in members)
        ]

    def _selected(self, job: VendorJob, selector: Json) -> bool:
        wanted = self._read.selected(selector)
        return not wanted or self._examples.status_of(job) in wanted

    def _after(self, wanted: list[VendorJob], jobs: Sequence[VendorJob], token: Json) -> list[VendorJob]:
        """The wanted jobs after the last one of the previous page."""
        if token is None:
            return wanted
        ids = [self._examples.id_of(job) for job in jobs]
        last = _unsealed(str(token))
        if last not in ids:
            raise Refusal(Meaning.UNKNOWN_JOB)
        later = set(ids[ids.index(last) + 1 :])
        return [job for job in wanted if self._examples.id_of(job) in later]

    def _continued(self, wanted: list[VendorJob], rest: list[VendorJob], limit: int, url: str) -> Mapping[str, Json]:
        """The first page of the rest, with a link or a token for the next one."""
        shown, following = rest[:limit], None
        if len(rest) > limit:
            following = _sealed(self._examples.id_of(shown[-1]))
        if following is not None and self._read.next_link:
            following = _with_query(url, self._continuation, following)
        counts: dict[str, Json] = {
            Source.PAGE_LIMIT: limit,
            Source.PAGE_COUNT: len(shown),
            Source.PAGE_TOTAL: len(wanted),
        }
        return page_body(self._read, self._shown(shown), counts, {self._read.next_page: following})


def _continuation(specification: VendorSpecification, read: ReadMapping) -> str:
    """The name of the place that carries a link's or a token's cursor."""
    place = read.lens.place_of(Source.PAGE_CURSOR)
    if place is None:
        message = (
            f"{read.operation.operation_id} has pages that follow by a link or a token, and no place for it in the "
            "request. Name one in its x-job-read, as in `query.continuationToken: page.cursor`."
        )
        raise SpecificationError(f"{specification.api.document.path}: {message}")
    return place.keys[0]


def _check_window(values: Mapping[str, Json]) -> None:
    """Refuse a time range that is none. It chooses no jobs: those of the sandbox have the times of the examples.

    Raises Refusal (invalid-request).
    """
    try:
        Window.of(values)
    except ValueError as error:
        raise Refusal(Meaning.INVALID_REQUEST, f"The request is not valid: {error}.") from error


def _sealed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def _unsealed(token: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        return None


def _with_query(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    others = [each for each in parse_qsl(parts.query, keep_blank_values=True) if each[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*others, (name, value)])))
