"""Traces, as a collector receives them: OTLP over HTTP on loopback."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.app import Catalogue
from gateway.domain.errors import VendorTimedOut
from gateway.ledger.database import Database
from gateway.ledger.memory import MemoryLedger
from gateway.resilience.policy import Policy
from gateway.settings.settings import ConfigurationError, Settings
from gateway.startup.checks import checked, warnings_of
from gateway.startup.telemetry import is_installed, record_traces, wants_traces
from gateway.telemetry import tracing
from gateway.telemetry.otel import RecordedSpans, recorded_spans
from gateway.telemetry.tracing import NO_SPAN, NoSpans, record_with, spans
from tests.batches.conftest import house_at
from tests.serving.process import SECONDS, served
from tests.support.clock import FakeClock
from tests.support.databases import sqlite_address
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.transport import reply
from tests.support.vendors import API_KEY, AZURE_JOB, TARGETS, settings

CANCEL = TARGETS[0]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECEIVED = f"00-{TRACE}-{PARENT}-01"
VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector(ThreadingHTTPServer):
    """A collector on loopback. `content` has all that was sent, `paths` where."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.content: list[bytes] = []
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), Receiver)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[Span]:
        """All spans, in the order in which they ended."""
        exports = map(ExportTraceServiceRequest.FromString, self.content)
        return [span for each in exports for of in each.resource_spans for in_ in of.scope_spans for span in in_.spans]

    @property
    def resource(self) -> dict[str, str]:
        """The attributes of what sent them."""
        (first, *_) = ExportTraceServiceRequest.FromString(self.content[0]).resource_spans
        return {each.key: each.value.string_value for each in first.resource.attributes}


class Receiver(BaseHTTPRequestHandler):
    """Receives what is sent to a collector."""

    server: Collector

    def do_POST(self) -> None:
        """Keep what is sent."""
        self.server.paths.append(self.path)
        self.server.content.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def recorded(collector: Collector) -> Iterator[None]:
    """Send the traces of this block to the collector."""
    recording = recorded_spans(collector.url)
    record_with(recording)
    try:
        yield
    finally:
        record_with(NoSpans())
        recording.close()


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_request_is_one_trace(scripted: ScriptedGateway, collector: Collector) -> None:
    """Server, action and attempt are spans, one below the other, in the client's trace, which goes on to the vendor."""
    scripted.answers(CANCEL.applied)
    with recorded(collector):
        await scripted.act(CANCEL, headers=[("traceparent", RECEIVED)])
    attempt, action, server = collector.spans
    assert {each.trace_id.hex() for each in collector.spans} == {TRACE}
    assert (server.kind, server.name) == (
        Span.SPAN_KIND_SERVER,
        "POST /v1/connections/{connection}/jobs/{jobId}/cancel",
    )
    assert server.parent_span_id.hex() == PARENT
    assert (action.kind, action.name, action.parent_span_id) == (
        Span.SPAN_KIND_INTERNAL,
        "jobgate.action",
        server.span_id,
    )
    assert (attempt.kind, attempt.parent_span_id) == (Span.SPAN_KIND_CLIENT, action.span_id)
    assert attempt.name == "POST /routing/jobs/{jobId}:cancel"
    assert attributes(server) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v1/connections/{connection}/jobs/{jobId}/cancel",
        "http.response.status_code": 200,
    }
    assert attributes(attempt) == {
        "http.request.method": "POST",
        "server.address": "contoso.westus.communications.azure.com",
        "url.template": "/routing/jobs/{jobId}:cancel",
        "http.response.status_code": 200,
    }
    told = attributes(action)
    assert told.pop("jobgate.job_action.id")
    assert told == {
        "jobgate.action": "cancel",
        "jobgate.connection": "contoso-prod",
        "jobgate.vendor": "azure-job-router",
        "jobgate.outcome": "applied",
    }
    assert scripted.vendor.requests[0].headers["traceparent"] == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert collector.paths == ["/v1/traces"]
    assert collector.resource["service.name"] == "jobgate"
    assert collector.resource["service.instance.id"]


