"""The law of lenses: what a document's mapping writes, it reads back, for values of every type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from gateway.app import Catalogue
from gateway.domain.model import JobAction, Json
from gateway.domain.vocabulary import PARAMETER, Source
from gateway.engine.connections import Vendor
from gateway.kit.checks import Check, Place
from gateway.kit.stand import Stand
from gateway.specs.document import Document
from gateway.specs.forms import schema_at
from gateway.specs.lens import Lens
from gateway.specs.lens import Place as MessagePlace
from gateway.specs.operations import Operation, request_schema_at
from gateway.specs.vendor import ActionMapping, ErrorReply

Schemas = Callable[[MessagePlace], Mapping[str, Any]]
"""Returns the schema of the value at a place; empty if the document has none."""

VALUES = 10
"""Values that are tried for each example that was asked for: they cost far less than requests."""
MEND = "Correct the mapping, or the schema of the place, so that each value has one form at the vendor."


def checks(_catalogue: Catalogue, vendor: Vendor) -> Iterator[Check]:
    """The checks of all lenses of a document."""
    specification = vendor.specification
    for action in vendor.supported_actions:
        yield Check.of(action_reads_back, action)
        yield Check.of(action_has_only_parameters_of_the_unified_api, action)
    yield Check.of(request_is_one_action)
    for operation_id in specification.reads:
        yield Check.of(read_reads_back, operation_id)
        yield Check.of(read_is_no_action, operation_id)
    yield Check.of(job_reads_back)
    for envelope in specification.errors.envelopes:
        yield Check.of(error_reads_back, envelope)


def action_reads_back(stand: Stand, action: str) -> None:
    """decode(encode(values)) == values, for all that the request of an action can carry."""
    mapping = stand.specification.actions[action]
    _expect_law(stand, f"x-job-action of {action}", mapping.lens, _of_requests(stand, mapping.operation))


def action_has_only_parameters_of_the_unified_api(stand: Stand, action: str) -> None:
    """The parameters of a request are those that the unified API has for the action, or that are found."""
    mapping = stand.specification.actions[action]
    known = stand.running.gateway.catalogue.actions[action].parameters.keys() | mapping.find.keys()
    unknown = mapping.parameters - known
    place = Place(f"x-job-action of {action}", "Use the names of the unified API, or find the value by `find`.")
    place.require(not unknown, f"the unified API has no {', '.join(sorted(unknown))}")


def request_is_one_action(stand: Stand) -> None:
    """Of several actions on one operation, a request is understood as the one that made it, or as those alike."""
    for mapping in stand.specification.actions.values():
        _for_all(stand, mapping.lens, _of_requests(stand, mapping.operation), partial(_expect_action, stand, mapping))


def _expect_action(stand: Stand, mapping: ActionMapping, values: Mapping[str, Json]) -> None:
    job_action = _job_action(mapping, values)
    request = mapping.encode(job_action)
    understood = stand.specification.decode(request.operation_id, request.parts())
    place = Place(f"x-job-action of {mapping.action}", "Let a constant in the request tell the actions apart.")
    alike = [each for each in stand.specification.actions.values() if each.is_alike(mapping)]
    place.require(job_action in understood, f"the request is read back as {understood}")
    place.expect("the number of its readings", len(understood), len(alike))


def read_reads_back(stand: Stand, operation_id: str) -> None:
    """decode(encode(values)) == values, for all that the request of a read can carry."""
    read = stand.specification.reads[operation_id]
    _expect_law(stand, f"x-job-read of {operation_id}", read.lens, _of_requests(stand, read.operation))


def read_is_no_action(stand: Stand, operation_id: str) -> None:
    """A read asks for no job action."""
    read = stand.specification.reads[operation_id]
    place = Place(f"x-job-read of {operation_id}", "Let reads and actions be different operations.")
    parts = read.encode({Source.JOB_ID: "1", Source.PAGE_LIMIT: 1}).parts()
    place.expect("the action of a read", stand.specification.decode(operation_id, parts), ())


def job_reads_back(stand: Stand) -> None:
    """decode(encode(values)) == values, for the values of a job."""
    _expect_law(stand, "x-job-vendor.job", stand.specification.job.lens, lambda place: _of_jobs(stand, place))


def error_reads_back(stand: Stand, envelope: str) -> None:
    """Each documented error, written in an envelope, is read back with its code, its message and its meaning."""
    errors = stand.specification.errors
    for meaning, replies in errors.meanings.items():
        for reply in replies:
            written = errors.write(reply, "/", [reply.envelope or envelope])
            found = errors.read(written)
            place = Place(
                f"errors.meanings.{meaning}", f"Give the envelope {envelope} a place for the code and message."
            )
            place.expect(
                "its message, read back,", found.get(Source.ERROR_MESSAGE), _first_line(reply, errors, envelope)
            )
            code = found.get(Source.ERROR_CODE)
            meanings = errors.meanings_of(reply.status, None if code is None else str(code))
            place.require(meaning in meanings, f"it is read as {', '.join(meanings) or 'nothing'}")


def _first_line(reply: ErrorReply, errors: Any, envelope: str) -> str | None:
    carries = Source.ERROR_MESSAGE in errors.envelopes[reply.envelope or envelope].sources
    return reply.message if carries else None


def _expect_law(stand: Stand, where: str, lens: Lens, schemas: Schemas) -> None:
    _for_all(stand, lens, schemas, partial(_expect_same, Place(where, MEND), lens))


def _expect_same(place: Place, lens: Lens, values: Mapping[str, Json]) -> None:
    place.expect("what was written, read back,", lens.decode(lens.encode(values)), values)


def _for_all(stand: Stand, lens: Lens, schemas: Schemas, holds: Callable[[Mapping[str, Json]], None]) -> None:
    """Try generated values. Raises what `holds` raises, for the smallest values that Hypothesis finds."""
    from hypothesis import HealthCheck, Phase, given, settings

    from gateway.kit.values import values_of

    tried = settings(
        max_examples=VALUES * stand.examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @tried
    @given(values_of(lens, schemas))
    def law(values: Mapping[str, Json]) -> None:
        holds(values)

    law()


def _job_action(mapping: ActionMapping, values: Mapping[str, Json]) -> JobAction:
    parameters = {name.removeprefix(PARAMETER): value for name, value in values.items() if name.startswith(PARAMETER)}
    version = values.get(Source.JOB_VERSION)
    return JobAction(mapping.action, str(values[Source.JOB_ID]), parameters, None if version is None else str(version))


def _of_requests(stand: Stand, operation: Operation) -> Schemas:
    document = stand.specification.api.document
    return lambda place: request_schema_at(document, operation, place)


def _of_jobs(stand: Stand, place: MessagePlace) -> Mapping[str, Any]:
    """The schema of a member of a job, from the reply to a read of one job."""
    read, document = stand.specification.job_read, stand.specification.api.document
    if read is None:
        return {}
    around = read.item.keys if read.item else ()
    return schema_at(document, _reply_schema(document, read.operation), (*around, *place.keys))


def _reply_schema(document: Document, operation: Operation) -> Mapping[str, Any]:
    node = document.content["paths"][operation.path][operation.method.lower()]
    response = document.resolve(node["responses"]["200"])
    schema: Mapping[str, Any] = next(iter(response.get("content", {}).values()), {"schema": {}})["schema"]
    return schema
