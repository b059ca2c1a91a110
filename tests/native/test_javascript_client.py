"""Microsoft's packages for JavaScript, unchanged: the policy that signs, in a REST client as Microsoft generates them.

They sign the query as `URLSearchParams` writes it, which is not as they send it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.native.servers import Servers, servers
from tests.support.tools import node_modules, tool

FOLDER = Path(__file__).parent / "javascript"
QUEUES = ["Support EMEA", "(a)~b*c'!", "100%+x&y=z", "Zürich 😀", "%20"]
"""Names that the two ways of writing a query write differently."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A gateway and the simulated vendors."""
    with servers(tmp_path_factory.mktemp("javascript")) as started:
        yield started


@pytest.fixture(autouse=True)
def reset_vendors(running: Servers) -> None:
    """Every job is as at the start."""
    running.reset()


def ask(running: Servers, connection: str | None, *calls: dict[str, Any], access_key: str = "") -> list[dict[str, Any]]:
    """What the client is answered to these calls, one after the other."""
    node = tool("node", "nodejs")
    node_modules(FOLDER)
    asked = {
        "endpoint": running.endpoint("azure-job-router", connection),
        "accessKey": access_key or running.access_key("azure-job-router", connection),
        "calls": calls,
    }
    ran = subprocess.run(
        [node, str(FOLDER / "client.mjs")],
        input=json.dumps(asked),
        env={**os.environ, "NODE_EXTRA_CA_CERTS": running.certificate},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers: list[dict[str, Any]] = json.loads(ran.stdout)
    return answers


def jobs_of(queue: str | None = None, **query: Any) -> dict[str, Any]:
    """A call that lists jobs."""
    return {"method": "get", "path": "/routing/jobs", "query": query | ({} if queue is None else {"queueId": queue})}


@pytest.mark.parametrize("connection", ["azure-sandbox", None])
def test_it_lists_the_jobs_of_a_queue(running: Servers, connection: str | None) -> None:
    """The client lists the jobs of one queue of any name, at the gateway and at the simulated vendor."""
    vendor = running.vendor(connection)
    job = vendor.job(vendor.create_job("queued"))
    made = {queue: f"in queue {number}" for number, queue in enumerate(QUEUES)}
    for queue, job_id in made.items():
        vendor._simulator.add({**job, "id": job_id, "queueId": queue})
    answers = ask(running, connection, *map(jobs_of, QUEUES))
    assert [answer["status"] for answer in answers] == [200] * len(QUEUES), answers
    assert [[job["id"] for job in answer["body"]["value"]] for answer in answers] == [[each] for each in made.values()]


@pytest.mark.parametrize("connection", ["azure-sandbox", "vonage-sandbox", None])
def test_it_reads_and_cancels(running: Servers, connection: str | None) -> None:
    """A job by itself, all jobs page by page, and the action; a wrong key gets 401 for each."""
    word = "Running" if connection == "vonage-sandbox" else "assigned"
    job_id = running.vendor(connection).create_job(word)
    read = {"method": "get", "path": "/routing/jobs/{id}", "parameters": [job_id]}
    cancel = {"method": "post", "path": "/routing/jobs/{id}:cancel", "parameters": [job_id], "body": {"note": "Why"}}
    refused = ask(running, connection, read, cancel, jobs_of("a b"), access_key="d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=")
    assert [answer["status"] for answer in refused] == [401] * 3
    first, second, *pages = ask(running, connection, read, cancel, jobs_of(maxpagesize=3))
    assert (first["status"], first["body"]["status"], second["status"]) == (200, "assigned", 200)
    assert {page["status"] for page in pages} == {200}
    assert len(pages) > 1
    assert job_id in [job["id"] for page in pages for job in page["body"]["value"]]
    assert str(running.vendor(connection).job(job_id)["status"]).lower() == "cancelled"
