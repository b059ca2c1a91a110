"""Schemathesis over real HTTP against every surface: the gateway, and each simulated vendor."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.vocabulary import Meaning
from gateway.sandbox.settings import Credentials
from gateway.specs.native import CONNECTION, base_path
from gateway.specs.security import kind_of, schemes
from gateway.startup.serve import Running, sandbox_name
from tests.fuzz.signing import ACCESS_KEY, CLIENT_ID, VENDOR
from tests.support.documents import installed
from tests.support.sampling import amount

ROOT = Path(__file__).parents[2]
# `make fuzz` asks for more, and each time for others; what it finds names the seed that finds it again.
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "")
CATALOGUE = installed()
VENDORS = list(CATALOGUE.vendors)
FIXED = ("--max-examples", str(amount(whole=25, sample=5)), "--seed", "1")
AMOUNT = ("--max-examples", EXAMPLES) if EXAMPLES else FIXED


def takes_tokens(vendor: str) -> bool:
    """True if the clients of a vendor can send a bearer token."""
    known = schemes(CATALOGUE.vendors[vendor].specification.api.document).values()
    return any(kind_of(each) in {"oauth2", "bearer"} for each in known)


def run_with(document: str, url: str, vendor: str, token: str, credentials: Credentials) -> None:
    """Run with what the clients of a vendor have: a bearer token, or credentials that each request is signed with."""
    if takes_tokens(vendor):
        run(document, url, "--header", f"Authorization: Bearer {token}")
        return
    signing = {
        "SCHEMATHESIS_HOOKS": "tests.fuzz.signing",
        VENDOR: vendor,
        CLIENT_ID: credentials.client_id,
        ACCESS_KEY: credentials.access_key,
    }
    # AWS answers 403 to a request without credentials; this check takes only 401, and `ignored_auth` takes both.
    refusal = CATALOGUE.vendors[vendor].specification.errors.meanings[Meaning.UNAUTHENTICATED][0]
    excluded = () if refusal.status == HTTPStatus.UNAUTHORIZED else ("--exclude-checks", "missing_required_header")
    run(document, url, *excluded, variables=signing)


def run(document: str, url: str, *options: str, variables: Mapping[str, str] | None = None) -> None:
    """Run all phases with all checks. Fails the test with Schemathesis' own report where there is any failure."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(ROOT / "schemathesis.toml")),
        *("run", document, "--url", url, "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all"),
        *(*AMOUNT, "--no-color", *options),
    ]
    environment = {**os.environ, **(variables or {})}
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]


@pytest.mark.timeout(3_600)
def test_gateway(stack: Running) -> None:
    """No request, valid or not, makes the gateway depart from its document."""
    run(f"{stack.url}/openapi.json", f"{stack.url}/v1", "--header", f"Authorization: Bearer {stack.api_key}")


@pytest.mark.timeout(3_600)
@pytest.mark.sampled(0.5, kind=lambda dialect, target: dialect == target)
@pytest.mark.parametrize("target", VENDORS)
@pytest.mark.parametrize("dialect", VENDORS)
def test_a_vendors_own_api(dialect: str, target: str, stack: Running, tmp_path: Path) -> None:
    """No request of a vendor's clients is answered otherwise than its document says, whichever vendor it leads to."""
    stack.sandbox.vendor(target).configure(wrong_state_status=409)
    served = requests.get(f"{stack.url}{base_path(dialect)}/openapi.json", timeout=20).json()
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(for_one_connection(served, sandbox_name(target, VENDORS))))
    own = Credentials(client_id=DEFAULT_CALLER, access_key=stack.access_key)
    run_with(str(document), f"{stack.url}{base_path(dialect)}", dialect, stack.api_key, own)


def for_one_connection(document: Any, name: str) -> Any:
    """The document of a vendor's own API as it is for a client with one connection."""
    for item in document["paths"].values():
        for parameter in item.get("parameters", ()):
            if parameter.get("name") == CONNECTION:  # the others can be references
                parameter["schema"] = {"type": "string", "enum": [name]}
    return document


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", VENDORS)
def test_simulated_vendor(name: str, stack: Running) -> None:
    """No request, valid or not, makes a simulated vendor depart from the vendor's document."""
    sandbox = stack.sandbox.vendor(name)
    document = stack.gateway.directory.vendor(name).adapter.specification
    token = sandbox.issue_token().value
    # Where the documents leave the status of an illegal transition open, 409 is the one that no check takes for a
    # complaint about the request's form.
    sandbox.configure(wrong_state_status=409)
    run_with(str(document), stack.sandbox.endpoint(name), name, token, stack.sandbox.credentials(name))


@pytest.mark.timeout(3_600)
@pytest.mark.sampled(0.5, kind=lambda document: document == "")
@pytest.mark.parametrize("document", ["", *map(base_path, filter(takes_tokens, VENDORS))])
def test_a_strangers_run(stack: Running, document: str) -> None:
    """The line of the README finds nothing: with no option but the key, on each document that is served.

    Nothing is told to the tool but what its configuration says, which it has to find by itself.
    """
    (line,) = re.findall(r"`\.venv/bin/(schemathesis run [^`]+)`", (ROOT / "README.md").read_text("utf-8"))
    program, *options = shlex.split(line)
    there = "http://127.0.0.1:8080/openapi.json"
    assert options.count(there) == 1
    answers = {there: f"{stack.url}{document}/openapi.json"}
    words = [answers.get(each, each).replace("only-for-trying-out", stack.api_key) for each in options]
    bounded = [] if EXAMPLES else ["--max-examples", "10", "--seed", "1"]
    command = [str(Path(sys.executable).with_name(program)), *words, *bounded, "--no-color"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]
    assert "schemathesis.toml" in result.stdout, "it went without its configuration"
