"""A vendor that accepts actions and carries them out later, deletes ended jobs, and needs a read of something else."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.domain.model import HttpRequest
from gateway.sandbox.faults import Fault, FaultKind
from gateway.settings.settings import ConfigurationError
from gateway.startup.serve import Running, running

HERE = Path(__file__).parent
FILES = ("slow_desk.py", "slow_desk.yaml", "slow_desk-1.0.dist-info")
CONNECTION = "slow-sandbox"
SECRET = "a secret of the adapter"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """A function that installs the slow desk, and returns its module, in which hooks can be replaced."""

    def installed() -> Any:
        for name in FILES:
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, tmp_path / name)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "slow_desk", raising=False)
        import slow_desk  # type: ignore[import-not-found]  # noqa: PLC0415 - it is installed now

        return slow_desk

    return installed


@pytest.fixture
def desk(install: Callable[[], Any]) -> Iterator[Running]:
    """A gateway and sandbox with the slow desk installed."""
    install()
    with running() as it:
        yield it


def asked(desk: Running, method: str, path: str, **more: Any) -> requests.Response:
    """A request by the vendor's own client."""
    headers = {"X-Desk-Token": desk.access_key, **more.pop("headers", {})}
    url = f"{desk.url}/native/slow-desk/{CONNECTION}{path}"
    return requests.request(method, url, headers=headers, timeout=30, **more)


# Accepted


def test_an_accepted_action_is_not_called_done(client: Client) -> None:
    """A success that only accepts: the outcome is unknown, nothing failed, and the read shows the end."""
    accepted = client.cancel(CONNECTION, "S-1")
    assert (accepted.status, accepted.outcome) == ("unsettled", "unknown")
    assert accepted.problem is not None
    assert accepted.problem.code == "not-confirmed"
    assert accepted.problem.detail == "slow-desk accepted cancel and carries it out; the job will show the end."
    assert accepted.vendor_response is not None
    assert accepted.vendor_response.status == 202
    done = client.job_action(accepted.id, wait=20)
    assert (done.outcome, done.settled_by, done.problem) == ("applied", "reading", None)
    assert done.job is not None
    assert done.job.vendor_status == "dropped"


def test_its_own_client_gets_the_documented_success(desk: Running) -> None:
    """The vendor's client waits for the end, and gets the 202 of the document with a text for a body."""
    dropped = asked(desk, "POST", "/tickets/S-1/drop")
    assert (dropped.status_code, dropped.json()) == (202, "")
    assert desk.sandbox.vendor("slow-desk").job("S-1")["state"] == "dropped"


def test_a_client_of_another_vendor_gets_its_success(desk: Running) -> None:
    """A success that means `done` is only told once a read has shown the end."""
    url = f"{desk.url}/native/azure-job-router/{CONNECTION}/routing/jobs/S-1:cancel?api-version=2023-11-01"
    done = requests.post(url, headers={"Authorization": f"Bearer {desk.api_key}"}, timeout=30)
    assert done.status_code == 200
    (record,) = Client(desk.url, desk.api_key).job_actions()
    assert (record.outcome, record.settled_by) == ("applied", "reading")


# Versions


def test_versions_that_are_numbers_stay_numbers(client: Client, desk: Running) -> None:
    """A version in the job is shown as an entity tag, compared as one, and counted by the simulator as a number."""
    assert client.job(CONNECTION, "S-1").version == '"3"'
    with pytest.raises(ProblemError) as changed:
        client.cancel(CONNECTION, "S-1", if_match='"2"')
    assert changed.value.code == "job-changed"
    client.cancel(CONNECTION, "S-1", if_match='"3"', wait=20)
    assert desk.sandbox.vendor("slow-desk").job("S-1")["version"] == 4


# Gone


def test_a_job_that_was_seen_and_is_gone_has_ended(client: Client, desk: Running) -> None:
    """The reply is lost; the job was read to find a parameter; then it is gone: the action was carried out."""
    vendor = desk.sandbox.vendor("slow-desk")
    vendor.script(Fault(FaultKind.DROP_AFTER, operation_id="finishTicket"))
    closed = client.close(CONNECTION, "S-2")
    assert closed.outcome == "unknown"
    vendor.script(Fault(FaultKind.STATUS, times=9, operation_id="getTicket", status=404))
    done = client.job_action(closed.id, wait=20)
    assert (done.outcome, done.settled_by) == ("applied", "reading")


# Parts


