"""Requests that are signed: the vectors of Microsoft's own client, and nothing secret on the side."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from azure.communication.jobrouter._shared.policy import HMACCredentialsPolicy
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest as AzureRequest
from pydantic import SecretStr

from adapters.azure_job_router import ADAPTER
from gateway.domain.adapter import Signing
from gateway.domain.model import HttpRequest
from gateway.security.redaction import REDACTED
from tests.support.clock import FakeClock
from tests.support.signatures import signature
from tests.support.vendors import ACCESS_KEY, ASSIGNMENT, AZURE, AZURE_JOB

CLOCK = FakeClock(datetime(2023, 11, 3, 21, 27, 6, tzinfo=UTC))
SIGNATURE = signature(ADAPTER.signing["accessKey"], SecretStr(ACCESS_KEY), CLOCK)

EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
CANCEL = HttpRequest("POST", f"{AZURE}/routing/jobs/{AZURE_JOB}:cancel?api-version=2023-11-01", {})
CLOSE = HttpRequest(
    "POST",
    f"{AZURE}/routing/jobs/{AZURE_JOB}/assignments/{ASSIGNMENT}:close?api-version=2023-11-01",
    {},
    b'{"dispositionCode": "JobCompleted.", "note": "Closing job"}',
)
LIST = HttpRequest("GET", f"{AZURE}/routing/jobs?maxpagesize=20&status=active&api-version=2023-11-01", {})

VECTORS = [
    pytest.param(CANCEL, EMPTY, "gbNIZK933+3TiE7ymCewPcOBtm2w7GJ3NAqiDGEeRCw=", id="cancel"),
    pytest.param(
        CLOSE,
        "01MrZho6KGVVPc7qEc/hyogz/HAE6Ihv0haE+BsxikQ=",
        "a5+7ksCXcLCraUuloow4f8dxKKRhvOAgOc5x4bFhvTQ=",
        id="close",
    ),
    pytest.param(LIST, EMPTY, "EIlryMRjCUbix67SJPWL+ElUVzBHTUmyOKdItH9payU=", id="list"),
]


@pytest.mark.parametrize(("request_", "digest", "proof"), VECTORS)
async def test_the_headers_are_those_of_the_official_client(request_: HttpRequest, digest: str, proof: str) -> None:
    """For the same key, date and request, the headers equal those of Microsoft's SDK."""
    assert await SIGNATURE.headers(request_, 0.0) == {
        "x-ms-date": "Fri, 03 Nov 2023 21:27:06 GMT",
        "x-ms-content-sha256": digest,
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={proof}",
    }


async def test_each_request_has_the_date_of_its_own_time() -> None:
    """A signature is made when it is needed, since the vendor takes none that is minutes old."""
    clock = FakeClock()
    made = signature(ADAPTER.signing["accessKey"], SecretStr(ACCESS_KEY), clock)
    first = await made.headers(CANCEL, 0.0)
    clock.advance(61)
    second = await made.headers(CANCEL, 0.0)
    assert (first["x-ms-date"], second["x-ms-date"]) == (
        "Mon, 05 Jan 2026 10:00:00 GMT",
        "Mon, 05 Jan 2026 10:01:01 GMT",
    )
    assert first["Authorization"] != second["Authorization"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-Api-Key", "x-signature"])
async def test_no_header_of_a_signature_is_shown(name: str) -> None:
    """Whatever an adapter calls the header that carries the secret, a dry run shows its name only."""
    signing = Signing(lambda _request, secret, _now: {name: secret}, lambda *_: str)
    made = signature(signing, SecretStr("very-secret"), CLOCK)
    assert made.redacted(CANCEL) == {name: REDACTED}
    assert await made.headers(CANCEL, 0.0) == {name: "very-secret"}


def test_there_is_nothing_to_renew() -> None:
    """A key does not end, so a request that is turned away is not sent again."""
    assert SIGNATURE.renew({}) is False


def test_the_key_is_not_shown() -> None:
    """The key is in no representation of the credentials."""
    assert ACCESS_KEY not in repr(SIGNATURE) + str(SIGNATURE)


@pytest.mark.parametrize("request_", [CANCEL, CLOSE, LIST], ids=["cancel", "close", "list"])
async def test_the_official_sdk_signs_the_same(request_: HttpRequest) -> None:
    """Microsoft's own Python client signs the same request, at the same time, with the same headers."""
    theirs = AzureRequest(request_.method, request_.url, content=request_.content.decode() or None)
    policy: Any = HMACCredentialsPolicy(AZURE, ACCESS_KEY)
    policy.on_request(PipelineRequest(theirs, PipelineContext(None)))
    signed = {name.lower(): value for name, value in theirs.headers.items()}
    at = parsedate_to_datetime(signed["x-ms-date"])
    ours = await signature(ADAPTER.signing["accessKey"], SecretStr(ACCESS_KEY), FakeClock(at)).headers(request_, 0.0)
    assert {name.lower(): value for name, value in ours.items()}.items() <= signed.items()
