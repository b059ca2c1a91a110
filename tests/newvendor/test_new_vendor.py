"""A new vendor needs one document, one small adapter and an entry point: nothing below gateway/ knows of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.startup.serve import Running, running

HERE = Path(__file__).parent
FILES = ("toy_desk.py", "toy_desk.yaml", "toy_desk-1.0.dist-info")
CONNECTION = "toy-sandbox"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway and sandbox, started after the vendor's files were put into a temporary folder."""
    for name in FILES:
        copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
        copy(HERE / name, tmp_path / name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_desk", raising=False)
    with running() as started:
        yield started


@pytest.fixture
def client(toy: Running) -> Iterator[Client]:
    """A client of that gateway."""
    with Client(toy.url, toy.api_key) as made:
        yield made


def test_a_new_vendor_stands_beside_the_others(client: Client) -> None:
    """The vendor and a connection to its simulator are served; its row of the matrix comes from its document."""
    vendor = client.vendor("toy-desk")
    assert {each.name for each in client.vendors()} > {"toy-desk"}
    assert client.connection(CONNECTION).authentication == "deskToken"
    native = {each.action for each in vendor.actions if each.support == "native"}
    assert native == {"cancel", "close"}


def test_actions_are_translated_and_performed(client: Client, toy: Running) -> None:
    """An action goes through mapping, signature, contract and simulator, with every operator of the lens."""
    done = client.cancel(CONNECTION, "T-2", disposition_code="spam", note="Nothing but spam")
    assert done.outcome == "applied"
    assert done.job is not None
    assert done.job.vendor_status == "GONE"
    assert [warning.parameter for warning in done.warnings] == ["note"]
    assert client.job(CONNECTION, "T-2").vendor_status == "GONE"
    assert client.job(CONNECTION, "T-2").status == "cancelled"
    preview = client.preview("close", CONNECTION, "T-1")
    assert preview.vendor_request.body == '{"do":"finish","weight":"heavy","remark":"none"}'
    assert preview.vendor_request.headers["X-Desk-Version"] == "7"
    assert preview.vendor_request.headers["X-Desk-Token"] == "[redacted]"


def test_refusals_are_read_in_the_vendors_own_words(client: Client) -> None:
    """Statuses and envelopes that no other vendor uses are understood from the document."""
    with pytest.raises(ProblemError) as wrong_state:
        client.close(CONNECTION, "T-3")
    assert wrong_state.value.code == "wrong-state"
    assert wrong_state.value.vendor is not None
    assert wrong_state.value.vendor.status == 418
    with pytest.raises(ProblemError) as unknown:
        client.close(CONNECTION, "T-99")
    assert unknown.value.code == "unknown-job"
    assert unknown.value.vendor is not None
    assert unknown.value.vendor.code == "gone"
    with pytest.raises(ProblemError) as unsupported:
        client.pause(CONNECTION, "T-1")
    assert unsupported.value.supported == ("cancel", "close")
    with pytest.raises(ProblemError) as value:
        client.cancel(CONNECTION, "T-1", disposition_code="weather")
    assert (value.value.code, value.value.supported) == ("value-not-supported", ("spam", "duplicate"))


def test_lists_are_paged_as_the_vendor_does(client: Client, toy: Running) -> None:
    """A vendor that gives three jobs at a time is read to its end."""
    assert len(list(client.jobs(CONNECTION))) == len(toy.sandbox.vendor("toy-desk").jobs()) > 3


def test_its_own_clients_and_those_of_others_can_call(client: Client, toy: Running) -> None:
    """Its API is served too, and its jobs are there for the clients of other vendors, from its document alone."""
    headers = {"X-Desk-Version": "7", "X-Desk-Token": toy.access_key}
    desk = f"{toy.url}/native/toy-desk"
    ticket = requests.get(f"{desk}/{CONNECTION}/tickets/T-2", headers=headers, timeout=20)
    assert ticket.json() == {"ticket": {"number": "T-2", "state": "HELD", "opened": "2026-01-05T09:30:00Z"}}
    body = {"do": "drop", "weight": "light", "code": "S"}
    dropped = requests.put(f"{desk}/{CONNECTION}/tickets/T-2/state", json=body, headers=headers, timeout=20)
    assert (dropped.status_code, dropped.json()) == (202, {})
    assert client.job(CONNECTION, "T-2").vendor_status == "GONE"
    refused = requests.put(f"{desk}/{CONNECTION}/tickets/T-3/state", json=body, headers=headers, timeout=20)
    assert (refused.status_code, refused.json()["fault"]["reason"]) == (418, "state")
    lost = {"do": "finish", "weight": "heavy", "code": "S"}
    refused = requests.put(f"{desk}/{CONNECTION}/tickets/T-1/state", json=lost, headers=headers, timeout=20)
    assert (refused.status_code, refused.json()["fault"]["reason"]) == (400, "bad")
    assert client.job(CONNECTION, "T-1").vendor_status == "OPEN"
    other = requests.get(f"{desk}/{CONNECTION}/tickets", headers={**headers, "X-Desk-Version": "8"}, timeout=20)
    assert (other.status_code, other.json()["fault"]["reason"]) == (400, "bad")
    denied = requests.get(f"{desk}/{CONNECTION}/tickets", headers={**headers, "X-Desk-Token": "x"}, timeout=20)
    assert (denied.status_code, denied.json()["fault"]["reason"]) == (401, "who")
    azure = f"{toy.url}/native/azure-job-router/{CONNECTION}/routing/jobs"
    bearer = {"Authorization": f"Bearer {toy.api_key}"}
    listed = requests.get(f"{azure}?api-version=2023-11-01", headers=bearer, timeout=20).json()
    assert {"T-1", "T-2"} <= {job["id"] for job in listed["value"]}
    cancelled = requests.post(f"{azure}/T-1:cancel?api-version=2023-11-01", headers=bearer, timeout=20)
    assert (cancelled.status_code, client.job(CONNECTION, "T-1").vendor_status) == (200, "GONE")
    foreign = requests.get(f"{desk}/vonage-sandbox/tickets", headers=headers, timeout=20)
    assert {each["ticket"]["state"] for each in foreign.json()["tickets"]} <= {"HELD", "GONE"}
    assert len(foreign.json()["tickets"]) == 3
    assert int(foreign.headers["jobgate-left-out"]) > 0


def test_its_document_passes_the_lint() -> None:
    """`jobgate specs check` finds nothing in the document that the guide shows as an example."""
    command = [str(Path(sys.executable).with_name("jobgate")), "specs", "check", str(HERE / "toy_desk.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "1 document, 0 findings\n")
