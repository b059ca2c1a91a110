"""Security schemes that need no code: the gateway makes and checks them, and so does the sandbox."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.client import Client
from gateway.domain.access import DEFAULT_CALLER
from gateway.sandbox.vendor import VendorSandbox
from gateway.startup.serve import Running, running

HERE = Path(__file__).parent
CONNECTION = "form-sandbox"
REGION = "eu-central-1"
SIGNATURE = {"algorithm": "AWS4-HMAC-SHA256", "service": "tasks", "region": "connection.region"}
SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "api-key": {"type": "apiKey", "in": "header", "name": "X-Desk-Key"},
    "aws-signature": {"type": "apiKey", "in": "header", "name": "Authorization", "x-job-signature": SIGNATURE},
    "client-credentials": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "https://login.forms.example/oauth/token", "scopes": {}}},
    },
}


@dataclass(frozen=True)
class Desk:
    """A gateway and the simulated form desk, whose document has one of the schemes."""

    kind: str
    running: Running

    @property
    def vendor(self) -> VendorSandbox:
        """The simulated vendor."""
        return self.running.sandbox.vendor("form-desk")

    def curl(self, method: str, task: str, name: str, secret: str, *, base: str | None = None) -> tuple[int, Any]:
        """The answer to a request by curl, with the options that it has for each scheme."""
        options = {
            "basic": ["-u", f"{name}:{secret}"],
            "bearer": ["-H", f"Authorization: bearer  {secret}"],
            "api-key": ["-H", f"X-Desk-Key: {secret}"],
            "aws-signature": ["--aws-sigv4", f"aws:amz:{REGION}:tasks", "-u", f"{name}:{secret}"],
        }[self.kind]
        data = ["-d", "AssignmentStatus=canceled&Reason=a+b"] if method == "POST" else []
        at = f"{base or self.native}/Workspaces/WS1/Tasks/{task}"
        program = ["curl", "-s", "-S", "-w", "\n%{http_code}", "-X", method, *options, *data, at]
        ran = subprocess.run(program, capture_output=True, text=True, check=True, timeout=20)
        body, _, status = ran.stdout.rpartition("\n")
        return int(status), json.loads(body)

    @property
    def native(self) -> str:
        """The vendor's own API at the gateway."""
        return f"{self.running.url}/native/form-desk/{CONNECTION}"

    @property
    def simulated(self) -> str:
        """The vendor's own API at the simulator."""
        return self.running.sandbox.endpoint("form-desk")


