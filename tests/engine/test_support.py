"""What a vendor does not support is an answer, given from the documents before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.model import JobAction, Json
from gateway.domain.record import Selection
from gateway.engine.action import ActionRequest
from gateway.engine.support import supported
from gateway.specs.capabilities import Support
from tests.support.asgi import call
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import AZURE_JOB, VONAGE_JOB, token

AZURE_JOBS = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}"
VONAGE_JOBS = f"/v1/connections/vonage-emea/jobs/{VONAGE_JOB}"

LONG_PAST = "2020-01-01T00:00:00Z"


async def refused(made: ScriptedEngine, target: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """The problem of a request that is refused without asking the vendor and without a record."""
    answer = await call(made.gateway.application, "POST", target, body, list(headers.items()))
    assert made.transport.requests == []
    assert (await made.ledger.page(Selection(caller="default"), 10, None)).items == ()
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert (answer.status, problem["status"], problem["outcome"]) == (422, 422, "not_sent")
    return problem


@pytest.mark.parametrize(
    ("target", "has"),
    [
        (f"{AZURE_JOBS}/pause", ["cancel", "close", "complete", "unassign"]),
        (f"{AZURE_JOBS}/restart", ["cancel", "close", "complete", "unassign"]),
        (f"{VONAGE_JOBS}/close", ["cancel", "pause", "restart"]),
        (f"{VONAGE_JOBS}/close?dryRun=true", ["cancel", "pause", "restart"]),
    ],
)
async def test_an_action_that_the_vendor_does_not_have(make_engine: MakeEngine, target: str, has: list[str]) -> None:
    """422 before any call, with the actions that the vendor does have; a dry run is no exception."""
    problem = await refused(make_engine(), target)
    assert (problem["code"], sorted(problem["supported"])) == ("action-not-supported", has)


async def test_a_parameter_that_would_change_what_happens_is_refused(make_engine: MakeEngine) -> None:
    """A parameter that may not be left out silently is refused, by name, with those that the vendor can carry."""
    made = make_engine()
    request = made.request("contoso-prod", "close", AZURE_JOB, {"closeAt": LONG_PAST, "note": "why"})
    capability = request.connection.vendor.capabilities["close"]
    assert capability.parameters == dict.fromkeys(capability.parameters, Support.NATIVE)
    assert supported(request).warnings == ()


@pytest.mark.parametrize("action", ["cancel", "restart", "pause"])
@pytest.mark.parametrize("given", [{"note": "why"}, {"note": "why", "dispositionCode": "Done"}])
async def test_what_can_only_be_recorded_is_recorded_and_said(
    make_engine: MakeEngine, action: str, given: dict[str, Json]
) -> None:
    """A note that Vonage cannot carry is kept in the record with a warning, and not sent."""
    made = make_engine(token(), reply(204))
    answer = await call(made.gateway.application, "POST", f"{VONAGE_JOBS}/{action}", given)
    assert answer.status == 200
    assert answer.json["parameters"] == given
    assert [(each["code"], each["parameter"]) for each in answer.json["warnings"]] == [
        ("recorded-only", name) for name in given
    ]
    assert made.sent[0].content == b""
    assert "why" not in made.sent[0].url


@pytest.mark.parametrize("action", ["cancel", "close"])
async def test_what_the_vendor_carries_is_no_warning(make_engine: MakeEngine, action: str) -> None:
    """Azure carries note and disposition: both are sent, nothing is warned of."""
    made = make_engine(reply(200, {}))
    given = {"note": "why", "dispositionCode": "Done"} | ({"assignmentId": "a"} if action == "close" else {})
    answer = await call(made.gateway.application, "POST", f"{AZURE_JOBS}/{action}", given)
    assert answer.json["warnings"] == []
    assert made.sent[0].content == b'{"dispositionCode":"Done","note":"why"}'


STRICT = ["handling=strict", 'handling="strict"', "Handling = Strict", "respond-async, handling=strict; a=b"]


@pytest.mark.parametrize("prefer", STRICT)
async def test_a_strict_caller_is_refused_instead_of_warned(make_engine: MakeEngine, prefer: str) -> None:
    """Prefer: handling=strict, in any of its spellings, turns the warning into 422."""
    problem = await refused(make_engine(), f"{VONAGE_JOBS}/cancel", {"note": "why"}, prefer=prefer)
    assert problem["code"] == "parameter-not-supported"
    assert [each["pointer"] for each in problem["errors"]] == ["/body/note"]
    assert problem.get("supported", []) == []


async def test_a_preference_in_a_second_field_counts_too(make_engine: MakeEngine) -> None:
    """Prefer may be sent in several fields (RFC 7240, 2), and the strict one is not lost."""
    made = make_engine()
    headers = [("prefer", "respond-async"), ("prefer", "handling=strict")]
    answer = await call(made.gateway.application, "POST", f"{VONAGE_JOBS}/cancel", {"note": "why"}, headers)
    assert (answer.status, answer.json["code"]) == (422, "parameter-not-supported")


@pytest.mark.parametrize("prefer", ["handling=lenient", "handling", "strict", "xhandling=strict", ""])
async def test_other_preferences_are_ignored(make_engine: MakeEngine, prefer: str) -> None:
    """A preference that we do not know changes nothing, as RFC 7240 wants it."""
    made = make_engine(token(), reply(204))
    headers = [("prefer", prefer)]
    answer = await call(made.gateway.application, "POST", f"{VONAGE_JOBS}/cancel", {"note": "why"}, headers)
    assert answer.status == 200
    assert "preference-applied" not in answer.headers


async def test_a_strict_request_without_such_parameters_is_carried_out(make_engine: MakeEngine) -> None:
    """Strict refuses only what would be left out, and the answer says that the preference was honoured."""
    made = make_engine(token(), reply(204))
    headers = [("prefer", "handling=strict")]
    answer = await call(made.gateway.application, "POST", f"{VONAGE_JOBS}/cancel", None, headers)
    assert (answer.status, answer.headers["preference-applied"]) == (200, "handling=strict")


async def test_several_parameters_that_are_refused_are_all_named(make_engine: MakeEngine) -> None:
    """One answer names every parameter that stands in the way."""
    given = {"note": "why", "dispositionCode": "Done"}
    problem = await refused(make_engine(), f"{VONAGE_JOBS}/restart", given, prefer="handling=strict")
    assert [each["pointer"] for each in problem["errors"]] == ["/body/note", "/body/dispositionCode"]


@pytest.mark.parametrize("action", ["cancel", "close", "pause", "restart"])
def test_every_action_of_the_api_has_an_answer_for_every_vendor(make_engine: MakeEngine, action: str) -> None:
    """For each vendor and action there is a capability, so that no combination is an accident."""
    connections = make_engine().gateway.directory.connections
    assert connections
    for connection in connections.values():
        capability = connection.vendor.capabilities[action]
        request = ActionRequest(connection, JobAction(action, "x"), "somebody")
        if capability.mapping is not None:
            assert supported(request).mapping is capability.mapping
        assert capability.definition.name == action
