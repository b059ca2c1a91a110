"""The documentation page in a real browser: it sends what its reader wrote or chose, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Request

from gateway.app import Catalogue
from gateway.specs.operations import Api
from gateway.startup.serve import Running, sandbox_name

CATALOGUE = Catalogue.load()
DOCUMENTS: dict[str, Api] = {"": CATALOGUE.api} | {f"/{name}": each.api for name, each in CATALOGUE.natives.items()}
QUEUED, ASSIGNED = "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4d01", "2f8a35c1-6f0b-4a3c-9d5e-0c1b7a9e4d02"
FIELDS = "tr[data-param-name] input, tr[data-param-name] select:not(.examples-select-element), textarea"


@dataclass
class Reader:
    """Somebody who reads the documentation page. `complaints` is what the console of the browser says."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, document: str = "") -> None:
        """Open the page of a document, and wait until it shows."""
        self.page.goto(f"{self.url}/docs{document}")
        self.page.locator(".opblock").first.wait_for()

    def operation(self, name: str) -> Locator:
        """The part of the page about an operation, opened, with its fields."""
        found = self.page.locator(f'.opblock[id$="-{name}"]')
        found.locator(".opblock-summary").first.click()
        found.locator(".try-out__btn").click()
        return found

    def hear(self, kind: str, text: str) -> None:
        """Note what the console says, but for the browser's advice to those who make pages."""
        if kind != "verbose":
            self.complaints.append(f"{kind}: {text}")

    def authorize(self, key: str) -> None:
        """Enter the API key."""
        self.page.locator(".auth-wrapper > .authorize").click()
        self.page.locator(".modal-ux input").first.fill(key)
        self.page.locator(".modal-ux .auth-btn-wrapper .authorize").first.click()
        self.page.locator(".modal-ux .btn-done").first.click()

    def execute(self, operation: Locator) -> tuple[Request, int]:
        """Have the page send the request, and wait for its answer."""
        with self.page.expect_response(lambda response: "/v1/" in response.url) as answered:
            operation.locator(".execute").click()
        return answered.value.request, answered.value.status


@pytest.fixture
def reader(browser: Browser, stack: Running) -> Iterator[Reader]:
    """A reader of a running gateway, whose vendors are as at the start. Whatever it does, the console is silent.

    And nobody but the gateway is asked for anything.
    """
    for vendor in stack.gateway.directory.vendors:
        stack.sandbox.vendor(vendor).reset()
    page = browser.new_page()
    made = Reader(page, stack.url)
    page.set_default_timeout(60_000)
    page.on("request", lambda request: made.requests.append(request))  # noqa: PLW0108 - it sets an attribute on it
    page.on("console", lambda message: made.hear(message.type, message.text))
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    yield made
    page.close()
    assert made.complaints == []
    assert {urlsplit(each.url).netloc for each in made.requests} == {urlsplit(stack.url).netloc}


def written(operation: Locator) -> dict[str, Any]:
    """The values in the fields of an operation before anybody wrote anything, by the name of the parameter."""
    values = (
        each.evaluate("field => [field.closest('tr')?.dataset.paramName ?? 'body', field.value, field.length ?? 0]")
        for each in operation.locator(FIELDS).all()
    )
    # Where there is just one value, it is no choice of anybody's.
    return {name: value for name, value, choices in values if choices != 1}


@pytest.mark.sampled(0.5, kind=lambda document: document == "")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_fields_start_empty(reader: Reader, document: str) -> None:
    """In every operation of every document, no example and no default is filled in before the reader chooses it."""
    reader.open(document)
    assert DOCUMENTS[document].operations
    for name in DOCUMENTS[document].operations:
        operation = reader.operation(name)
        assert {*written(operation).values()} <= {"", "{}"}, name
        operation.locator(".opblock-summary").first.click()  # a page with everything open is a slow one


