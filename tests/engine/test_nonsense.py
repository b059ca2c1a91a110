"""Vendors that answer nonsense: the caller gets a documented answer, never an error of the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import Catalogue
from gateway.domain.model import HttpReply, HttpRequest
from gateway.sandbox.settings import Credentials
from gateway.settings.settings import ConnectionSettings
from gateway.specs.security import kind_of_settings
from tests.support.asgi import Answer, call
from tests.support.documents import installed
from tests.support.problems import Problems
from tests.support.sampling import amount
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import (
    AZURE,
    AZURE_JOB,
    TOKEN_URL,
    VONAGE_JOB,
    azure_job,
    token,
    vonage_job,
)
from tests.support.vendors import settings as usual_settings

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


# Every installed vendor, with the examples of its document as they never should be

VENDORS = installed().vendors


@st.composite
def spoiled(draw: st.DrawFn, vendor: str) -> HttpReply:
    """An example of a reply in a vendor's document, in which some values are others, or missing."""
    body = deepcopy(draw(st.sampled_from(examples_of(vendor))))
    for _ in range(draw(st.integers(0, 4))):
        around, key = draw(st.sampled_from([*slots_of(body)] or [([None], 0)]))
        if draw(st.booleans()):
            around[key] = draw(values)
        elif isinstance(around, dict):
            del around[key]
    return reply(draw(st.sampled_from([200, 200, 200, 202, 204, 404, 410])), json.dumps(body).encode())


def examples_of(vendor: str) -> list[Any]:
    """The bodies of all documented replies of success that have examples."""
    document = VENDORS[vendor].specification.api.document
    operations = [each for item in document.content["paths"].values() for each in item.values() if "responses" in each]
    replies = [document.resolve(reply) for each in operations for reply in each["responses"].values()]
    media = [kind for each in replies for kind in each.get("content", {}).values()]
    return [document.resolve(each)["value"] for kind in media for each in kind.get("examples", {}).values()]


def slots_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a body: the object or list around it, and its name or number there."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield value, key
        yield from slots_of(member)


def connection_to(vendor: str) -> ConnectionSettings:
    """A connection to a vendor's account, with credentials that nobody checks."""
    known = VENDORS[vendor]
    document = known.specification.api.document
    scheme = next(iter(document.content["security"][0]))
    kind = str(kind_of_settings(known.adapter, document, scheme))
    written = {"kind": kind, "scheme": scheme, **Credentials().parts(kind)}
    if kind == "client-credentials":
        written["token_url"] = TOKEN_URL
    return ConnectionSettings.model_validate(
        {
            "vendor": vendor,
            "endpoint": "https://vendor.example",
            "values": known.specification.example_values,
            "authentication": written,
            "quota": "none",
        }
    )


@pytest.fixture(scope="module")
def engine_of_vendors(catalogue: Catalogue) -> ScriptedEngine:
    """One engine for all vendors, whose connections have the vendors' names."""
    connections = {name: connection_to(name) for name in VENDORS}
    made = ScriptedEngine(catalogue, (), usual_settings().model_copy(update={"connections": connections}))
    made.reconciler.stopping.set()  # nobody waits for the end of what a vendor accepts, while the clock stands still
    return made


def asked_of(vendor: str) -> list[tuple[str, str]]:
    """Every read, every action and a termination, on the unified API; and the reads of other vendors' clients."""
    specification = VENDORS[vendor].specification
    job = specification.job.id_of(specification.examples[0])
    root = f"/v1/connections/{vendor}/jobs"
    acts = [*specification.actions, "terminate", "terminate?dryRun=true"]
    # The vendor's own clients get its replies as they are.
    other = "vonage-contact-center/{}/interactions" if vendor == "azure-job-router" else "azure-job-router/{}/routing"
    natively = f"/native/{other.format(vendor)}/jobs"
    return [
        *(("GET", f"{root}{query}") for query in ("", "?status=queued", f"/{job}?include=vendor")),
        *(("POST", f"{root}/{job}/{action}") for action in acts),
        ("GET", f"{natively}?api-version=2023-11-01&status=active"),
        ("GET", f"{natively}/{job}?api-version=2023-11-01"),
    ]


@pytest.mark.parametrize(
    ("vendor", "method", "target"), [(vendor, *asked) for vendor in VENDORS for asked in asked_of(vendor)]
)
@settings(max_examples=amount(whole=60, sample=8), deadline=None)
@given(data=st.data())
async def test_whatever_any_vendor_answers(
    engine_of_vendors: ScriptedEngine, vendor: str, method: str, target: str, data: st.DataObject
) -> None:
    """Neither the gateway nor an adapter fails at a reply that is almost as the vendor's document says.

    That what an adapter has found in a job cannot be sent is said to be its fault.
    """
    answers = iter(data.draw(st.lists(spoiled(vendor), min_size=1, max_size=4)))

    def answer(request: HttpRequest) -> HttpReply:
        return token(seconds=1_000_000) if request.url == TOKEN_URL else next(answers, reply(503))

    engine_of_vendors.transport.otherwise = answer
    found = await call(engine_of_vendors.gateway.application, method, target)
    assert found.status != 500 or b" found a" in found.body, found.body
