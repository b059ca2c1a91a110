"""The links of the document: they lead a client through the life of a batch, without any knowledge of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.specs.document import Document
from tests.batches.conftest import House, queued, refs
from tests.support.asgi import Answer


@dataclass(frozen=True)
class Step:
    """A request by the document alone, and its answer: the next requests are built from the links of that answer."""

    house: House
    document: Document
    operation: str
    path: Mapping[str, str]
    body: Any
    answer: Answer

    @classmethod
    async def take(
        cls, house: House, operation: str, path: Mapping[str, str], body: Any = None, query: str = ""
    ) -> Step:
        """Call an operation, which has to succeed."""
        document = house.gateway.catalogue.api.document
        template, method, _ = operation_of(document, operation)
        answer = await house.ask(method.upper(), template.format_map(path) + query, body)
        assert answer.status in {200, 202}, (operation, answer.body)
        return cls(house, document, operation, path, body, answer)

    async def follow(self, name: str, body: Any = None, query: str = "") -> Step:
        """Make the request that a link of the answer describes, with a body and a query that no link can know."""
        link = self.links[name]
        found = {parameter: self.value(each) for parameter, each in link.get("parameters", {}).items()}
        operation = link["operationId"]
        _, _, node = operation_of(self.document, operation)
        declared = {each["name"]: each["in"] for each in map(self.document.resolve, node.get("parameters", ()))}
        assert {declared[parameter] for parameter in found} == {"path"}, "this walk knows links into the path only"
        return await Step.take(self.house, operation, found, self.value(link.get("requestBody", body)), query)

    async def follow_until(self, name: str, state: str) -> Step:
        """Follow a link to the batch, while it goes on, until it is in a state."""
        step = self
        for _ in range(20):
            step = await step.follow(name)
            if step.answer.json["state"] == state:
                return step
            await self.house.go_on()
            self.house.clock.advance(1.5)
        raise AssertionError(f"it does not become {state}: {step.answer.json}")

    @property
    def links(self) -> Mapping[str, Any]:
        """The links that the document gives to this answer."""
        _, _, node = operation_of(self.document, self.operation)
        response = self.document.resolve(node["responses"][str(self.answer.status)])
        links: Mapping[str, Any] = response.get("links", {})
        return links

    def value(self, written: Any) -> Any:
        """A value of a link, with the runtime expressions in it evaluated."""
        if isinstance(written, Mapping):
            return {name: self.value(each) for name, each in written.items()}
        if not isinstance(written, str) or not written.startswith("$"):
            return written
        source, _, pointer = written.partition("#")
        if source.startswith("$request.path."):
            return self.path[source.removeprefix("$request.path.")]
        found = {"$request.body": self.body, "$response.body": self.answer.json}[source]
        for part in pointer.split("/")[1:]:
            found = found[int(part) if isinstance(found, list) else part.replace("~1", "/").replace("~0", "~")]
        return found


def operation_of(document: Document, name: str) -> tuple[str, str, Mapping[str, Any]]:
    """The path, the method and the node of an operation."""
    return next(each for each in document.operations() if each[2]["operationId"] == name)


async def created(house: House, *jobs: str) -> Step:
    """A new batch, the only request that no link describes."""
    return await Step.take(
        house, "createBatch", {}, {"action": "cancel", "reason": "a test", "select": {"jobs": refs([*jobs])}}
    )


def is_reported(step: Step, ended: Mapping[str, Any]) -> bool:
    """True if a report is the one that its batch names."""
    return bool(hashlib.sha256(step.answer.body).hexdigest() == ended["report"]["sha256"])


async def test_links_lead_to_the_end_of_a_batch(house: House) -> None:
    """A client that follows links only confirms the batch that it created, and gets its report."""
    house.vendor.jobs["done"] = "cancelled"
    new = await created(house, *queued(house, 3), "done")
    shown = await new.follow_until("batch", "awaiting_confirmation")
    ended = await (await shown.follow("confirm")).follow_until("batch", "completed")
    report = await ended.follow("report")
    assert is_reported(report, ended.answer.json)
    assert [json.loads(each)["outcome"] for each in report.answer.body.splitlines()] == [*["applied"] * 3, "skipped"]
    record = await (await ended.follow("items")).follow("jobAction")
    assert record.answer.json["idempotencyKey"] == f"batch:{ended.answer.json['id']}:1"


async def test_links_lead_through_a_pause_to_an_abort(house: House) -> None:
    """A client that follows links only pauses a running batch, resumes it, aborts it, and gets the report of both."""
    shown = await (await created(house, *queued(house, 50))).follow_until("batch", "awaiting_confirmation")
    ready = await shown.follow("confirm")
    house.vendor.may_answer.clear()
    going = asyncio.create_task(house.go_on())
    await house.vendor.is_asked.wait()
    running = await ready.follow("batch")
    pausing = await running.follow("pause")
    house.vendor.may_answer.set()
    await going
    paused = await pausing.follow_until("batch", "paused")
    resumed = await paused.follow("resume")
    aborting = await resumed.follow("abort")
    ended = await aborting.follow_until("batch", "aborted")
    seen = [each.answer.json["state"] for each in (ready, running, pausing, paused, resumed, aborting, ended)]
    assert seen == ["ready", "running", "pausing", "paused", "ready", "aborting", "aborted"]
    report = await ended.follow("report")
    assert is_reported(report, ended.answer.json)
    done = sum(house.vendor.asked.values())
    outcomes = [json.loads(each)["outcome"] for each in report.answer.body.splitlines()]
    assert 0 < done < 50
    assert outcomes == ["applied"] * done + ["not_sent"] * (50 - done)
    again = await (await ended.follow("redrive")).follow_until("batch", "awaiting_confirmation")
    assert again.answer.json["manifest"]["count"] == 50 - done


async def test_links_lead_through_pages_of_jobs(house: House) -> None:
    """A client that follows links only adds jobs to a batch that collects them, and has it prepared."""
    body = {"action": "cancel", "reason": "a test", "select": {"pages": True}}
    collecting = await Step.take(house, "createBatch", {}, body)
    added = await collecting.follow("add", refs(queued(house, 2)), "?page=1")
    preparing = await added.follow("prepare")
    shown = await preparing.follow_until("batch", "awaiting_confirmation")
    assert shown.answer.json["manifest"]["count"] == 2
