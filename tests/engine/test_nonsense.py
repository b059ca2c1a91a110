"""Vendors that answer nonsense: the caller gets a documented answer, never an error of the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import Catalogue
from gateway.domain.model import HttpReply, HttpRequest
from tests.support.asgi import Answer, call
from tests.support.problems import Problems
from tests.support.sampling import amount
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import AZURE, AZURE_JOB, VONAGE_JOB, azure_job, token, vonage_job

NAMES = [
    "id", "jobId", "status", "value", "jobs", "paging", "count", "nextLink", "error", "communicationError", "code",
    "message", "enqueuedAt", "startDate", "completedAt", "closedAt",
]  # fmt: skip
WORDS = ["queued", "completed", "Running", "2026-01-05T08:00:00Z", f"{AZURE}/routing/jobs?api-version=2023-11-01&x=1"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(st.characters(), max_size=300),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), inner, max_size=5),
    ),
    max_leaves=12,
)
assignments = st.dictionaries(
    st.text(max_size=9),
    st.dictionaries(st.sampled_from(["completedAt", "closedAt", "x"]), values, max_size=2),
    max_size=2,
)
azure_jobs = st.builds(
    lambda more, assigned: {**azure_job("completed"), **more, "assignments": assigned},
    st.dictionaries(st.sampled_from(NAMES), values),
    assignments,
)
vonage_jobs = st.builds(lambda more: {**vonage_job("Running"), **more}, st.dictionaries(st.sampled_from(NAMES), values))
jobs = st.one_of(azure_jobs, vonage_jobs)
lists = st.fixed_dictionaries(
    {"value": st.lists(azure_jobs, max_size=3), "jobs": st.lists(vonage_jobs, max_size=3)},
    optional={"nextLink": scalars, "paging": values},
)
replies = st.builds(
    lambda status, body, header: HttpReply(
        status, {"trace-id": header, "retry-after": header, "x-ms-error-code": header[:5]}, json.dumps(body).encode()
    ),
    st.sampled_from([200, 200, 200, 202, 204, 302, 400, 404, 409, 422, 429, 500, 503]),
    st.one_of(values, jobs, lists),
    st.text(st.characters(), max_size=20),
)

REQUESTS = [
    ("GET", f"contoso-prod/jobs/{AZURE_JOB}?include=vendor"),
    ("GET", "contoso-prod/jobs?include=vendor"),
    ("POST", f"contoso-prod/jobs/{AZURE_JOB}/cancel"),
    ("POST", f"contoso-prod/jobs/{AZURE_JOB}/close"),
    ("GET", f"vonage-emea/jobs/{VONAGE_JOB}?include=vendor"),
    ("GET", "vonage-emea/jobs?status=running"),
    ("POST", f"vonage-emea/jobs/{VONAGE_JOB}/cancel"),
]

SUCCESSES = {200: "applied", 202: "unknown"}
"""The outcomes of job actions that are no problems, by the status that they are answered with."""


@pytest.fixture(scope="module")
def engine_of_all(catalogue: Catalogue) -> ScriptedEngine:
    """One engine for all tests here, because making one takes longer than a request."""
    wired = ScriptedEngine(catalogue)
    wired.transport.script = [token(seconds=1_000_000)]
    connection = wired.connection("vonage-emea")
    asyncio.run(connection.credentials.headers(HttpRequest("GET", "", {}), wired.calls.context().deadline))
    return wired


async def ask(engine_of_all: ScriptedEngine, method: str, target: str, answers: list[HttpReply]) -> Answer:
    """One request to a gateway whose vendor gives these answers, the last of them again and again, and then an error.

    Looking for a job on a thousand pages is another test's business.
    """
    engine_of_all.transport.script = [*answers, *answers[-1:] * 5, *[reply(500)] * 3]
    engine_of_all.transport.requests.clear()
    return await call(engine_of_all.gateway.application, method, f"/v1/connections/{target}")


@pytest.mark.parametrize(("method", "target"), REQUESTS)
@settings(max_examples=amount(whole=80, sample=20), deadline=None)
@given(answers=st.lists(replies, min_size=1, max_size=3))
async def test_whatever_a_vendor_answers(
    engine_of_all: ScriptedEngine, problems: Problems, method: str, target: str, answers: list[HttpReply]
) -> None:
    """The answer is a documented one, and never an error of the gateway; and the record can be read afterwards."""
    answer = await ask(engine_of_all, method, target, answers)
    problem: Any = problems.check(answer, answer.headers) if answer.status >= 400 else {}
    assert problem.get("code") != "gateway-error"
    assert len(engine_of_all.actions_sent) <= 1
    listed = await call(engine_of_all.gateway.application, "GET", "/v1/job-actions?limit=1")
    assert listed.status == 200
    if method == "POST":
        assert listed.json["items"][0]["outcome"] == problem.get("outcome", SUCCESSES.get(answer.status))


@pytest.mark.parametrize("levels", [1, 50, 150, 250, 300, 500, 700, 900, 980, 1_000, 2_000])
@pytest.mark.parametrize("target", ["contoso-prod/jobs/7?include=vendor", "contoso-prod/jobs?include=vendor"])
async def test_a_job_of_any_depth(engine_of_all: ScriptedEngine, target: str, levels: int) -> None:
    """A job that nests deeper than we can follow is not understood, and that is the vendor's fault."""
    inner = b'{"a":' * levels + b"1" + b"}" * levels
    job = b'{"id": "7", "status": "queued", "labels": ' + inner + b"}"
    body = job if "/7" in target else b'{"value": [' + job + b"]}"
    answer = await ask(engine_of_all, "GET", target, [reply(200, body)])
    assert answer.status in {200, 502}
    assert levels > 250 or answer.status == 200
