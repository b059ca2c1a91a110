"""What goes wrong: every failure is a ClientError that says what is known, and none gives the key away."""

from __future__ import annotations

import pickle
import socket
import traceback
from pathlib import Path
from typing import Any

import pytest

from gateway.client import (
    Client,
    ClientError,
    FieldError,
    GatewayUnreachable,
    JobState,
    ProblemError,
    UnexpectedReply,
    VendorResponse,
)
from tests.client.stub import KEY, PROBLEM, Reply, Stub

REQUIRED = {
    "type": "/problems/wrong-state",
    "title": "Job in the wrong status",
    "status": 409,
    "code": "wrong-state",
    "retryable": False,
    "requestId": "request-1",
}
WHOLE = REQUIRED | {
    "detail": "The job is Running.",
    "outcome": "rejected",
    "errors": [{"pointer": "/body/note", "detail": "is too long"}],
    "vendor": {"name": "v", "status": 400, "code": "Conflict", "message": "No.", "requestId": "trace-1"},
    "job": {"status": "running", "vendorStatus": "Running", "allowedActions": ["pause"]},
    "supported": ["pause", "cancel"],
    "candidates": ["a", "b"],
    "jobAction": "action-1",
}


def problem(client: Client, stub: Stub, body: Any, **headers: str) -> ProblemError:
    """The error that a problem becomes."""
    stub.answers(Reply(body, 409, {"Content-Type": PROBLEM, **headers}))
    with pytest.raises(ProblemError) as failure:
        client.restart("c", "j")
    return failure.value


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@pytest.mark.parametrize("more", [{}, {"invention": [1]}], ids=["", "newer gateway"])
def test_whole_problem(stub: Stub, client: Client, more: dict[str, Any]) -> None:
    """Every member of a problem and what its headers say are attributes; unknown members are ignored."""
    error = problem(client, stub, WHOLE | more, **{"Retry-After": "7", "Idempotent-Replayed": "true"})
    assert vars(error) == {
        "status": 409,
        "code": "wrong-state",
        "title": "Job in the wrong status",
        "type": "/problems/wrong-state",
        "retryable": False,
        "request_id": "request-1",
        "detail": "The job is Running.",
        "outcome": "rejected",
        "errors": (FieldError("/body/note", "is too long"),),
        "vendor": VendorResponse(400, "Conflict", "trace-1", "v", "No."),
        "job": JobState("running", "Running", ("pause",)),
        "supported": ("pause", "cancel"),
        "candidates": ("a", "b"),
        "job_action": "action-1",
        "retry_after": 7,
        "replayed": True,
    }
    assert str(error) == "wrong-state: The job is Running."


def test_smallest_problem(stub: Stub, client: Client) -> None:
    """Members that a problem leaves out are None or empty; its title takes the place of the detail."""
    error = problem(client, stub, REQUIRED)
    assert str(error) == "wrong-state: Job in the wrong status"
    assert (error.detail, error.outcome, error.vendor, error.job, error.job_action, error.retry_after) == (None,) * 6
    assert (error.errors, error.supported, error.candidates) == ((), (), ())


@pytest.mark.parametrize("value", ["soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "1.5", "²", ""])
def test_odd_retry_after(stub: Stub, client: Client, value: str) -> None:
    """A Retry-After that is no number of seconds is none."""
    assert problem(client, stub, REQUIRED, **{"Retry-After": value}).retry_after is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad gateway</html>"),
        (502, b""),
        (500, b'{"error": "of a proxy"}'),
        (404, b'"not found"'),
        (400, b"\xff\xfe\x00"),
        (200, b"[]"),
        (200, b"not JSON"),
        (200, b"[" * 100_000),
        (200, b'{"items": [], "nextCursor": 5}'),
        (200, b'{"items": {}, "nextCursor": null}'),
        (200, b'{"items": [{"name": "c"}], "nextCursor": null}'),
        (200, b'{"items": [{"name": 1, "vendor": "v", "endpoint": "e", "authentication": "a"}]}'),
        (201, b"{}"),
        (204, b""),
    ],
)
def test_unexpected_reply(stub: Stub, client: Client, status: int, body: bytes) -> None:
    """A reply that is not of this API, whatever its status, is an error of its own that names the status."""
    stub.answers(Reply(body, status))
    with pytest.raises(UnexpectedReply, match=str(status)) as failure:
        client.connections()
    assert (failure.value.status, failure.value.outcome) == (status, "unknown")


def test_times_that_are_none(stub: Stub, client: Client) -> None:
    """A member that should be a time and is not makes the reply an unexpected one."""
    job = {"id": "j", "connection": "c", "vendor": "v", "status": "paused", "vendorStatus": "Paused", "final": False}
    stub.answers(job | {"allowedActions": [], "blockedActions": [], "timestamps": {"enqueuedAt": "yesterday"}})
    with pytest.raises(UnexpectedReply, match="yesterday"):
        client.job("c", "j")


def test_redirects(stub: Stub, client: Client) -> None:
    """A redirect is not followed: it would take the action, or the key, somewhere else."""
    stub.answers(Reply(b"", 307, {"Location": f"{stub.url}/v1/elsewhere"}), {})
    with pytest.raises(UnexpectedReply, match="307"):
        client.cancel("c", "j")
    assert len(stub.received) == 1


def test_no_connection() -> None:
    """Where no connection can be made, it is certain that nothing was sent."""
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, KEY) as nowhere, pytest.raises(GatewayUnreachable, match=url) as failure:
        nowhere.cancel("c", "j")
    assert failure.value.outcome == "not_sent"