@contextmanager
def desk_with(kind: str, folder: Path) -> Iterator[Desk]:
    """A gateway and sandbox with the form desk installed, by this scheme."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("form_desk.py", "form_desk-1.0.dist-info"):
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
            copy(HERE / name, folder / name)
        document = yaml.safe_load((HERE / "form_desk.yaml").read_text(encoding="utf-8"))
        document["components"]["securitySchemes"]["account"] = SCHEMES[kind]
        if kind == "aws-signature":
            declared = document["x-job-vendor"].setdefault("connection", {})
            declared["region"] = {"description": "The region.", "example": REGION}
        (folder / "form_desk.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "form_desk", raising=False)
        with running() as it:
            yield Desk(kind, it)


@pytest.fixture(scope="module", params=list(SCHEMES))
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk for each scheme, or for those that a test names."""
    with desk_with(request.param, tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture(autouse=True)
def reset_vendor(request: pytest.FixtureRequest) -> None:
    """Every task is as at the start."""
    if "desk" in request.fixturenames:
        request.getfixturevalue("desk").vendor.reset()


with_named_keys = pytest.mark.parametrize("desk", ["basic", "aws-signature"], indirect=True)
with_keys = pytest.mark.parametrize("desk", ["basic", "aws-signature", "api-key"], indirect=True)
"""Schemes whose clients have an access key, with the name of its caller or without."""


def test_the_gateway_makes_what_the_vendor_checks(desk: Desk) -> None:
    """An action goes through with the credentials of the connection, and a dry run shows the names of headers only."""
    with Client(desk.running.url, desk.running.api_key) as client:
        shown = client.preview("cancel", CONNECTION, "WT1").vendor_request.headers
        assert client.cancel(CONNECTION, "WT1", note="a b").outcome == "applied"
    known = desk.vendor.credentials
    assert not any(secret in str(shown) for secret in (known.access_key, known.client_secret))
    assert any("[redacted]" in value for value in shown.values())


@with_keys
def test_a_client_of_the_vendor_needs_no_change(desk: Desk) -> None:
    """curl, with its own options for the scheme, reads and acts through the gateway, with an access key."""
    key = desk.running.access_key
    assert desk.curl("GET", "WT1", DEFAULT_CALLER, key)[1]["sid"] == "WT1"
    status, task = desk.curl("POST", "WT1", DEFAULT_CALLER, key)
    assert (status, task["assignment_status"]) == (200, "canceled")


@with_keys
def test_the_simulator_checks_the_same(desk: Desk) -> None:
    """Curl reads at the simulator with the sandbox's credentials, and with no others."""
    known = desk.vendor.credentials
    assert desk.curl("GET", "WT1", known.client_id, known.access_key, base=desk.simulated)[0] == 200
    wrong = known.access_key.swapcase()
    assert desk.curl("GET", "WT1", known.client_id, wrong, base=desk.simulated)[0] == 401


@with_keys
def test_a_wrong_secret_is_refused_in_the_vendors_words(desk: Desk) -> None:
    """A wrong secret gets the vendor's 401, and nothing is done."""
    status, body = desk.curl("POST", "WT1", DEFAULT_CALLER, desk.running.access_key.swapcase())
    assert (status, body["code"]) == (401, "20003")
    assert desk.vendor.job("WT1")["assignment_status"] == "pending"


@with_named_keys
def test_a_secret_belongs_to_its_name(desk: Desk) -> None:
    """A right secret under another name is refused, by the gateway and by the simulator."""
    status, body = desk.curl("GET", "WT1", "nobody", desk.running.access_key)
    assert (status, body["code"]) == (401, "20003")
    assert desk.curl("GET", "WT1", "nobody", desk.vendor.credentials.access_key, base=desk.simulated)[0] == 401


@with_keys
def test_an_api_key_is_as_good_as_an_access_key_where_it_is_sent_itself(desk: Desk) -> None:
    """HTTP Basic and a key in a header carry the secret itself, so an API key of the gateway does; a signature no."""
    status, _ = desk.curl("GET", "WT1", "any", desk.running.api_key)
    assert status == (401 if desk.kind == "aws-signature" else 200)


@pytest.mark.parametrize("desk", ["bearer"], indirect=True)
def test_a_vendors_bearer_token_is_an_api_key_here(desk: Desk) -> None:
    """A client that sends a bearer token sends an API key of the gateway instead, at the simulator the vendor's."""
    status, task = desk.curl("POST", "WT1", "any", desk.running.api_key)
    assert (status, task["assignment_status"]) == (200, "canceled")
    assert desk.curl("GET", "WT1", "any", desk.running.api_key.swapcase())[0] == 401
    token = desk.vendor.credentials.access_key
    assert desk.curl("GET", "WT1", "any", token, base=desk.simulated)[0] == 200
    assert desk.curl("GET", "WT1", "any", token.swapcase(), base=desk.simulated)[0] == 401


def test_no_credentials_are_refused_in_the_vendors_words(desk: Desk) -> None:
    """A request without credentials, or with those of another scheme, gets the vendor's 401."""
    for headers in ({}, {"Authorization": "Digest username=a"}, {"Authorization": "Basic !"}):
        reply = requests.get(f"{desk.native}/Workspaces/WS1/Tasks/WT1", headers=headers, timeout=20)
        assert (reply.status_code, reply.json()["code"]) == (401, "20003")


def test_the_served_document_has_the_vendors_scheme(desk: Desk) -> None:
    """A client that is made from the served document authenticates as at the vendor."""
    served = requests.get(f"{desk.running.url}/native/form-desk/openapi.json", timeout=20).json()
    scheme = served["components"]["securitySchemes"]["account"]
    own = SCHEMES[desk.kind]
    assert "x-job-signature" not in scheme
    assert {**own, **scheme}.keys() == own.keys()
    assert scheme["type"] == own["type"]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose clients sign as those of AWS do."""
    with desk_with("aws-signature", tmp_path_factory.mktemp("aws")) as made:
        yield made


def test_a_signature_acts_once(aws: Desk) -> None:
    """A signed request that is sent again gets the first reply, and nothing is done a second time."""
    url = f"{aws.native}/Workspaces/WS1/Tasks/WT1"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    signed = AWSRequest("POST", url, headers, b"AssignmentStatus=canceled")
    SigV4Auth(Credentials(DEFAULT_CALLER, aws.running.access_key), "tasks", REGION).add_auth(signed)
    first, again = (requests.post(url, signed.body, headers=dict(signed.headers.items()), timeout=20) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [entry.method for entry in aws.vendor.log()].count("POST") == 1


def test_no_scope_is_asked_for_where_the_document_has_none(tmp_path: Path) -> None:
    """A flow without scopes grants a token without one, by HTTP Basic: the token may do what its access key may."""
    with desk_with("client-credentials", tmp_path) as desk:
        login = f"{desk.running.url}/native/form-desk/oauth/token"
        auth = (DEFAULT_CALLER, desk.running.access_key)
        granted = requests.post(login, {"grant_type": "client_credentials"}, auth=auth, timeout=20)
        assert granted.status_code == 200
        assert "scope" not in granted.json()
        headers = {"Authorization": f"Bearer {granted.json()['access_token']}"}
        task = requests.get(f"{desk.native}/Workspaces/WS1/Tasks/WT1", headers=headers, timeout=20)
        assert task.json()["sid"] == "WT1"