def test_a_parameter_is_found_in_something_else(client: Client, desk: Running) -> None:
    """The function gets the reply to the other read, which no client of the vendor's API can ask for."""
    preview = client.preview("close", CONNECTION, "S-2")
    assert preview.vendor_request.url.endswith("/tickets/S-2/offers/O-2/finish")
    assert client.close(CONNECTION, "S-2").parameters == {"assignmentId": "O-2"}
    assert asked(desk, "GET", "/tickets/S-2/offers").status_code == 404
    served = requests.get(f"{desk.url}/native/slow-desk/openapi.json", timeout=20).json()
    assert "/{connection}/tickets/{number}/offers" not in served["paths"]
    assert "/{connection}/tickets/{number}" in served["paths"]


# Hooks that fail


def raises(*_: object) -> Any:
    """Fail with a secret in the message."""
    raise ZeroDivisionError(SECRET)


def fails_later(failing: Callable[..., Any]) -> Callable[..., Any]:
    """A signature that fails for actions only: the gateway tries one before it starts."""

    def sign(request: HttpRequest, *others: Any) -> Any:
        return failing(request, *others) if request.method == "POST" else {"X-Desk-Token": others[0]}

    return sign


@pytest.mark.parametrize(
    ("broken", "action", "said"),
    [
        ({"finders": {"taken_offers": raises}}, "close", "its finder taken_offers raised ZeroDivisionError"),
        ({"finders": {"taken_offers": lambda _: "O-2"}}, "close", "its finder taken_offers returned str"),
        (
            {"finders": {"taken_offers": lambda _: ("one",)}},
            "close",
            "its finder taken_offers found a assignmentId that",
        ),
        ({"sign": fails_later(raises)}, "cancel", "its sign of deskToken raised ZeroDivisionError"),
        ({"sign": fails_later(lambda *_: None)}, "cancel", "its sign of deskToken returned NoneType"),
    ],
)
def test_a_failing_hook_is_named(
    install: Callable[[], Any], broken: dict[str, Any], action: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The problem and the log name adapter, function and reason, and nothing of a secret; nothing is sent."""
    module = install()
    sign = broken.pop("sign", None)
    changes = {"signing": {"deskToken": replace(module.ADAPTER.signing["deskToken"], sign=sign)}} if sign else broken
    module.ADAPTER = replace(module.ADAPTER, **changes)
    with caplog.at_level(logging.ERROR), running() as desk, Client(desk.url, desk.api_key) as client:
        with pytest.raises(ProblemError) as failed:
            client.act(action, CONNECTION, {"close": "S-2", "cancel": "S-1"}[action])
        assert (failed.value.code, failed.value.status, failed.value.outcome) == ("adapter-failed", 500, "not_sent")
        assert str(failed.value.detail).startswith(f"The adapter of slow-desk failed: {said}")
        assert desk.sandbox.vendor("slow-desk").job("S-2")["state"] == "busy"
    (logged,) = {each for each in caplog.messages if "adapter of slow-desk failed" in each}
    assert said.removeprefix("its ") in logged
    assert ("slow_desk.py:" in logged or "test_slow_desk.py:" in logged) == ("raised" in said)
    assert SECRET not in f"{caplog.text}{failed.value}"


def test_a_signature_that_always_fails_is_found_at_the_start(install: Callable[[], Any]) -> None:
    """The gateway does not start with it, and says which setting needs which adapter's function."""
    module = install()
    signing = replace(module.ADAPTER.signing["deskToken"], sign=raises)
    module.ADAPTER = replace(module.ADAPTER, signing={"deskToken": signing})
    with pytest.raises(ConfigurationError) as refused, running():
        pass
    assert str(refused.value) == (
        f"connections.{CONNECTION}.authentication.secret: cannot sign requests. "
        "The adapter of slow-desk failed: its sign of deskToken raised ZeroDivisionError."
    )


def test_a_failing_check_of_a_signature_is_named(install: Callable[[], Any]) -> None:
    """A client of the vendor's own API learns that the adapter is at fault, not its credentials."""
    module = install()
    signing = replace(module.ADAPTER.signing["deskToken"], verify=raises)
    module.ADAPTER = replace(module.ADAPTER, signing={"deskToken": signing})
    with running() as desk:
        failed = asked(desk, "GET", "/tickets/S-1")
    assert failed.status_code == 500
    assert failed.json()["text"] == "The adapter of slow-desk failed: its verify of deskToken raised ZeroDivisionError."


def test_failing_evidence_leaves_the_outcome_unknown(install: Callable[[], Any]) -> None:
    """A function that cannot tell is not asked for ever: each reading is recorded with the reason."""
    module = install()
    module.ADAPTER = replace(module.ADAPTER, evidence={"is_done": raises})
    with running() as desk, Client(desk.url, desk.api_key) as client:
        desk.sandbox.vendor("slow-desk").script(Fault(FaultKind.DROP_AFTER, operation_id="finishTicket"))
        closed = client.close(CONNECTION, "S-2", wait=3)
    assert closed.outcome == "unknown"
    assert {each.problem for each in closed.readings} == {"adapter-failed"}
