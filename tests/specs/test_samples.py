"""The vendors' own samples, letter by letter: the documents have them, and the gateway sends them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.domain.model import JobAction
from gateway.engine.wire import http_request
from tests.support.documents import installed

CATALOGUE = installed()
AZURE = "https://contoso.westus.communications.azure.com"
VONAGE = "https://emea.api.cc.vonage.com/interaction-content-export"
JOB = "8780b28c-7079-4de1-9143-4d369289e958"
ASSIGNMENT = "1d5896f3-8b54-40be-82d3-910323f5e2af"
EXPORT = "fe4b9c24-d305-492e-90e2-ddbdd7a36555"
VERSION = "application/vnd.newvoicemedia.v1+json"


@dataclass(frozen=True)
class Sample:
    """A sample of a vendor's page: what is sent, what is answered, and the job action that it stands for."""

    vendor: str
    endpoint: str
    operation_id: str
    job_action: JobAction
    url: str
    status: int
    body: Any = None
    reply: Any = None
    headers: dict[str, str] = field(default_factory=dict)


SAMPLES = {
    "Closes a completed job": Sample(
        vendor="azure-job-router",
        endpoint=AZURE,
        operation_id="closeJob",
        job_action=JobAction(
            "close",
            JOB,
            {"assignmentId": ASSIGNMENT, "dispositionCode": "JobCompleted.", "note": "Closing job"},
        ),
        url=f"{AZURE}/routing/jobs/{JOB}/assignments/{ASSIGNMENT}:close?api-version=2023-11-01",
        body=json.loads('{\n  "dispositionCode": "JobCompleted.",\n  "note": "Closing job"\n}'),
        status=200,
        reply={},
    ),
    # The page shows it with an empty object as its body, and once more without a body; both ask for the same.
    "Cancels a job": Sample(
        vendor="azure-job-router",
        endpoint=AZURE,
        operation_id="cancelJob",
        job_action=JobAction("cancel", JOB),
        url=f"{AZURE}/routing/jobs/{JOB}:cancel?api-version=2023-11-01",
        status=200,
        reply={},
    ),
    "Change job status": Sample(
        vendor="vonage-contact-center",
        endpoint=VONAGE,
        operation_id="changeJobStatus",
        job_action=JobAction("restart", EXPORT),
        url=f"{VONAGE}/interactions/jobs/{EXPORT}/restart",
        status=204,
        headers={"Accept": VERSION},
    ),
}


@pytest.mark.parametrize("sample", list(SAMPLES.values()), ids=list(SAMPLES))
def test_the_gateway_sends_the_sample(sample: Sample) -> None:
    """The request on the wire is the one that the vendor's page shows: method, address, headers and body."""
    mapping = CATALOGUE.vendors[sample.vendor].specification.actions[sample.job_action.action]
    request = http_request(mapping.operation, mapping.encode(sample.job_action), sample.endpoint)
    assert (request.method, request.url) == ("POST", sample.url)
    assert (json.loads(request.content) if request.content else None) == sample.body
    assert sample.headers.items() <= request.headers.items()


@pytest.mark.parametrize("sample", list(SAMPLES.values()), ids=list(SAMPLES))
def test_the_sample_reads_back(sample: Sample) -> None:
    """A vendor's sample, read as a request of the vendor's own API, is the job action that it stands for."""
    specification = CATALOGUE.vendors[sample.vendor].specification
    mapping = specification.actions[sample.job_action.action]
    assert mapping.operation.operation_id == sample.operation_id
    assert specification.decode(sample.operation_id, mapping.encode(sample.job_action).parts()) == (sample.job_action,)


@pytest.mark.parametrize("sample", list(SAMPLES.values()), ids=list(SAMPLES))
def test_the_document_has_the_sample(sample: Sample) -> None:
    """The vendor's document carries the sample's request and reply as its examples."""
    specification = CATALOGUE.vendors[sample.vendor].specification
    operation = specification.api.operations[sample.operation_id]
    document = specification.api.document
    node = document.content["paths"][operation.path]["post"]
    (shown,) = specification.decode(sample.operation_id, operation.example)
    assert shown.job_id == sample.job_action.job_id
    bodies = document.resolve(node.get("requestBody", {})).get("content", {}).get("application/json", {})
    examples = [each["value"] for each in bodies.get("examples", {}).values()]
    assert sample.body in examples if sample.body is not None else examples in ([], [{}])
    response = node["responses"][str(sample.status)]
    replies = [each["value"] for media in response.get("content", {}).values() for each in media["examples"].values()]
    assert all(reply == sample.reply for reply in replies)
    assert bool(replies) == (sample.reply is not None)


def test_both_forms_of_the_cancel_sample_ask_for_the_same() -> None:
    """A cancellation with an empty object and one without a body are the same job action."""
    specification = CATALOGUE.vendors["azure-job-router"].specification
    parts = specification.actions["cancel"].encode(JobAction("cancel", JOB)).parts()
    assert specification.decode("cancelJob", parts) == specification.decode("cancelJob", {**parts, "body": {}})
