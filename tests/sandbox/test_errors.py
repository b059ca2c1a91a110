"""Requests that the vendors' documents do not allow, and how they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.model import HttpRequest, JobAction
from gateway.domain.vocabulary import Meaning
from gateway.engine.wire import http_request
from gateway.specs.operations import Operation
from tests.sandbox.fixtures import SPECIFICATIONS, Answer, VendorClient, call, departures

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def said(client: VendorClient, answer: Answer) -> Any:
    """What an error says, in whichever shape it comes."""
    return client.specification.errors.read({"header": answer.headers, "body": answer.json})


def invalid(client: VendorClient) -> int:
    """The status that the document has for an invalid request."""
    return client.specification.errors.meanings[Meaning.INVALID_REQUEST][0].status


OPERATIONS = [
    pytest.param(vendor.name, operation.operation_id, id=f"{vendor.name}-{operation.operation_id}")
    for vendor in SPECIFICATIONS
    for operation in vendor.api.operations.values()
]


def has_version(name: Any, _operation_id: Any) -> bool:
    """True if every request to the vendor carries something, such as a version."""
    return any(each.request.rules for each in SPECIFICATIONS if each.name == name)


def operation_of(client: VendorClient, operation_id: str) -> Operation:
    """An operation of the vendor's document."""
    return client.specification.api.operations[operation_id]


@pytest.mark.parametrize(("name", "operation_id"), OPERATIONS)
def test_methods_that_are_not_documented(name: str, operation_id: str, clients: dict[str, VendorClient]) -> None:
    """Every other method is answered 405 with all that the address takes, in the vendor's own shape."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    same_path = {each.method for each in client.specification.api.operations.values() if each.path == operation.path}
    documented = same_path | ({"HEAD"} if "GET" in same_path else set())
    for method in {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"} - documented:
        request = client.request(operation)
        answer = client.send(HttpRequest(method, request.url, request.headers))
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, documented)
        if method != "HEAD":
            assert "error.message" in said(client, answer)
            assert answer.media_type in operation.responses["default"].media_types


def test_an_unknown_path(client: VendorClient) -> None:
    """An address that the document does not have is answered 404 in the vendor's own shape, below it and beside it."""
    for path in ("/nothing/here", "/", ""):
        answer = call(client.endpoint + path)
        assert answer.status in {404, invalid(client)}
        assert "error.message" in said(client, answer)
    assert call(f"{client.endpoint}/nothing").status == 404


@pytest.mark.parametrize("path", ["//jobs", "/a/../b", "/a%2Fb", "/a%00", "/a%", "/%ff"])
def test_a_path_that_can_be_read_in_two_ways(path: str, client: VendorClient) -> None:
    """A path that two readers would take differently is an invalid request."""
    answer = call(client.endpoint + path)
    assert answer.status == invalid(client)
    assert "error.message" in said(client, answer)


@pytest.mark.parametrize(("name", "operation_id"), OPERATIONS)
def test_query_parameters_that_are_not_documented(
    name: str, operation_id: str, clients: dict[str, VendorClient]
) -> None:
    """A query parameter that the operation does not have is an invalid request, and the answer names it."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    answer = client.send(client.request(operation, query={"nonsense": "1"}, **example_of(client, operation)))
    assert (answer.status, "nonsense" in said(client, answer)["error.message"]) == (invalid(client), True)
    assert departures(operation, answer) == []


@pytest.mark.parametrize(("name", "operation_id"), [each for each in OPERATIONS if has_version(*each.values)])
def test_what_every_request_carries_is_required(name: str, operation_id: str, clients: dict[str, VendorClient]) -> None:
    """Without the version that every request to the vendor carries, or with another, a request is invalid."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    assert client.specification.request.rules
    for rule in client.specification.request.rules:
        other = {rule.place.location: {rule.place.keys[0]: "other"}}
        answer = client.send(client.request(operation, **{**example_of(client, operation), **other}))
        assert (answer.status, rule.place.keys[0] in said(client, answer)["error.message"]) == (invalid(client), True)
        assert departures(operation, answer) == []


def paged() -> list[Any]:
    """Every query parameter that is a number."""
    return [
        pytest.param(vendor.name, operation.operation_id, parameter.name, id=f"{vendor.name}-{parameter.name}")
        for vendor in SPECIFICATIONS
        for operation in vendor.api.operations.values()
        for parameter in operation.parameters
        if (parameter.location, parameter.type) == ("query", "integer")
    ]


@pytest.mark.parametrize(("name", "operation_id", "parameter"), paged())
@pytest.mark.parametrize("value", ["-1", "1.5", "+1", "1e1", "0x1", "\u0661", "many", "", "9999999999"])
def test_numbers_that_are_none(
    name: str, operation_id: str, parameter: str, value: str, clients: dict[str, VendorClient]
) -> None:
    """A number that is out of bounds, or none in plain decimal digits, is an invalid request that names it."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    answer = client.send(client.request(operation, query={parameter: value}))
    assert (answer.status, parameter in said(client, answer)["error.message"]) == (invalid(client), True)


@pytest.mark.parametrize(("name", "operation_id", "parameter"), paged())
def test_numbers_below_the_bounds(
    name: str, operation_id: str, parameter: str, clients: dict[str, VendorClient]
) -> None:
    """Zero is an invalid request where the document does not allow it, and only there."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    (schema,) = (each.schema for each in operation.parameters if each.name == parameter)
    answer = client.send(client.request(operation, query={parameter: 0}))
    assert (answer.status == invalid(client)) is (schema.get("minimum", 0) > 0)