async def test_a_client_without_a_trace_begins_one(scripted: ScriptedGateway, collector: Collector) -> None:
    """Without a traceparent the trace begins here, and the record keeps it."""
    scripted.answers(CANCEL.applied)
    with recorded(collector):
        answer = await scripted.act(CANCEL)
    *_, server = collector.spans
    assert not server.parent_span_id
    assert answer.json["origin"]["traceId"] == server.trace_id.hex()


async def test_each_attempt_is_a_span(catalogue: Catalogue, collector: Collector) -> None:
    """A request that is sent again has a span for each attempt, with its number and what came of it."""
    scripted = ScriptedGateway(catalogue, MemoryLedger(), FakeClock(), settings(policy=Policy()))
    scripted.answers(reply(503), VendorTimedOut("silence"), CANCEL.job("queued"))
    with recorded(collector):
        await scripted.get(f"/v1/connections/contoso-prod/jobs/{AZURE_JOB}")
    *attempts, server = collector.spans
    seen = [
        (attributes(each).get("http.request.resend_count"), attributes(each).get("error.type")) for each in attempts
    ]
    assert seen == [(None, "503"), (1, "no-reply"), (2, None)]
    assert [each.status.code for each in attempts] == [2, 2, 0]
    assert {each.parent_span_id for each in attempts} == {server.span_id}
    sent = [each.headers["traceparent"].split("-")[2] for each in scripted.vendor.requests]
    assert sent == [each.span_id.hex() for each in attempts]


async def test_reconciliation_is_a_new_trace_with_a_link(scripted: ScriptedGateway, collector: Collector) -> None:
    """What is found out later has a trace of its own, linked to the span of the first request."""
    scripted.answers(VendorTimedOut("silence"))
    with recorded(collector):
        await scripted.act(CANCEL, headers=[("traceparent", RECEIVED)])
        with spans().linked("something else", ()):
            await scripted.settle(0.5, CANCEL.carried_out())
    first = next(each for each in collector.spans if each.kind == Span.SPAN_KIND_SERVER)
    later = next(each for each in collector.spans if each.name == "jobgate.reconciliation")
    (link,) = later.links
    assert (link.trace_id, link.span_id) == (first.trace_id, first.span_id)
    assert not later.parent_span_id
    assert later.trace_id != first.trace_id
    reading = next(each for each in collector.spans if each.parent_span_id == later.span_id)
    assert attributes(reading)["http.request.method"] == "GET"
    assert attributes(later)["jobgate.outcome"] == "applied"


async def test_a_batch_is_traced_by_groups(catalogue: Catalogue, tmp_path: Path, collector: Collector) -> None:
    """A group is a new trace with its actions below, linked to the request that created the batch."""
    house = house_at(catalogue, Database.at(sqlite_address(tmp_path)), FakeClock())
    await house.gateway.ledger.start()
    house.vendor.jobs |= {f"job-{number}": "queued" for number in range(3)}
    with recorded(collector):
        batch = await house.create(*house.vendor.jobs, confirm={"expectedCount": 3})
        await house.go_on_until(batch, "completed")
    await house.gateway.close()
    (created,) = [each for each in collector.spans if each.name == "POST /v1/batches"]
    groups = [each for each in collector.spans if each.name == "jobgate.batch.group"]
    assert sum(attributes(each)["jobgate.batch.items"] for each in groups) == 3
    for each in groups:
        assert each.trace_id != created.trace_id
        assert [(link.trace_id, link.span_id) for link in each.links] == [(created.trace_id, created.span_id)]
    parents = {each.parent_span_id for each in collector.spans if each.name == "jobgate.action"}
    assert parents == {each.span_id for each in groups}


async def test_many_requests_can_be_linked(collector: Collector) -> None:
    """A span for many requests begins a trace, with a link to each."""
    others = [f"00-{TRACE}-{number:016x}-01" for number in (1, 2)]
    with recorded(collector), spans().linked("jobgate.batch", others):
        pass
    (span,) = collector.spans
    assert [each.span_id.hex() for each in span.links] == [f"{number:016x}" for number in (1, 2)]


