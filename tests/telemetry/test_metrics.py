"""What is counted, once for each request, attempt and job action, with labels that have few values."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import Catalogue, Gateway
from gateway.app.gauges import connection_gauges, ledger_gauges
from gateway.domain.errors import VendorTimedOut
from gateway.domain.model import Quota
from gateway.ledger.database import Database
from gateway.ledger.ledger import SqlLedger
from gateway.ledger.memory import MemoryLedger
from gateway.resilience.bucket import TokenBucket
from gateway.resilience.policy import Policy
from gateway.settings.settings import QuotaSettings
from gateway.telemetry.metrics import (
    BREAKERS,
    CREDENTIALS_REFUSED,
    DEPARTURES,
    HTTP_CLIENT_SECONDS,
    HTTP_SERVER_SECONDS,
    JOB_ACTIONS,
    LEDGER_FAILURES,
    LEDGER_READABLE,
    LEDGER_SECONDS,
    METRICS,
    OVERHEAD_SECONDS,
    QUOTA,
    QUOTA_LEFT,
    RECONCILED,
    REQUESTS_SENT_AGAIN,
    UNKNOWN,
    UNKNOWN_SECONDS,
    Histogram,
    measured,
    measured_by,
    snapshot,
)
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.transport import Line, reply
from tests.support.vendors import AZURE_JOB, TARGETS, settings
from tests.telemetry.fixtures import counting

CANCEL = TARGETS[0]
ROUTE = "/v1/connections/{connection}/jobs/{jobId}/cancel"
VENDOR = "azure-job-router"
HOST = "contoso.westus.communications.azure.com"
SILENCE = VendorTimedOut("silence")


async def test_a_request_is_counted_by_its_template(scripted: ScriptedGateway) -> None:
    """A request of an API counts once, with method, template and status; so does the part of the gateway itself."""
    scripted.answers(CANCEL.applied)
    with counting() as counted:
        await scripted.act(CANCEL)
    assert counted.of(HTTP_SERVER_SECONDS) == {("POST", "http", ROUTE, "200", ""): 1}
    assert counted.of(OVERHEAD_SECONDS) == {(): 1}


@pytest.mark.parametrize(
    ("method", "target", "key", "labels"),
    [
        ("GET", "/v1/vendors", None, ("GET", "http", "/v1/vendors", "401", "")),
        ("GET", f"/nowhere/{AZURE_JOB}", None, ("GET", "http", "", "404", "")),
        ("BREW", "/v1/vendors", None, ("_OTHER", "http", "", "405", "")),
        (
            "GET",
            f"/native/azure-job-router/contoso-prod/routing/jobs/{AZURE_JOB}?api-version=2023-11-01",
            None,
            ("GET", "http", "/native/azure-job-router/{connection}/routing/jobs/{jobId}", "401", ""),
        ),
    ],
)
async def test_no_label_holds_what_a_client_made_up(
    scripted: ScriptedGateway, method: str, target: str, key: str | None, labels: tuple[str, ...]
) -> None:
    """Refused requests have a template or none, and one word for all methods that HTTP does not know."""
    with counting() as counted:
        await call(scripted.gateway.application, method, target, key=key)
    assert counted.of(HTTP_SERVER_SECONDS) == {labels: 1}
    assert counted.of(OVERHEAD_SECONDS) == ({(): 1} if labels[2] else {})


async def test_a_server_error_has_its_kind(scripted: ScriptedGateway) -> None:
    """The answer to a vendor's failure is an error of the server, with `error_type`."""
    scripted.answers(reply(500))
    with counting() as counted:
        await scripted.get(f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}")
    assert list(counted.of(HTTP_SERVER_SECONDS)) == [
        ("GET", "http", "/v1/connections/{connection}/jobs/{jobId}", "502", "502")
    ]


@pytest.mark.parametrize(
    ("line", "status", "failed"), [(reply(200, {}), "200", ""), (reply(503), "503", "503"), (SILENCE, "", "no-reply")]
)
async def test_an_attempt_is_counted_by_its_result(
    scripted: ScriptedGateway, line: Line, status: str, failed: str
) -> None:
    """Each attempt at a vendor counts with the host in the settings, and its status or the kind of failure."""
    scripted.answers(line)
    with counting() as counted:
        await scripted.act(CANCEL)
    assert counted.of(HTTP_CLIENT_SECONDS) == {("contoso-prod", "POST", HOST, status, failed): 1}
    assert counted.of(REQUESTS_SENT_AGAIN) == {}


