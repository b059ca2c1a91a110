"""A dry run shows the request that would be sent, and sends none."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.model import JobAction
from gateway.domain.record import Selection
from tests.support.asgi import call
from tests.support.scripted_engine import MakeEngine, ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import (
    ACCESS_KEY,
    AZURE,
    AZURE_JOB,
    CLIENT_SECRET,
    TARGETS,
    VONAGE_JOB,
    Target,
    azure_error,
    azure_job,
    completed_job,
)


async def dry_run(made: ScriptedEngine, target: Target, status: int = 200) -> dict[str, Any]:
    """What the API answers to a dry run of an action of the documents."""
    address = f"/v1/connections/{target.connection}/jobs/{target.job_id}/{target.action}?dryRun=true"
    answer = await call(made.gateway.application, "POST", address, target.parameters or None)
    assert answer.status == status, answer.body
    assert made.actions_sent == []
    assert (await made.ledger.page(Selection(caller="default"), 10, None)).items == ()
    body: dict[str, Any] = answer.json
    return body


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_it_is_the_request_that_would_be_sent(make_engine: MakeEngine, target: Target) -> None:
    """Method, URL, body and headers are those of the real request, credentials excepted; nobody is asked."""
    made = make_engine()
    shown = (await dry_run(made, target))["vendorRequest"]
    assert made.transport.requests == []
    made = make_engine(*target.before(), target.applied)
    await made.perform(target)
    (sent,) = made.sent
    assert (shown["method"], shown["url"], shown.get("body", "").encode()) == (sent.method, sent.url, sent.content)
    # The real one was asked for without the API, which gives each request an id.
    del shown["headers"]["X-Request-Id"]
    assert shown["headers"].keys() == sent.headers.keys()
    open_ones = {name: value for name, value in shown["headers"].items() if "[redacted]" not in value}
    assert open_ones.items() <= sent.headers.items()
    assert sent.headers.keys() - open_ones.keys() == {"Authorization"}


@pytest.mark.parametrize("target", TARGETS, ids=str)
async def test_no_credentials_are_shown(make_engine: MakeEngine, target: Target) -> None:
    """The headers that prove who asks are redacted, and no secret of the settings is anywhere in the answer."""
    shown = await dry_run(make_engine(), target)
    assert shown["vendorRequest"]["headers"]["Authorization"] in {"[redacted]", "Bearer [redacted]"}
    for secret in (ACCESS_KEY, CLIENT_SECRET, "Signature="):
        assert secret not in str(shown)


async def test_an_assignment_is_looked_up(make_engine: MakeEngine) -> None:
    """Where an assignment must be found, the job is read, and the URL holds what was found."""
    made = make_engine(reply(200, completed_job("a-1")))
    address = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/close?dryRun=true"
    answer = await call(made.gateway.application, "POST", address)
    assert answer.json["vendorRequest"]["url"] == (
        f"{AZURE}/routing/jobs/{AZURE_JOB}/assignments/a-1:close?api-version=2023-11-01"
    )
    assert [request.method for request in made.sent] == ["GET"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (reply(200, completed_job()), 409, "ambiguous-parameter"),
        (reply(200, completed_job("a", "b")), 409, "ambiguous-parameter"),
        (reply(200, azure_job("queued")), 409, "wrong-state"),
        (azure_error(404, "NotFound"), 404, "unknown-job"),
        (reply(500), 502, "vendor-error"),
    ],
)
async def test_it_fails_as_the_real_request_would(make_engine: MakeEngine, answer: Any, status: int, code: str) -> None:
    """A dry run fails for the same reasons as the real request."""
    address = f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}/close?dryRun=true"
    problem = await call(make_engine(answer).gateway.application, "POST", address)
    assert (problem.status, problem.json["code"]) == (status, code)


async def test_warnings_are_shown(make_engine: MakeEngine) -> None:
    """A dry run warns of parameters that would only be recorded."""
    address = f"/v1/connections/vonage-emea/jobs/{VONAGE_JOB}/cancel?dryRun=true"
    answer = await call(make_engine().gateway.application, "POST", address, {"note": "why"})
    assert [each["parameter"] for each in answer.json["warnings"]] == ["note"]
    assert "body" not in answer.json["vendorRequest"]


async def test_an_id_that_the_vendor_cannot_have(make_engine: MakeEngine) -> None:
    """A dry run finds the same fault in an id as the real request."""
    answer = await call(
        make_engine().gateway.application, "POST", "/v1/connections/vonage-emea/jobs/7/cancel?dryRun=true"
    )
    assert (answer.status, answer.json["code"]) == (404, "unknown-job")


async def test_the_engine_gives_the_redacted_request_too(make_engine: MakeEngine) -> None:
    """The redaction is the engine's, so that no other surface can forget it."""
    made = make_engine()
    request = made.request("vonage-emea", "cancel", VONAGE_JOB)
    preview = await made.actions.preview(request)
    assert request.job_action == JobAction("cancel", VONAGE_JOB)
    assert preview.request.headers["Authorization"] == "Bearer [redacted]"
