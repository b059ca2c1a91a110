"""Clients cannot write lines into the log: every event is one line of printable characters."""

from __future__ import annotations

import re
import socket

import requests

from tests.serving.process import KEY, SECONDS, served

FORGED = "2026-01-05 10:00:00,000 INFO uvicorn.access: forged"
PIECES = [
    f"%0d%0a{FORGED}".replace(" ", "%20"),
    "%1b[31mred",
    "%e2%80%a8next",
    "%c2%85next",
    "\x1b[31mred",
    "\x85next",
    "\u2028next",
    "\x00",
    "\x7f",
    "%00",
]
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [a-z._]+: [ -~]+")


def requests_with(piece: str) -> list[bytes]:
    """Requests that have something in every place that could be logged."""
    raw = piece.encode("utf-8")
    head = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    key = f"Authorization: Bearer {KEY}\r\n".encode()
    return [
        b"GET /v1/vendors/%b HTTP/1.1\r\n%b%b\r\n" % (raw, head, key),
        b"GET /v1/job-actions?jobId=%b HTTP/1.1\r\n%b%b\r\n" % (raw, head, key),
        b"GET /v1/vendors HTTP/1.1\r\n%bAuthorization: Bearer %b\r\n\r\n" % (head, raw),
        b"GET /v1/vendors HTTP/1.1\r\n%b%btraceparent: %b\r\nX-Request-Id: %b\r\n\r\n" % (head, key, raw, raw),
        b"POST /v1/connections/azure-sandbox/jobs/%b/cancel HTTP/1.1\r\n%b%bIdempotency-Key: %b\r\n\r\n"
        % (raw, head, key, raw),
        b"%b /v1/vendors HTTP/1.1\r\n%b%b\r\n" % (raw or b"GET", head, key),
    ]


def test_a_secret_in_the_wrong_place_is_not_logged() -> None:
    """A secret in path, query, Referer or User-Agent is not logged, and a valid query is."""
    secret = "a-secret-of-some-length"
    with served("--sandbox") as (process, url):
        for method, target, status in (
            ("POST", f"/native/vonage-contact-center/Auth/connect/token?client_secret={secret}", 400),
            ("GET", f"/v1/vendors?access_token={secret}", 401),
            ("GET", f"/nope/{secret}", 404),
            ("GET", f"/problems/{secret}", 404),
            ("GET", f"/docs/assets/{secret}", 404),
            ("GET", f"/docs?{secret}", 200),
            ("GET", f"/v1/vendors/{secret}", 401),
            ("OPTIONS", f"/v1/connections/azure-sandbox/jobs/{secret}", 200),
            ("POST", f"/v1/connections/azure-sandbox/jobs/{secret}/cancel?dryRun=true", 200),
            ("GET", f"/v1/job-actions?jobId={secret}", 200),
            ("GET", "/v1/job-actions?limit=7", 200),
        ):
            key = {"Authorization": f"Bearer {KEY}"} if status == 200 else {}
            fields = {**key, "Referer": f"{url}/{secret}", "User-Agent": secret}
            assert requests.request(method, f"{url}{target}", headers=fields, timeout=SECONDS).status_code == status
        process.terminate()
        said, _ = process.communicate(timeout=SECONDS)
    assert secret not in said
    assert "Auth/connect/token?... HTTP/1.1" in said
    assert "POST /v1/connections/azure-sandbox/jobs/.../cancel?dryRun=true HTTP/1.1" in said
    assert "GET /v1/job-actions?limit=7 HTTP/1.1" in said


def test_a_client_writes_no_lines_of_its_own() -> None:
    """Line breaks, escape sequences and separators in path, query, header or method start no line of the log."""
    with served("--sandbox") as (process, url):
        host, port = url.removeprefix("http://").split(":")
        asked = [request for piece in PIECES for request in requests_with(piece)]
        for request in asked:
            with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
                connection.sendall(request)
                while connection.recv(65_536):
                    pass
        process.terminate()
        said, _ = process.communicate(timeout=SECONDS)
    lines = said.splitlines()
    assert [line for line in lines if line and not LINE.fullmatch(line)] == []
    assert "GET /v1/vendors/... HTTP/1.1" in said, "what was asked for is logged, in words that are known"
    assert "forged" not in said
    assert len(lines) > len(PIECES)