async def test_what_is_sent_again_is_counted(catalogue: Catalogue) -> None:
    """Each further attempt counts as one sent again, and each attempt for itself."""
    scripted = scripted_with(catalogue, Policy())
    scripted.answers(reply(503), reply(503), reply(200, {"id": AZURE_JOB, "status": "queued", "etag": "1"}))
    with counting() as counted:
        await scripted.get(f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}")
    assert counted.of(REQUESTS_SENT_AGAIN) == {("contoso-prod",): 2}
    assert sum(counted.of(HTTP_CLIENT_SECONDS).values()) == 3


def scripted_with(catalogue: Catalogue, policy: Policy, quota: QuotaSettings | None = None) -> ScriptedGateway:
    """A scripted gateway with another policy, and a quota for its first connection."""
    wired = settings(policy=policy)
    first = wired.connections["contoso-prod"].model_copy(update={"quota": quota or "none"})
    wired = wired.model_copy(update={"connections": {**wired.connections, "contoso-prod": first}})
    return ScriptedGateway(catalogue, MemoryLedger(), FakeClock(), wired)


async def test_a_job_action_is_counted_by_its_outcome(scripted: ScriptedGateway) -> None:
    """An action counts once, with its outcome; the same request with the same key is no second action."""
    scripted.answers(CANCEL.applied, reply(409, {"error": {"code": "x", "message": "y"}}))
    with counting() as counted:
        await scripted.act(CANCEL, "key")
        await scripted.act(CANCEL, "key")
        scripted.vendor.otherwise = CANCEL.job(CANCEL.refused_in)
        await scripted.act(CANCEL)
    assert counted.of(JOB_ACTIONS) == {
        ("contoso-prod", VENDOR, "cancel", "applied"): 1,
        ("contoso-prod", VENDOR, "cancel", "rejected"): 1,
    }


async def test_what_is_found_out_later_is_counted(scripted: ScriptedGateway) -> None:
    """An unknown outcome counts as unknown, and once more when the job has shown what happened."""
    scripted.answers(SILENCE)
    with counting() as counted:
        await scripted.act(CANCEL)
        await scripted.settle(0.5, CANCEL.carried_out())
    assert counted.of(JOB_ACTIONS) == {("contoso-prod", VENDOR, "cancel", "unknown"): 1}
    assert counted.of(RECONCILED) == {("contoso-prod", VENDOR, "cancel", "applied"): 1}


async def test_drift_is_counted(scripted: ScriptedGateway) -> None:
    """A reply that departs from the vendor's document counts for its connection. Those without any are shown too."""
    scripted.answers(reply(299, {}))
    with counting() as counted:
        await scripted.act(CANCEL)
    assert counted.of(DEPARTURES) == {("contoso-prod",): 1}
    assert ("contoso-test",) in [labels for labels, _ in snapshot()[DEPARTURES.name]]


async def test_refused_credentials_are_counted(scripted: ScriptedGateway) -> None:
    """Each refused key counts, also those that the log leaves out."""
    with counting() as counted:
        for _ in range(3):
            await call(scripted.gateway.application, "GET", "/v1/vendors", key="no-such-key-of-anybody")
    assert counted.of(CREDENTIALS_REFUSED) == {(): 3}


async def test_commits_are_counted(catalogue: Catalogue, tmp_path: Path) -> None:
    """A commit counts with its time; one that the storage does not take counts as a failure."""
    ledger = SqlLedger(Database.at(sqlite_address(tmp_path)), FakeClock())
    await ledger.start()
    scripted = ScriptedGateway(catalogue, ledger, FakeClock())
    scripted.answers(CANCEL.applied)
    with counting() as counted:
        await scripted.act(CANCEL)
    assert counted.of(LEDGER_SECONDS)[()] >= 1
    assert counted.of(LEDGER_FAILURES) == {}
    with Database.at(sqlite_address(tmp_path)).writing.begin() as connection:
        connection.exec_driver_sql("drop table events")
    with counting() as counted:
        await scripted.act(CANCEL)
    assert counted.of(LEDGER_FAILURES) == {(): 1}
    await ledger.close()


