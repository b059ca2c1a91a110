"""Faults of the gateway: answered as 500, logged in full, and shown without details (C11, C16)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Catalogue, Gateway
from gateway.dialects.unified import Problems as ProblemsOf
from gateway.domain.clock import SystemClock
from gateway.domain.errors import Explanation, UnknownJob
from gateway.domain.model import Json, VendorResponse
from gateway.edge import surface
from gateway.edge.authentication import Authenticator, unified_security
from gateway.edge.exchange import Application
from gateway.edge.html_pages import Pages
from gateway.edge.rates import Rates
from gateway.edge.response_validation import ResponseValidation
from gateway.edge.surface import Handler, Reply, Request, Surface
from gateway.settings.settings import load
from gateway.specs.document import Document
from gateway.specs.operations import Api
from gateway.startup.serve import simulators, with_sandbox
from tests.support.asgi import call
from tests.support.callers import somebody
from tests.support.edge import LIMITS, MARK
from tests.support.problems import Problems
from tests.support.vendors import API_KEY

CONNECTION: dict[str, Json] = {
    "name": "a",
    "vendor": "b",
    "endpoint": "https://c",
    "authentication": "d",
    "contractDrift": 0,
}


@dataclass
class LyingGateway:
    """A gateway whose handlers return what a test says."""

    application: Application
    reply: Any = None

    async def handle(self, _request: Request) -> Reply:
        """Answer, or fail."""
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply if isinstance(self.reply, Reply) else Reply(self.reply)


async def nothing() -> None:
    """There is nothing to do."""


@asynccontextmanager
async def no_life() -> AsyncIterator[dict[str, Any]]:
    """There is nothing to start, and nothing to close."""
    yield {}


def serving(
    api: Api, handler: Handler, response_validation: ResponseValidation = ResponseValidation.REFUSE
) -> Application:
    """An application of which every operation has the same handler."""
    authenticator = Authenticator(somebody(API_KEY), Rates(SystemClock(), None))
    handlers = dict.fromkeys(api.operations, handler)
    served = Surface(api, "/v1", handlers, unified_security(authenticator), ProblemsOf(api))
    pages = Pages({"": api.document}, no_life)
    return surface.application([served], pages=pages, limits=LIMITS, response_validation=response_validation)


@pytest.fixture(scope="module")
def lying(catalogue: Catalogue) -> LyingGateway:
    """A gateway whose replies can depart from its document."""
    made = LyingGateway(lambda *_: nothing())
    made.application = serving(catalogue.api, made.handle)
    return made


LIES: list[Any] = [
    {},
    None,
    [],
    MARK,
    {**CONNECTION, "secret": MARK},
    {**CONNECTION, "name": f"{MARK} is no name"},
    {**CONNECTION, "vendor": 7},
    {**CONNECTION, "endpoint": [MARK]},
    {name: value for name, value in CONNECTION.items() if name != "vendor"},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_reply_that_the_document_forbids_is_not_sent(
    lying: LyingGateway, problems: Problems, caplog: pytest.LogCaptureFixture, lie: Any
) -> None:
    """A handler that lies gives 500; what it said is shown neither to the client nor in the log (C11)."""
    lying.reply = lie
    answer = await call(lying.application, "GET", "/v1/connections/a")
    problem = problems.check(answer, answer.headers)
    assert (answer.status, problem["code"]) == (500, "gateway-error")
    assert MARK not in answer.body.decode() + caplog.text
    assert "getConnection" in caplog.text


@pytest.mark.parametrize(("setting", "logged"), [(ResponseValidation.LOG, True), (ResponseValidation.OFF, False)])
async def test_a_lie_may_be_only_logged(
    catalogue: Catalogue, caplog: pytest.LogCaptureFixture, setting: ResponseValidation, logged: bool
) -> None:
    """With `log` a reply that departs is sent, and its places are logged without values; with `off` nobody looks."""
    lie = {**CONNECTION, "secret": MARK, "vendor": MARK}
    application = serving(catalogue.api, LyingGateway(lambda *_: nothing(), lie).handle, setting)
    answer = await call(application, "GET", "/v1/connections/a")
    assert (answer.status, answer.json) == (200, lie)
    assert MARK not in caplog.text
    assert ("/vendor" in caplog.text, "secret is not known here" in caplog.text) == (logged, logged)


@pytest.mark.parametrize(
    ("text", "sandbox", "expected"),
    [
        ("", False, ResponseValidation.OFF),
        ("", True, ResponseValidation.REFUSE),
        ('[server]\nresponse_validation = "log"', False, ResponseValidation.LOG),
        ('[server]\nresponse_validation = "off"', True, ResponseValidation.OFF),
    ],
)
def test_replies_are_checked_in_development_and_by_setting(
    catalogue: Catalogue, tmp_path: Path, text: str, sandbox: bool, expected: ResponseValidation
) -> None:
    """Beside the sandbox every reply is checked; elsewhere where the setting says so; and the setting has the word."""
    file = tmp_path / "jobgate.toml"
    file.write_text(f'api_key = "{API_KEY}"\n{text}', encoding="utf-8")
    settings = load(file)
    if sandbox:
        with simulators(catalogue) as started:
            settings = with_sandbox(settings, catalogue.vendors, started)
    assert Gateway(settings, catalogue).response_validation is expected


@pytest.mark.parametrize(
    "lie", [{**CONNECTION, "endpoint": "\ud800"}, {**CONNECTION, "endpoint": float("nan")}], ids=str
)
async def test_a_reply_that_cannot_be_written_is_not_sent(lying: LyingGateway, problems: Problems, lie: Any) -> None:
    """A reply that cannot be written as JSON gives 500 and no partial reply."""
    lying.reply = lie
    answer = await call(lying.application, "GET", "/v1/connections/a")
    assert problems.check(answer, answer.headers)["code"] == "gateway-error"


async def test_the_truth_is_sent(lying: LyingGateway) -> None:
    """A reply that fits goes out as JSON, with the headers that the handler gave (C16)."""
    lying.reply = Reply(CONNECTION, headers={"Link": "<x>"})
    answer = await call(lying.application, "GET", "/v1/connections/a")
    assert (answer.status, answer.json) == (200, CONNECTION)
    assert (answer.headers["content-type"], answer.headers["link"]) == ("application/json", "<x>")


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(MARK), KeyError(MARK), RecursionError(MARK), TimeoutError(MARK), OSError(MARK)],
    ids=repr,
)
async def test_an_unexpected_error_is_logged_and_not_shown(
    lying: LyingGateway, problems: Problems, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Any exception becomes the same 500; the log has it with its traceback, the client has nothing of it."""
    lying.reply = error
    with caplog.at_level(logging.ERROR):
        answer = await call(lying.application, "GET", "/v1/connections/a")
    assert problems.check(answer, answer.headers)["code"] == "gateway-error"
    assert MARK not in answer.body.decode()
    assert "Traceback" in caplog.text
    assert MARK in caplog.text