@pytest.mark.parametrize(("name", "operation_id", "parameter"), paged())
def test_a_parameter_comes_once(name: str, operation_id: str, parameter: str, clients: dict[str, VendorClient]) -> None:
    """A query parameter that comes twice is an invalid request, since nobody can say which one counts."""
    client = clients[name]
    request = client.request(operation_of(client, operation_id), query={parameter: 1})
    answer = client.send(HttpRequest("GET", f"{request.url}&{parameter}=2", request.headers))
    assert answer.status == invalid(client)


def bodies(media_type: str) -> list[Any]:
    """The actions whose request has a body of this type."""
    return [
        pytest.param(vendor.name, action, id=f"{vendor.name}-{action}")
        for vendor in SPECIFICATIONS
        for action, mapping in vendor.actions.items()
        if media_type in mapping.operation.media_types
    ]


@pytest.mark.parametrize(("name", "action"), bodies(JSON))
@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"{}}"])
def test_bodies_that_are_none(name: str, action: str, body: bytes, clients: dict[str, VendorClient]) -> None:
    """A body that is no JSON object is an invalid request and changes nothing."""
    client = clients[name]
    answer, job_id, before = with_body(client, action, body, "application/json")
    assert answer.status == invalid(client)
    assert "error.message" in said(client, answer)
    assert client.status_of(job_id) == before


@pytest.mark.parametrize(("name", "action"), bodies(FORM))
@pytest.mark.parametrize("body", [b"a=%FF", b"\xff", b"a=1&a=2"])
def test_forms_that_are_none(name: str, action: str, body: bytes, clients: dict[str, VendorClient]) -> None:
    """A body that is no form, or has fields that the operation does not have, is invalid and changes nothing."""
    client = clients[name]
    answer, job_id, before = with_body(client, action, body, FORM)
    assert answer.status == invalid(client)
    assert client.status_of(job_id) == before


OTHER_TYPES = [
    pytest.param(*each.values, other, id=f"{each.id}-{other}")
    for own, other in ((JSON, FORM), (FORM, JSON))
    for each in bodies(own)
    for other in ("text/plain", "application/xml", other, "")
]


@pytest.mark.parametrize(("name", "action", "media_type"), OTHER_TYPES)
def test_bodies_of_another_media_type(
    name: str, action: str, media_type: str, clients: dict[str, VendorClient]
) -> None:
    """A body of a type that the operation does not take is answered 415 and changes nothing."""
    client = clients[name]
    answer, job_id, before = with_body(client, action, b"{}", media_type)
    documented = client.specification.errors.meanings[Meaning.INVALID_REQUEST][0]
    assert (answer.status, said(client, answer).get("error.code")) == (415, documented.code)
    assert client.status_of(job_id) == before


def bodiless() -> list[Any]:
    """The operations whose request has no body."""
    return [
        pytest.param(vendor.name, operation.operation_id, id=f"{vendor.name}-{operation.operation_id}")
        for vendor in SPECIFICATIONS
        for operation in vendor.api.operations.values()
        if not operation.media_types
    ]


@pytest.mark.parametrize(("name", "operation_id"), bodiless())
def test_operations_that_take_no_body(name: str, operation_id: str, clients: dict[str, VendorClient]) -> None:
    """An operation that has no body in the document refuses one that says something."""
    client = clients[name]
    operation = operation_of(client, operation_id)
    request = client.request(operation, **example_of(client, operation))
    headers = {**request.headers, "Content-Type": "application/json"}
    assert client.send(HttpRequest(request.method, request.url, headers, b"[1]")).status == 415


@pytest.mark.parametrize("name", [each.name for each in SPECIFICATIONS if each.job_read])
def test_a_job_whose_id_holds_a_verb(name: str, clients: dict[str, VendorClient]) -> None:
    """An id that looks like the end of another address works where it is percent-encoded, for reads and actions."""
    client = clients[name]
    read = client.specification.job_read
    assert read is not None
    action, mapping = next(iter(client.specification.actions.items()))
    job_id = client.vendor.create_job(mapping.from_statuses[0], f"odd:{action}")
    request = http_request(read.operation, read.encode({"job.id": job_id}), client.endpoint)
    assert (client.send(request).status, f"odd%3A{action}" in request.url) == (200, True)
    assert client.perform(action, job_id).status // 100 == 2
    assert client.status_of(job_id) == mapping.to_status


def test_head_is_get_without_a_body(client: VendorClient) -> None:
    """HEAD is answered like GET, without the body."""
    read = next(each for each in client.specification.reads.values() if each.operation.method == "GET")
    values = client.specification.job.decode({"body": client.vendor.jobs()[0]})
    request = http_request(read.operation, read.encode(values), client.endpoint)
    head = HttpRequest("HEAD", request.url, request.headers)
    answer = client.send(head)
    assert (answer.status, answer.content) == (200, b"")
    assert answer.media_type == client.send(request).media_type


def with_body(client: VendorClient, action: str, body: bytes, media_type: str) -> tuple[Answer, str, str]:
    """Ask for an action with another body; gives the answer, the job, and its status before."""
    status = client.specification.actions[action].from_statuses[0]
    job_id = client.vendor.create_job(status)
    request = client.action_request(JobAction(action, job_id))
    headers = {**request.headers, "Content-Type": media_type}
    return client.send(HttpRequest(request.method, request.url, headers, body)), job_id, status


def example_of(client: VendorClient, operation: Operation) -> dict[str, Any]:
    """A request of the operation that would be carried out."""
    mapping = next((each for each in client.specification.actions.values() if each.operation is operation), None)
    if mapping is None:
        return {name: each for name, each in operation.example.items() if name == "body"}
    request = mapping.encode(JobAction(mapping.action, client.vendor.create_job(mapping.from_statuses[0])))
    return {"path": request.path, "body": request.body}