def test_an_action_has_nothing_of_the_documents(reader: Reader, stack: Running) -> None:
    """No key, no time and no note that the reader has not written; so two actions are two."""
    reader.open()
    reader.authorize(stack.api_key)
    operation = reader.operation("cancelJob")
    for job in (QUEUED, ASSIGNED):
        operation.locator("[data-param-name=connection] input").fill("azure-sandbox")
        operation.locator("[data-param-name=jobId] input").fill(job)
        request, status = reader.execute(operation)
        assert not request.headers.keys() & {"idempotency-key", "request-timeout", "prefer"}
        assert (urlsplit(request.url).query, request.post_data, status) == ("", "{}", 200)


def test_examples_are_offered(reader: Reader) -> None:
    """Each field offers the document's examples in a list beside it."""
    reader.open()
    operation = reader.operation("closeJob")
    job = operation.locator("[data-param-name=jobId]")
    job.locator("select").select_option(index=1)
    assert job.locator("input").input_value()
    operation.locator(".opblock-section-request-body .examples-select-element").first.select_option(index=1)
    assert "note" in operation.locator("textarea").input_value()


@pytest.mark.parametrize(
    ("document", "name", "text"),
    [
        ("", "closeJob", "Needs the scope jobs:close."),
        ("", "createSchedule", "Needs the scopes schedules:write and batches:write."),
        (
            "/vonage-contact-center",
            "changeJobStatus",
            "Needs the scope of the requested action: jobs:cancel, jobs:restart, jobs:pause.",
        ),
    ],
)
def test_the_scope_of_an_operation_is_told(reader: Reader, document: str, name: str, text: str) -> None:
    """The page tells the scope of an operation as text."""
    reader.open(document)
    assert text in reader.operation(name).inner_text()


def test_the_key_is_forgotten(reader: Reader, stack: Running) -> None:
    """The browser stores the key nowhere, and the page asks for it again after a reload."""
    reader.open()
    reader.authorize(stack.api_key)
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert stack.api_key not in reader.page.evaluate(kept)
    reader.page.reload()
    reader.page.locator(".auth-wrapper > .authorize").click()
    assert reader.page.locator(".modal-ux input").first.input_value() == ""


def test_a_vendors_job_is_read_from_its_page(reader: Reader, stack: Running) -> None:
    """The examples of a vendor's document work unchanged."""
    reader.open()
    reader.authorize(stack.api_key)
    operation = reader.operation("getJob")
    for name in ("connection", "jobId"):
        operation.locator(f"[data-param-name={name}] select").select_option(index=1)
    request, status = reader.execute(operation)
    assert (status, request.headers["authorization"]) == (200, f"Bearer {stack.api_key}")
    assert sandbox_name("azure-job-router", list(CATALOGUE.vendors)) in request.url


EXAMPLES = [name for name, each in CATALOGUE.api.operations.items() if "x-example" in each.extensions]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_readme_takes_two_buttons(reader: Reader, stack: Running, name: str) -> None:
    """One button enters the example of an operation, another sends it: the request of the README, which works."""
    reader.open()
    reader.authorize(stack.api_key)
    operation = reader.page.locator(f'.opblock[id$="-{name}"]')
    operation.locator(".opblock-summary").first.click()
    operation.locator("button.example").click()
    request, status = reader.execute(operation)
    assert status == 200
    target = request.url.removeprefix(stack.url)
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    assert re.search(rf"http://127\.0\.0\.1:8080{re.escape(target)}(?=['\s])", readme), target
    if request.post_data and request.post_data != "{}":
        assert json.dumps(json.loads(request.post_data)) in readme


def test_the_readme_has_its_examples_on_the_page() -> None:
    """There is a button for an operation of each request in the README."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = set(re.findall(r"/jobs/[0-9a-f-]+(?:/([a-z]+))?(?=[?'\s])", readme))
    assert {f"{each or 'get'}Job" for each in shown} == set(EXAMPLES)