@pytest.mark.parametrize("error", [TimeoutError("late"), socket.gaierror(-2, "unknown name"), OSError("no route")])
def test_no_connection_in_other_ways(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A connection that is not made in time, or whose address is not found, is no connection either."""
    asked: list[object] = []

    def connect(_address: object, seconds: float, **_others: object) -> None:
        asked.append(seconds)
        raise error

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    url = "http://localhost"
    with Client(url, KEY, connect_seconds=0.2) as nowhere, pytest.raises(GatewayUnreachable, match=url) as failure:
        nowhere.cancel("c", "j")
    assert (failure.value.outcome, asked) == ("not_sent", [0.2])


@pytest.mark.parametrize("trouble", [Reply(seconds=2.0), Reply(dropped=True)], ids=["too slow", "dropped"])
@pytest.mark.parametrize("read", [Client.vendors, Client.connections])
def test_reads_without_answer(stub: Stub, impatient: Client, trouble: Reply, read: Any) -> None:
    """A read that gets no answer in time, or none at all, fails too."""
    stub.answers(trouble)
    with pytest.raises(GatewayUnreachable, match=stub.url) as failure:
        read(impatient)
    assert failure.value.outcome == "unknown"


def test_broken_reply(stub: Stub, client: Client) -> None:
    """A reply that breaks off is no answer."""
    stub.answers(Reply(b"{", 200, {"Content-Length": "100", "Connection": "close"}))
    with pytest.raises(GatewayUnreachable) as failure:
        client.cancel("c", "j")
    assert failure.value.outcome == "unknown"


def test_address_that_is_none() -> None:
    """An address that only turns out to be none when it is used leads nowhere."""
    with Client("http://[::1", KEY) as nowhere, pytest.raises(GatewayUnreachable) as failure:
        nowhere.cancel("c", "j")
    assert failure.value.outcome == "not_sent"


def test_other_trouble_in_progress(stub: Stub, client: Client) -> None:
    """An error that the caller is just handling does not colour the outcome of the next call."""
    stub.answers(Reply(dropped=True))

    def cancel_somewhere() -> None:
        with Client(f"http://127.0.0.1:{free_port()}", KEY) as nowhere:
            try:
                nowhere.cancel("c", "j")
            except GatewayUnreachable:
                client.cancel("c", "j")

    with pytest.raises(GatewayUnreachable) as failure:
        cancel_somewhere()
    assert failure.value.outcome == "unknown"


@pytest.mark.parametrize("replies", [[Reply(WHOLE, 409)], [Reply(b"?")], [Reply(dropped=True)]])
def test_errors_can_be_pickled(stub: Stub, client: Client, replies: list[Reply]) -> None:
    """Errors cross the borders of processes with all they say."""
    stub.answers(*replies)
    with pytest.raises(ClientError) as failure:
        client.cancel("c", "j")
    copy = pickle.loads(pickle.dumps(failure.value))  # noqa: S301 - our own
    assert (type(copy), vars(copy), str(copy)) == (type(failure.value), vars(failure.value), str(failure.value))


@pytest.mark.parametrize(
    "reply",
    [Reply(WHOLE, 409), Reply(b"?", 502), Reply(b"?"), Reply({}), Reply(dropped=True), Reply(seconds=2.0)],
    ids=["problem", "proxy", "no JSON", "other JSON", "dropped", "slow"],
)
def test_key_is_not_shown(stub: Stub, impatient: Client, reply: Reply) -> None:
    """The key is neither in the client's repr nor in an error nor in its traceback, local variables included."""
    stub.answers(reply)
    with pytest.raises(ClientError) as failure:
        impatient.cancel("c", "j", note="n")
    shown = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    texts = repr(impatient), repr(failure.value), str(failure.value), "".join(shown.format())
    assert not [text for text in texts if KEY in text]
    assert impatient.url in repr(impatient)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel", "\x00"])
def test_impossible_keys(key: str) -> None:
    """A key that no header can carry is refused at once, without being shown."""
    with pytest.raises(ValueError, match="visible ASCII") as failure:
        Client("http://127.0.0.1", key)
    assert not key or key not in str(failure.value)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "ftp://x", "http://", "http://user:word@x", "http://x/?a=b", "http://x#y", "http://a b"]
)
def test_impossible_urls(url: str) -> None:
    """An address that is none, or would replace the key, is refused at once."""
    with pytest.raises(ValueError, match="Write the gateway"):
        Client(url, KEY)


@pytest.mark.parametrize("ending", ["", "/", "/behind/a/proxy", "/behind/a/proxy/"])
def test_addresses_with_a_path(stub: Stub, ending: str) -> None:
    """A gateway may live below a path."""
    stub.answers({"items": []})
    with Client(stub.url + ending, KEY) as client:
        client.vendors()
    assert stub.received[0].path == f"{ending.rstrip('/')}/v1/vendors"


def test_environment(stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy of the environment sees the key, and no .netrc file replaces it."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    stub.answers({"items": []})
    with Client(stub.url, KEY) as client:
        client.vendors()
    assert stub.received[0].headers["authorization"] == f"Bearer {KEY}"


def test_leaving_the_block(stub: Stub) -> None:
    """Leaving the block closes the connections; a later call opens a new one."""
    stub.answers({"items": []}, {"items": []})
    with Client(stub.url, KEY) as client:
        client.vendors()
    client.vendors()
    client.disconnect()
    assert len({request.connection for request in stub.received}) == 2