async def test_a_trace_holds_no_secret_and_no_job(scripted: ScriptedGateway, collector: Collector) -> None:
    """Neither keys nor job ids nor texts of errors are sent, also if something fails."""
    scripted.answers(reply(500, {"error": {"code": "x", "message": f"hush {AZURE_JOB}"}}), ValueError("hush"))
    with recorded(collector):
        await scripted.act(CANCEL)
        await scripted.act(CANCEL)
    sent = b"".join(collector.content)
    for secret in (API_KEY, AZURE_JOB, "hush", "ValueError: ", "Traceback"):
        assert secret.encode() not in sent
    assert [attributes(each)["error.type"] for each in collector.spans if each.kind == Span.SPAN_KIND_CLIENT] == [
        "500",
        "ValueError",
    ]


async def test_without_traces_the_clients_goes_on(scripted: ScriptedGateway) -> None:
    """As long as nobody records traces, a vendor receives the client's traceparent, unchanged."""
    scripted.answers(CANCEL.applied)
    await scripted.act(CANCEL, headers=[("traceparent", RECEIVED)])
    assert scripted.vendor.requests[0].headers["traceparent"] == RECEIVED
    assert spans().attempt("GET", "https://host/", "", 0) is NO_SPAN


class NeverAsked(NoSpans):
    """A recorder of nothing that must not be asked for a span."""

    def server(self, *_: object, **__: object) -> NoReturn:
        """Fail."""
        raise AssertionError("a span was asked for")

    action = attempt = server


async def test_without_traces_no_span_is_asked_for(scripted: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nobody records traces, a request spends no time on spans."""
    monkeypatch.setattr(tracing._Recording, "spans", NeverAsked())
    scripted.answers(CANCEL.applied)
    assert (await scripted.act(CANCEL)).status == 200


def test_traces_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting or OpenTelemetry's own variable switches traces on, and another of its variables off."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not wants_traces(settings())
    assert wants_traces(traced())
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:4318")
    assert wants_traces(settings())
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not wants_traces(traced())


@pytest.mark.timeout(5 * SECONDS)
def test_each_worker_sends_its_traces(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have sent all their spans when the gateway has stopped."""
    monkeypatch.setenv(VARIABLE, collector.url)
    with served("--workers", "2", "--no-access-log") as (process, url):
        for _ in range(30):
            requests.get(f"{url}/v1/vendors", headers={"Connection": "close"}, timeout=SECONDS)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, "Traceback" in said) == (0, False), said
    assert len([each for each in collector.spans if each.kind == Span.SPAN_KIND_SERVER]) == 30


def test_each_process_is_an_instance_of_its_own() -> None:
    """Two workers never have the same `service.instance.id`, so that a collector does not mix them up."""
    made = [recorded_spans("http://127.0.0.1:1") for _ in range(2)]
    assert len({each._provider.resource.attributes["service.instance.id"] for each in made}) == 2
    for each in made:
        each.close()


def traced() -> Settings:
    """Settings with a collector."""
    return settings(traces={"endpoint": "http://127.0.0.1:4318"})


def test_a_serving_process_records_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that serves begins to record, and a trace goes to the setting's collector."""
    monkeypatch.setattr(tracing._Recording, "spans", NoSpans())
    record_traces(settings())
    assert isinstance(spans(), NoSpans)
    record_traces(traced())
    recording = spans()
    assert isinstance(recording, RecordedSpans)
    recording.close()


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the libraries of the extra are not installed."""
    monkeypatch.setattr(
        "gateway.startup.telemetry.find_spec", lambda name: None if name == "opentelemetry.sdk" else find_spec(name)
    )


def test_a_missing_extra_is_told(
    without_the_extra: None, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the settings ask for traces, the start fails with how to install the extra; a variable makes a warning."""
    assert not is_installed()
    file = tmp_path / "jobgate.toml"
    file.write_text('[traces]\nendpoint = "http://127.0.0.1:4318"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"traces\.endpoint: .*pip install 'jobgate\[otel\]'"):
        checked(file, {}, catalogue, is_offline=True)
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:4318")
    assert any("jobgate[otel]" in each for each in warnings_of(settings()))
    assert not wants_traces(settings())
