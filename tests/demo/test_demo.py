"""The demonstration: all of it, what it looks like, and that no lie gets past it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import pytest
from rich.console import Console

from gateway.app import Catalogue
from gateway.client import Client
from gateway.demo import demo
from gateway.demo.demo import Call, Control, differences
from gateway.domain.model import StatusPair
from gateway.startup.serve import Running


class Paper(Console):
    """A console that writes on paper, in one of the ways that a terminal or a pipe takes it."""

    def __init__(self, width: int, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        """Write lines of `width` columns."""
        self.bytes = io.BytesIO()
        paper = io.TextIOWrapper(self.bytes, encoding=encoding, write_through=True)
        super().__init__(
            file=paper, width=width, force_terminal=terminal, color_system="truecolor" if terminal else None
        )

    @property
    def text(self) -> str:
        """What was written."""
        return self.bytes.getvalue().decode(self.encoding)


def paper_after_run(width: int, encoding: str = "utf-8", *, terminal: bool = False) -> tuple[int, Paper]:
    """The exit code of a run, and what it wrote."""
    paper = Paper(width, encoding, terminal=terminal)
    return demo.run(paper), paper


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the first dozen steps only, of the vendor with samples."""
    whole = demo.plan

    def dozen(client: Client) -> Iterator[demo.Step]:
        return islice((step for step in whole(client) if step.vendor == demo.AZURE), 12)

    monkeypatch.setattr(demo, "plan", dozen)


def test_whole_run(catalogue: Catalogue) -> None:
    """A run tries every action in every status of every vendor and the samples, and finds nothing wrong."""
    code, paper = paper_after_run(80)
    matrix = sum(len(each.specification.clear_statuses) * len(each.capabilities) for each in catalogue.vendors.values())
    *_, summary = paper.text.splitlines()
    assert (code, summary) == (0, f"{matrix + 4} actions, 0 differences")
    assert max(map(len, paper.text.splitlines())) <= 80
    assert "\x1b" not in paper.text


def test_plan(stack: Running) -> None:
    """Each combination of status and action of each vendor is one step, next to the four samples of the pages."""
    with Client(stack.url, stack.api_key) as client:
        steps, vendors = list(demo.plan(client)), client.vendors()
    tried = [(step.vendor, step.before, step.action) for step in steps if step.job_id is None]
    combinations = {
        (vendor.name, status, capability.action)
        for vendor in vendors
        for status in stack.gateway.directory.vendor(vendor.name).specification.clear_statuses
        for capability in vendor.actions
    }
    assert (len(tried), set(tried)) == (len(combinations), combinations)
    assert [step for step in steps if step.job_id is not None] == list(demo.SAMPLES)


def test_jobs_have_ids_in_the_form_of_their_vendor(stack: Running) -> None:
    """A vendor whose ids are not UUIDs gets jobs that fit its document."""
    control = Control(stack.sandbox)
    step = replace(demo.SAMPLES[1], vendor="twilio-taskrouter", before="pending", job_id=None)
    assert re.fullmatch("WT[0-9a-f]{32}", control.prepare(step))
    control.close()


def test_samples(stack: Running) -> None:
    """The samples arrive at the vendors as the pages show them, the fields of the body included."""
    control = Control(stack.sandbox)
    for vendor in stack.gateway.directory.vendors:
        stack.sandbox.vendor(vendor).reset()
    with Client(stack.url, stack.api_key) as client:
        names = {each.vendor: each.name for each in client.connections()}
        rows = [demo.take(sample, names[sample.vendor], client, control) for sample in demo.SAMPLES]
    control.close()
    assert [list(differences(row)) for row in rows] == [[]] * 4
    close, cancel, cancel_again, restart = (row.calls[0] for row in rows)
    assert (close.before, close.after, close.parameters) == (
        "completed",
        "closed",
        {
            "assignmentId": "1d5896f3-8b54-40be-82d3-910323f5e2af",
            "dispositionCode": "JobCompleted.",
            "note": "Closing job",
        },
    )
    for each in (cancel, cancel_again):
        assert (each.job_id, each.before, each.after, each.parameters) == (close.job_id, "queued", "cancelled", {})
    assert (restart.action, restart.before, restart.after) == ("restart", "Paused", "Scheduled")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.usefixtures("short")
