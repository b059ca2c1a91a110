"""The corpus against the vendors' own APIs: every hostile request gets its answer, in the vendor's own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pytest

from gateway.specs.native import NativeApi
from tests.edge.corpus import CORPUS
from tests.support.corpus import HOST, Hostile, Surface, meet
from tests.support.documents import installed
from tests.support.edge import Edge
from tests.support.problems import Problems
from tests.support.raw import RawResponse
from tests.support.vendors import API_KEY, AZURE_JOB, VONAGE_JOB

NATIVES = installed().natives
AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
CONNECTIONS = {AZURE: "contoso-prod", VONAGE: "vonage-emea"}
VERSION = "?api-version=2023-11-01"

OTHERWISE: Mapping[str, frozenset[int | None]] = {
    "id: an empty one": frozenset({405}),  # the verb alone is the id of a job that is read
    "body: an empty text": frozenset({200}),  # Azure's document has no least length
    "body: a text of 5,000 characters": frozenset({200}),  # and a greater one
    "key: none, and a job that cannot be": frozenset({401}),  # `..:cancel` is no dot segment
}
"""Where Azure's API differs from the unified one."""


@dataclass(frozen=True)
class VendorErrors:
    """Checks that a refusal is an error as the vendor's document describes it.

    What the server cannot read as HTTP, and what is for an address elsewhere, gets a problem of the gateway's.
    """

    native: NativeApi
    problems: Problems

    @property
    def media_type(self) -> str:
        """The media type of its errors."""
        return self.native.vendor.error_media_type(None, 400)

    def check(self, response: RawResponse, headers: Mapping[str, str]) -> None:
        """Fail the test where it is not."""
        if headers["content-type"] == self.problems.media_type:
            self.problems.check(response, headers)
            return
        assert headers["content-type"] == self.media_type
        assert headers["x-request-id"]
        operations = [each for name, each in self.native.api.operations.items() if name != "grantToken"]
        documented = [each.response(response.status) for each in operations]
        assert all(body.is_valid(response.json) for each in documented if each for body in each.bodies.values())


def azure(target: str) -> Surface:
    """Azure's API, on a connection to a vendor."""
    base = f"/native/{AZURE}/{CONNECTIONS[target]}"
    return Surface(
        host="gateway.test",
        key=API_KEY,
        base=base,
        read=f"{base}/routing/jobs",
        jobs=f"{base}/routing/jobs",
        job=AZURE_JOB if target == AZURE else VONAGE_JOB,
        verb=f":cancel{VERSION}",
        member="note",
        body=b'{"note":"healthy"}',
        query=VERSION,
        carries_body=target == AZURE,
    )


def vonage(target: str) -> Surface:
    """Vonage's API, on a connection to a vendor. Its actions have no body."""
    base = f"/native/{VONAGE}/{CONNECTIONS[target]}"
    jobs = f"{base}/interactions/jobs"
    accept = b"Accept: application/vnd.newvoicemedia.v1+json\r\n"
    return Surface("gateway.test", API_KEY, base, jobs, jobs, VONAGE_JOB, "/cancel", "note", b"", fields=accept)


def requests(*tables: str) -> list[Hostile]:
    """The requests of some tables."""
    return [hostile for table in tables for hostile in CORPUS[table]]


def of_azure(hostile: Hostile) -> Hostile:
    """A request with the answer that Azure's API has for it."""
    return replace(hostile, answers=(OTHERWISE.get(hostile.name, hostile.answers[0]), *hostile.answers[1:]))


def with_ids_of_azure(hostile: Hostile) -> bool:
    """Whether a request is for the action of a job whose id Vonage cannot have."""
    return hostile.job is not None


def needs_version(hostile: Hostile) -> bool:
    """Whether a request that is good says so in a field of its own, which Vonage's clients have only once."""
    is_good = any(200 in answer for answer in hostile.answers)
    return is_good and (HOST not in hostile.pieces[0] or b"\r\nAccept:" in hostile.pieces[0])


def of_reads(hostiles: Iterable[Hostile]) -> list[Hostile]:
    """Those without an action that has a body."""
    return [each for each in hostiles if not each.actions and not needs_version(each)]


WHOLE = [*map(of_azure, requests(*CORPUS))]
READS = of_reads(requests("paths", "targets", "request lines", "methods", "hosts", "header fields", "keys"))
CASES = [
    *(pytest.param(AZURE, AZURE, each, id=f"azure-azure-{each}") for each in WHOLE),
    *(pytest.param(AZURE, VONAGE, each, id=f"azure-vonage-{each}") for each in WHOLE if not with_ids_of_azure(each)),
    *(pytest.param(VONAGE, VONAGE, each, id=f"vonage-vonage-{each}") for each in READS),
    *(pytest.param(VONAGE, AZURE, each, id=f"vonage-azure-{each}") for each in READS),
]


@pytest.mark.sampled(0.05, kind=lambda dialect, target, hostile: (dialect, target, hostile.kind))
@pytest.mark.parametrize(("dialect", "target", "hostile"), CASES)
def test_a_hostile_request_gets_its_answer(edge: Edge, dialect: str, target: str, hostile: Hostile) -> None:
    """A hostile request gets its expected refusal, reaches no vendor, is not repeated, and spoils no later one."""
    surface = azure(target) if dialect == AZURE else vonage(target)
    meet(edge, surface, hostile, VendorErrors(NATIVES[dialect], edge.problems))


def test_the_corpus_is_large_enough() -> None:
    """All of it for Azure's clients; for Vonage's what is not about bodies and ids, which their actions do not have."""
    assert len(WHOLE) >= 450
    assert len(READS) >= 250
    assert {each.name for each in WHOLE} >= OTHERWISE.keys()