async def test_the_gauges_of_a_connection(catalogue: Catalogue) -> None:
    """Each connection has its breaker's state, its requests and its quota, as they are now."""
    scripted = scripted_with(catalogue, Policy(attempts=1, breaker_failures=1), QuotaSettings(requests=50, seconds=60))
    scripted.answers(reply(500))
    connections = scripted.gateway.directory.connections
    before = measured(connection_gauges(connections))
    await scripted.act(CANCEL)
    after = measured(connection_gauges(connections))
    assert (("contoso-prod", "closed"), [1.0]) in before[BREAKERS.name]
    assert (("contoso-prod", "open"), [1.0]) in after[BREAKERS.name]
    assert (("contoso-prod", "closed"), [0.0]) in after[BREAKERS.name]
    assert (("contoso-test", "closed"), [1.0]) in after[BREAKERS.name]
    whole = float(Quota(50, 60).burst)
    assert after[QUOTA.name] == before[QUOTA_LEFT.name] == [(("contoso-prod",), [whole])]
    assert after[QUOTA_LEFT.name] == [(("contoso-prod",), [whole - 1])]


def test_reading_a_quota_changes_nothing() -> None:
    """Another thread may read what is left, since reading leaves the bucket as it is."""
    clock = FakeClock()
    bucket = TokenBucket(clock, rate=1.0, capacity=2.0)
    bucket.take()
    before = dict(vars(bucket))
    clock.advance(0.5)
    assert bucket.left == 1.5
    assert vars(bucket) == before


async def test_unknown_outcomes_are_read_from_the_ledger(catalogue: Catalogue, tmp_path: Path) -> None:
    """The ledger's unknown outcomes count by connection, with the age of the oldest; others have 0."""
    wired = settings(state_folder=tmp_path)
    gateway = Gateway(wired, catalogue)
    await gateway.ledger.start()
    scripted = ScriptedGateway(catalogue, gateway.ledger, FakeClock(), wired)
    scripted.answers(SILENCE, SILENCE, SILENCE)
    with ledger_gauges(wired) as source:
        assert (("contoso-prod",), [0.0]) in measured(source())[UNKNOWN.name]
        await scripted.act(CANCEL)
        await scripted.act(CANCEL)
        found = measured(source())
        assert found[LEDGER_READABLE.name] == [((), [1.0])]
        assert (("contoso-prod",), [2.0]) in found[UNKNOWN.name]
        assert (("contoso-test",), [0.0]) in found[UNKNOWN.name]
        ages = dict(found[UNKNOWN_SECONDS.name])
        assert ages["contoso-test",] == [0.0]
        assert ages["contoso-prod",][0] > 3_600  # the clock of the test stands in the past
    await gateway.close()


def test_a_ledger_that_cannot_be_read_is_a_gauge_too(tmp_path: Path) -> None:
    """Without its database the page is served, and says that the ledger cannot be read."""
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "ledger.db").write_text("this is no database, and too long to be an empty one" * 9)
    with ledger_gauges(settings(state_folder=folder)) as source:
        found = measured(source())
    assert found[LEDGER_READABLE.name] == [((), [0.0])]
    assert UNKNOWN.name not in found


def test_a_source_counts_while_its_block_lasts() -> None:
    """Gauges of a gateway are read while it serves, and those of two are added up."""
    with measured_by(lambda: [(QUOTA, ("made-up",), 2.0)]), measured_by(lambda: [(QUOTA, ("made-up",), 3.0)]):
        assert (("made-up",), [5.0]) in snapshot()[QUOTA.name]
    assert ("made-up",) not in dict(snapshot().get(QUOTA.name, []))


def test_durations_are_in_the_bucket_that_includes_them() -> None:
    """A duration counts in the first bucket whose bound is not below it, and beyond the last in one of its own."""
    histogram = Histogram("t_seconds", "For a test.", buckets=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    ((labels, series),) = histogram.samples()
    assert (labels, series[1:]) == ((), [2.0, 1.0, 1.0])
    assert series[0] == pytest.approx(7.65)


def test_each_metric_is_listed_once() -> None:
    """The table has each name once; every counter ends in `_total`, and no label is an id or a caller."""
    assert len({each.name for each in METRICS}) == len(METRICS)
    for each in METRICS:
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        assert not {"id", "job", "job_id", "caller", "key", "batch", "schedule"} & set(each.labels)