async def test_a_problem_that_cannot_be_written_is_a_problem_too(
    lying: LyingGateway, problems: Problems, caplog: pytest.LogCaptureFixture
) -> None:
    """A problem whose text cannot be encoded as UTF-8 still reaches the client as a problem."""
    lying.reply = UnknownJob("\ud800", Explanation(vendor=VendorResponse("a", message="\udfff")))
    # What is logged cannot be written either, and pytest's workers would have to.
    with caplog.at_level(logging.CRITICAL):
        answer = await call(lying.application, "GET", "/v1/connections/a")
    assert problems.check(answer, answer.headers)["code"] == "gateway-error"


async def test_a_document_is_not_a_program(catalogue: Catalogue, tmp_path: Any) -> None:
    """Text of the document that looks like a template is text: nothing in it is run (C17)."""
    trap = "{{ 1 / 0 }}{% for x in %}{{ cycler.__init__.__globals__.os.popen('id').read() }}"
    content = {**catalogue.api.document.content}
    content["info"] = {**content["info"], "description": trap}
    api = Api.compile(Document(tmp_path / "trap.yaml", content))
    answer = await call(serving(api, LyingGateway(lambda *_: nothing(), CONNECTION).handle), "GET", "/openapi.json")
    assert answer.json["info"]["description"] == trap