def test_table(width: int) -> None:
    """At any width the statuses, answers and outcomes are whole, in columns; only ids may be cut."""
    _, paper = paper_after_run(width)
    lines = [line.rstrip() for line in paper.text.splitlines()]
    (header, *_) = (line for line in lines if line.startswith("Job"))
    rows = [line for line in lines if "→" in line]
    assert len(rows) == 12
    assert lines[0] == "azure-job-router: samples from its documentation"
    for row in rows:
        words = row.split()
        assert words[-2:] in (["200", "applied"], ["409", "rejected"], ["409", "not_sent"], ["422", "not_sent"])
        assert row.index(words[1]) == header.index("Action")
        assert row.rindex(words[-2]) == header.index("HTTP")
        assert words[0].endswith("…") == (width == 80)
    assert any(
        row.split()[1:] == ["cancel", "pendingClassification", "→", "cancelled", "200", "applied"] for row in rows
    )


@pytest.mark.usefixtures("short")
def test_pipe_without_unicode() -> None:
    """Where the output cannot take arrows and dots, there are others."""
    code, paper = paper_after_run(80, "ascii")
    assert (code, paper.text.count(" -> ")) == (0, 12)


@pytest.mark.usefixtures("short")
def test_terminal() -> None:
    """On a terminal there are colours, and a bar that goes when the work is done."""
    code, paper = paper_after_run(80, terminal=True)
    assert code == 0
    assert "Trying every action" in paper.text
    assert "\x1b[1A\x1b[2K" in paper.text, "the bar's line is not taken back"
    assert "\x1b[32mapplied" in paper.text
    assert paper.text.splitlines()[-1] == "\x1b[1;32m12 actions, 0 differences\x1b[0m"


@pytest.mark.usefixtures("short")
def test_connections_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of the machine's own settings is not touched, whatever vendor it is of."""
    authentication = {"kind": "signature", "scheme": "accessKey", "secret": "c2VjcmV0"}
    connection = {"vendor": "azure-job-router", "endpoint": "https://127.0.0.1:9", "authentication": authentication}
    for name in ("A", "ZZZ"):
        monkeypatch.setenv(f"JOBGATE_CONNECTIONS__{name}", json.dumps(connection))
    code, paper = paper_after_run(80)
    assert code == 0, paper.text


def lying_log(monkeypatch: pytest.MonkeyPatch, lie: Callable[[list[Call]], list[Call]]) -> None:
    """Have the sandbox's log read otherwise than it was written."""
    honest = Control.new_calls

    def lying(control: Control, vendor: str) -> Iterator[Call]:
        yield from lie(list(honest(control, vendor)))

    monkeypatch.setattr(Control, "new_calls", lying)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("lie", "named"),
    [
        (lambda calls: calls[:0], "found no call"),
        (lambda calls: calls * 2, "HTTP 200) and c"),
        (lambda calls: [replace(each, after="queued") for each in calls], "to queued, HTTP"),
        (lambda calls: calls or [Call("open", "other", {}, "a", "b", 200)], "found open of other with no parameters"),
    ],
)
def test_lying_log(monkeypatch: pytest.MonkeyPatch, lie: Callable[[list[Call]], list[Call]], named: str) -> None:
    """If the sandbox's log differs from the answers, the run fails and names the difference."""
    lying_log(monkeypatch, lie)
    code, paper = paper_after_run(80)
    assert code == 1
    assert "the sandbox's log: expected" in paper.text
    assert named in paper.text
    assert "(differs)" in paper.text
    assert not paper.text.splitlines()[-1].endswith(" 0 differences")


@pytest.mark.usefixtures("short")
def test_lying_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the gateway reports a status that the job does not have, the run fails and says so."""
    monkeypatch.setattr("gateway.engine.conclusions.status_after", lambda *_: StatusPair("running", "assigned"))
    code, paper = paper_after_run(80)
    assert code == 1
    assert "job in the answer: expected cancelled, found assigned" in paper.text


@pytest.mark.usefixtures("short")
def test_gateway_that_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the gateway fails, each step shows the error, and the run continues to its end."""

    async def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("gateway.engine.actions.Actions.perform", broken)
    code, paper = paper_after_run(80)
    assert code == 1
    assert "HTTP status: expected 200, found 500" in paper.text
    assert "problem: expected nothing, found gateway-error" in paper.text
    assert "job read back: expected closed, found completed" in paper.text


def test_gateway_that_is_gone(stack: Running) -> None:
    """Where there is no answer at all, the step shows that."""
    step = demo.SAMPLES[1]
    control = Control(stack.sandbox)
    with Client("http://127.0.0.1:9", "key") as client:
        row = demo.take(step, "azure-sandbox", client, control)
    control.close()
    found = "\n".join(differences(row))
    assert "HTTP status: expected 200, found nothing" in found
    assert "outcome: expected applied, found not_sent" in found
    assert "problem: expected nothing, found Nothing was sent to http://127.0.0.1:9: Connection refused" in found
