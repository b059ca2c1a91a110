"""The log as JSON: each line one object, with the request that it belongs to, and nothing secret."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.domain.access import Caller
from gateway.domain.errors import VendorTimedOut
from gateway.security.access_tokens import AccessTokens
from gateway.security.grants import Grant, OAuthError
from gateway.security.keys import AccessKey, Keyring
from gateway.serving.logs import LogOptions, TerminalHandler, log_to_terminal
from gateway.settings.settings import ConfigurationError, with_server
from gateway.telemetry.json_lines import JsonLines
from tests.support.asgi import call
from tests.support.clock import FakeClock
from tests.support.scripted_gateway import ScriptedGateway
from tests.support.transport import reply
from tests.support.vendors import API_KEY, TARGETS, settings

CANCEL = TARGETS[0]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Lines(logging.Handler):
    """Keeps each record as it would be written at that moment."""

    def __init__(self) -> None:
        """Begin without lines."""
        super().__init__()
        self.setFormatter(JsonLines())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.texts.append(self.format(record))

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines as JSON."""
        return [json.loads(each) for each in self.texts]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The lines that a test logs."""
    handler, root = Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


async def test_a_line_says_which_request_it_belongs_to(scripted: ScriptedGateway, lines: Lines) -> None:
    """Whatever is logged while a request is answered has its id, its trace, its caller and its connection."""
    scripted.answers(reply(299, {}))
    answer = await scripted.act(CANCEL, headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")])
    (line,) = [each for each in lines.objects if each["logger"] == "gateway.engine.drift"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["trace_id"], line["caller"], line["connection"]) == (TRACE, "default", "contoso-prod")
    assert (line["level"], line["time"][-6:]) == ("warning", "+00:00")
    assert "departs" in line["message"]


async def test_the_access_log_has_action_outcome_and_durations(scripted: ScriptedGateway, lines: Lines) -> None:
    """The line of an answered action has its outcome, and the time of the gateway beside that of the vendor."""
    scripted.answers(VendorTimedOut("silence"))

    async def slow() -> None:
        scripted.clock.advance(3.0)

    scripted.vendor.before_reply = slow
    send = scripted.gateway.application

    async def application(scope: Any, receive: Any, answer: Any) -> None:
        async def logged(message: Any) -> None:
            if message["type"] == "http.response.start":
                log = logging.getLogger("uvicorn.access")
                log.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "POST", "/v1/...", "1.1", message["status"])
            await answer(message)

        await send(scope, receive, logged)

    await call(application, "POST", f"/v1/connections/contoso-prod/jobs/{CANCEL.job_id}/cancel")
    (line,) = [each for each in lines.objects if each["logger"] == "uvicorn.access"]
    assert (line["method"], line["target"], line["status"], line["client"]) == ("POST", "/v1/...", 202, "127.0.0.1:5")
    assert (line["action"], line["outcome"], line["caller"]) == ("cancel", "unknown", "default")
    assert line["vendor_seconds"] == 3.0
    assert line["gateway_seconds"] == 0.0


def test_outside_a_request_a_line_has_its_message_only(lines: Lines) -> None:
    """Background tasks log lines without a request; an exception is one member, and a line stays one line."""
    try:
        raise ValueError("two\nlines")  # noqa: TRY301 - to have it logged
    except ValueError:
        logging.getLogger("gateway").exception("it failed:\n%s", "badly")
    (text,) = lines.texts
    assert "\n" not in text
    line = json.loads(text)
    assert line.keys() == {"time", "level", "logger", "message", "exception"}
    assert line["message"] == "it failed:\nbadly"
    assert line["exception"].endswith("ValueError: two\nlines")


async def test_no_line_has_a_key(scripted: ScriptedGateway, lines: Lines) -> None:
    """Neither an accepted nor a refused key is in the log; the reason for which it was refused is."""
    scripted.answers(CANCEL.applied)
    await scripted.act(CANCEL)
    await call(scripted.gateway.application, "GET", "/v1/vendors", key="no-such-key-of-anybody")
    text = "\n".join(lines.texts)
    assert API_KEY not in text
    assert "no-such-key-of-anybody" not in text
    assert "a credential is refused: " in text


BASIC = ("authorization", "Basic d3Jvbmc6YWxzby13cm9uZw==")
TASKS = "/native/twilio-taskrouter/contoso-prod/v1/Workspaces/WS1/Tasks"
JOBS = "/native/azure-job-router/contoso-prod/routing/jobs?api-version=2023-11-01"


@pytest.mark.parametrize(
    ("target", "field", "reason"),
    [
        ("/v1/vendors", BASIC, "a credential is refused: The Authorization header does not use the Bearer scheme."),
        (
            "/v1/vendors",
            ("authorization", "Bearer "),
            "a credential is refused: The Authorization header contains no API",
        ),
        ("/v1/vendors", ("authorization", "Bearer a.b.c"), "a token is refused: "),
        (TASKS, ("authorization", "Bearer x"), "a credential is refused: twilio-taskrouter has no bearer tokens"),
        (JOBS, ("authorization", "HMAC-SHA256 x"), "a signed request is refused: "),
    ],
)
async def test_every_refused_credential_has_a_reason(
    scripted: ScriptedGateway, lines: Lines, target: str, field: tuple[str, str], reason: str
) -> None:
    """Whatever credential is refused, and however it was sent, the log says why, and in which request."""
    answer = await call(scripted.gateway.application, "GET", target, headers=[field], key=None)
    assert answer.status == 401
    (line,) = [each for each in lines.objects if each["message"].startswith(reason)]
    assert line["request_id"] == answer.headers.get("x-request-id")


def test_a_client_without_a_token_has_a_reason(lines: Lines) -> None:
    """The log says if the client id or the secret is wrong; the client is not told which."""
    caller = Caller("desk")
    tokens = AccessTokens(Keyring({}, access_keys=[AccessKey("desk", caller, "c2VjcmV0")]), FakeClock())
    for client in ("nobody", "desk"):
        with pytest.raises(OAuthError, match="Unknown client or wrong secret"):
            tokens.grant(Grant(client, "wrong", frozenset()))
    said = [each["message"] for each in lines.objects]
    assert said == [
        "a client is refused a token: no valid access key has its client id",
        "a client is refused a token: its secret is not that of its access key",
    ]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, restored after the test."""
    logger = logging.getLogger()
    level, handlers = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.parametrize("form", ["text", "json"])
def test_level_and_form_are_settings(root: logging.Logger, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Less severe messages are left out, and the last call decides: there is one handler."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log_to_terminal()
    log_to_terminal(LogOptions("error", "json" if form == "json" else "text"))
    logging.getLogger("gateway").warning("left out")
    logging.getLogger("gateway").error("written")
    assert len([each for each in root.handlers if isinstance(each, TerminalHandler)]) == 1
    said = written.getvalue()
    assert "left out" not in said
    assert said.count("written") == 1
    assert said.startswith("{") == (form == "json")


@pytest.mark.parametrize("given", [{"log_level": "loud"}, {"log_format": "xml"}])
def test_unknown_levels_and_forms_are_refused(given: dict[str, str]) -> None:
    """A level or form that there is not is a mistake in the settings, with its key."""
    (name,) = given
    with pytest.raises(ConfigurationError, match=name):
        with_server(settings(), **given)


def test_serve_has_both_options() -> None:
    """`jobgate serve` takes `--log-level` and `--log-format`, and names a mistake in them."""
    command = [sys.executable, "-m", "gateway.cli", "serve", "--log-level", "loud", "--log-format", "xml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "server.log_level" in done.stderr
    assert "server.log_format" in done.stderr
    assert "Traceback" not in done.stderr
