"""The targets in the access log contain nothing that could be a key in the wrong place."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from gateway.edge.access_log import LoggedTargets
from gateway.edge.exchange import Scope, Wire

SECRET = "jobgate_0123456789ab_sEcReT"
NATIVE = "/native/azure-job-router/contoso-prod/routing/jobs"


@pytest.fixture(scope="module")
def logged(catalogue: Catalogue) -> LoggedTargets:
    """The targets of the product."""
    apis = [catalogue.api, *(each.api for each in catalogue.natives.values())]
    return LoggedTargets.of(apis, ("contoso-prod", *catalogue.vendors))


REFUSED = [
    (f"/nope/{SECRET}", "/.../..."),
    (f"/{SECRET}", "/..."),
    (f"/v1/{SECRET}", "/v1/..."),
    (f"/problems/{SECRET}", "/problems/..."),
    (f"/docs/assets/{SECRET}", "/docs/assets/..."),
    (f"/v1/connections/{SECRET}/jobs", "/v1/connections/.../jobs"),
    (f"/v1/connections/contoso-prod/jobs/{SECRET}", "/v1/connections/contoso-prod/jobs/..."),
    (f"/v1/connections/contoso-prod/jobs/{SECRET}/cancel", "/v1/connections/contoso-prod/jobs/.../cancel"),
    (f"/v1/job-actions/{SECRET}", "/v1/job-actions/..."),
    (f"{NATIVE}/{SECRET}", f"{NATIVE}/..."),
    (f"{NATIVE}/{SECRET}:cancel", f"{NATIVE}/...:cancel"),
    (f"{NATIVE}/x:{SECRET}", f"{NATIVE}/..."),
    (f"{NATIVE}/x/assignments/{SECRET}:close", f"{NATIVE}/.../assignments/...:close"),
    ("/v1/vendors/azure-job-router", "/v1/vendors/azure-job-router"),
    ("/", "/"),
    ("//", "//"),
]


@pytest.mark.parametrize(("path", "shown"), REFUSED)
def test_what_is_refused_is_logged_in_known_words(logged: LoggedTargets, path: str, shown: str) -> None:
    """Of a refused request stay the documents' words and the names of connections and vendors, and no query."""
    for is_api in (True, False):
        assert logged(path, b"", is_answered=False, is_api=is_api) == (shown, b"")
        assert logged(path, f"a={SECRET}".encode(), is_answered=False, is_api=is_api) == (shown, b"...")


QUERIES = [
    ("limit=7", "limit=7"),
    ("status=paused&limit=100", "status=paused&limit=100"),
    (f"jobId={SECRET}", "jobId=..."),
    (f"cursor={SECRET}&connection=contoso-prod", "cursor=...&connection=contoso-prod"),
    ("include=vendor", "include=vendor"),
    ("jobId=", "jobId="),
]


@pytest.mark.parametrize(("query", "shown"), QUERIES)
def test_of_a_good_query_only_words_are_logged(logged: LoggedTargets, query: str, shown: str) -> None:
    """An answered request is logged with its path, and with the values that are numbers or the documents' words."""
    path = "/v1/connections/contoso-prod/jobs/any-id-that-there-is"
    assert logged(path, query.encode(), is_answered=True, is_api=True) == (path, shown.encode())


def test_a_page_takes_no_query(logged: LoggedTargets) -> None:
    """Pages answer whatever their query is, so that nothing of it is logged."""
    assert logged("/livez", f"{SECRET}&limit=7".encode(), is_answered=True, is_api=False) == ("/livez", b"...")


def test_a_preview_does_not_prove_that_a_job_is_there(logged: LoggedTargets) -> None:
    """A dry run is answered without a look at the job, so its id may be anything."""
    path = f"/v1/connections/contoso-prod/jobs/{SECRET}/cancel"
    shown = "/v1/connections/contoso-prod/jobs/.../cancel"
    assert logged(path, b"dryRun=true", is_answered=True, is_api=True) == (shown, b"dryRun=true")
    assert logged(path, b"dryRun=false", is_answered=True, is_api=True) == (path, b"dryRun=false")


@pytest.mark.parametrize(
    ("method", "status", "is_logged"),
    [("POST", 200, True), ("GET", 204, True), ("POST", 202, False), ("OPTIONS", 200, False), ("POST", 404, False)],
)
def test_only_an_answer_proves_that_a_job_is_there(
    logged: LoggedTargets, method: str, status: int, *, is_logged: bool
) -> None:
    """OPTIONS is answered for any id, without a key; 202 says that nobody knows yet what the vendor made of it."""
    path = f"/v1/connections/contoso-prod/jobs/{SECRET}"
    scope: Scope = {"type": "http", "method": method, "path": path, "query_string": b""}

    async def send(_: object) -> None:
        pass

    Wire(scope, send, logged).cut_target(status, is_api=True)
    assert scope["path"] == (path if is_logged else "/v1/connections/contoso-prod/jobs/...")
