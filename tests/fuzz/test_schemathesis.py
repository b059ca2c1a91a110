"""Schemathesis over real HTTP against every surface: the gateway, and each simulated vendor."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.kit.stand import Stand
from gateway.kit.suites.fuzz import has_more_rules_than_its_schema
from gateway.specs.native import base_path
from gateway.specs.security import kind_of, schemes
from gateway.startup.serve import Running
from tests.support.documents import installed
from tests.support.kit import Case, cases
from tests.support.sampling import amount

ROOT = Path(__file__).parents[2]
# `make fuzz` asks for more, and each time for others; what it finds names the seed that finds it again.
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "")
CATALOGUE = installed()
FIXED = amount(whole=5, sample=3)
AMOUNT = ("--max-examples", EXAMPLES) if EXAMPLES else ("--max-examples", str(FIXED), "--seed", "1")


def is_for_strangers(vendor: str) -> bool:
    """True if nobody needs to know more of a vendor than its schemas say, and its clients can send a bearer token.

    The kit knows the rest from the vendor's document: `test_vendors` tries all of them.
    """
    specification = CATALOGUE.vendors[vendor].specification
    takes_tokens = any(kind_of(each) in {"oauth2", "bearer"} for each in schemes(specification.api.document).values())
    operations = specification.api.operations.values()
    return takes_tokens and not any(has_more_rules_than_its_schema(specification, each) for each in operations)


def run(document: str, url: str, *options: str) -> None:
    """Run all phases with all checks. Fails the test with Schemathesis' own report where there is any failure."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(ROOT / "schemathesis.toml")),
        *("run", document, "--url", url, "--phases", "examples,coverage,fuzzing,stateful"),
        *(*AMOUNT, "--no-color", *options),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]


@pytest.mark.timeout(3_600)
def test_gateway(stack: Running) -> None:
    """No request, valid or not, makes the gateway depart from its document."""
    run(f"{stack.url}/openapi.json", f"{stack.url}/v1", "--header", f"Authorization: Bearer {stack.api_key}")


@pytest.mark.timeout(3_600)
@pytest.mark.sampled(0.5, kind=lambda case: case.check.kind)
@pytest.mark.parametrize("case", cases("fuzz"), ids=str)
def test_vendors(case: Case, stand: Stand) -> None:
    """No request makes a simulator, or a vendor's own API at the gateway, depart from the vendor's document."""
    case.check.run(replace(stand, examples=int(EXAMPLES), seed=None) if EXAMPLES else replace(stand, examples=FIXED))


@pytest.mark.timeout(3_600)
@pytest.mark.sampled(0.5, kind=lambda document: document == "")
@pytest.mark.parametrize("document", ["", *map(base_path, filter(is_for_strangers, CATALOGUE.vendors))])
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
