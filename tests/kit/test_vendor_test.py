"""`jobgate vendor test`: what it prints, how it ends, and that its suites see a vendor that departs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from gateway.cli import application
from gateway.dialects.refusals import Refusals
from gateway.domain.adapter import Adapter
from gateway.domain.model import JobAction, Json
from gateway.kit import failures
from gateway.kit.suites.fuzz import LONGEST_LINE, LONGEST_REPORT, environment, readable
from gateway.sandbox.errors import Errors
from gateway.specs.lens import Rule
from gateway.specs.vendor import ErrorReply

DESKS = Path(__file__).parents[1] / "newvendor"
FILES = ("toy_desk.py", "toy_desk.yaml", "toy_desk-1.0.dist-info")
TOY = "toy-desk"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the toy desk, installed beside the other vendors."""
    for name in FILES:
        copy = shutil.copytree if (DESKS / name).is_dir() else shutil.copy
        copy(DESKS / name, tmp_path / name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toy_desk", raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("toy_desk", None)


def run(*arguments: str) -> Any:
    """The result of the command."""
    return CliRunner().invoke(application, ["vendor", "test", *arguments])


def test_it_prints_a_table(desk: Path) -> None:
    """A row for each suite, with the numbers of its checks, and one for all; the exit code is 0."""
    said = run(TOY, "--suite", "document", "--suite", "simulator")
    assert said.exit_code == 0, said.output
    head, *rows = (line.split() for line in said.stdout.splitlines())
    assert head == ["suite", "checks", "passed", "failed", "seconds"]
    assert [row[0] for row in rows] == ["document", "simulator", "all"]
    assert all(row[1] == row[2] != "0" and row[3] == "0" for row in rows)
    assert said.stderr.splitlines() == ["document …", "simulator …"]


def test_its_results_can_be_read_by_programs(desk: Path) -> None:
    """With `--output json`, standard output is one JSON text."""
    said = run(TOY, "--suite", "document", "--output", "json")
    (result,) = json.loads(said.stdout)
    assert (result["vendor"], result["passed"], result["failures"]) == (TOY, True, [])
    assert [row["suite"] for row in result["suites"]] == ["document", "all"]


def test_a_failure_is_explained(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure names the check, its promise, the place and the remedy; the exit code is 2."""
    module = (desk / "toy_desk.py").read_text(encoding="utf-8")
    unused = 'with_name("toy_desk.yaml"), finders={"unused": sign}'
    changed = module.replace('with_name("toy_desk.yaml")', unused)
    (desk / "toy_desk.py").write_text(changed, encoding="utf-8")
    said = run(TOY, "--suite", "document")
    assert said.exit_code == 2
    assert "FAILED document: adapter has no unused hooks" in said.stdout
    assert "promise: Each function of the adapter is named by the document" in said.stdout
    assert "Adapter.finders: no action names unused. Remove it from the adapter" in said.stdout


def test_findings_of_the_lint_come_first(desk: Path) -> None:
    """A document with findings cannot be served: the findings are all that is said, and the exit code is 2."""
    document = (desk / "toy_desk.yaml").read_text(encoding="utf-8")
    (desk / "toy_desk.yaml").write_text(document.replace("to: GONE", "to: NOWHERE"), encoding="utf-8")
    said = run(TOY)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "the document of toy-desk has 1 finding:" in said.stderr
    assert "NOWHERE" in said.stderr


def test_mistakes_in_its_use(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown vendor, suite or adapter, and missing packages, are told with what to do; the exit code is 1."""
    for arguments, told in {
        ("toy-dosk",): "no adapter for toy-dosk is installed; did you mean toy-desk?",
        (TOY, "--suite", "documents"): "there is no suite documents; did you mean document?",
        (TOY, "--adapter", "toy_desk:NOBODY"): "toy_desk:NOBODY cannot be imported: AttributeError",
        (TOY, "--adapter", "toy_desk:Path"): "toy_desk:Path is not an Adapter",
    }.items():
        said = run(*arguments)
        assert said.exit_code == 1, arguments
        assert told in said.stderr
        assert "Traceback" not in said.output
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    said = run(TOY)
    assert said.exit_code == 1
    assert "the kit needs hypothesis and schemathesis. Install its packages: pip install 'jobgate[kit]'" in said.stderr


def test_an_adapter_that_is_no_entry_point(desk: Path) -> None:
    """`--adapter` names an adapter in the present folder that is not installed."""
    shutil.rmtree(desk / "toy_desk-1.0.dist-info")
    assert run(TOY, "--suite", "document").exit_code == 1
    said = run(TOY, "--suite", "document", "--adapter", "toy_desk:ADAPTER")
    assert said.exit_code == 0, said.output


def test_settings_of_the_user_do_not_matter(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings file in the folder, mistakes and all, has no influence."""
    (desk / "jobgate.toml").write_text("nonsense = 1\n", encoding="utf-8")
    monkeypatch.setenv("JOBGATE_CONFIG", str(desk / "jobgate.toml"))
    assert failures(TOY, ["simulator"]) == []


def test_proxies_of_the_machine_do_not_matter(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateway and simulator are on this machine: no proxy comes between, as none does in production."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", "elsewhere.example")
    assert failures(TOY, ["conformance"]) == []
    monkeypatch.setenv("no_proxy", environment({})["no_proxy"])
    assert requests.utils.get_environ_proxies("http://127.0.0.1:8080/") == {}


# What each suite sees


def simulate(job: Mapping[str, Json], job_action: JobAction, now: object) -> Mapping[str, Json]:
    """A vendor that does not do what it is asked for."""
    return {"ticket": {"number": "T-2", "state": "HELD"}}


def with_changed_adapter(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    """Let the adapter of the toy desk have other hooks."""
    toy_desk = import_module("toy_desk")
    adapter: Adapter = replace(toy_desk.ADAPTER, **members)
    monkeypatch.setattr(toy_desk, "ADAPTER", adapter)


@pytest.mark.parametrize("suite", ["simulator", "conformance", "native"])
def test_an_action_that_is_not_carried_out_is_seen(desk: Path, monkeypatch: pytest.MonkeyPatch, suite: str) -> None:
    """An adapter whose simulated vendor does something else fails at each surface."""
    with_changed_adapter(monkeypatch, simulate=simulate)
    assert failures(TOY, [suite])


def test_a_hook_that_raises_is_named(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure names the adapter, its hook and what it raised."""

    def broken(job: Mapping[str, Json], job_action: JobAction, now: object) -> Mapping[str, Json]:
        raise RuntimeError("out of order")

    with_changed_adapter(monkeypatch, simulate=broken)
    failed = failures(TOY, ["simulator"])
    assert any("toy-desk" in each and "simulate" in each and "RuntimeError" in each for each in failed), failed


def test_a_lens_that_forgets_is_seen(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is not read back fails the law, with the smallest example."""
    decode = Rule.decode
    monkeypatch.setattr(Rule, "decode", lambda rule, found: None if found == "S" else decode(rule, found))
    failed = failures(TOY, ["lenses"])
    assert any("action reads back cancel" in each and "parameters.dispositionCode" in each for each in failed)


def test_refusals_in_other_words_are_seen(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that refuses the vendor's clients otherwise than the vendor fails the suite of the vendor's own API."""
    monkeypatch.setattr(Refusals, "_error_reply", lambda *_: ErrorReply(499, "Otherwise", "other"))
    failed = failures(TOY, ["native"])
    assert any("own client is refused as by the vendor" in each for each in failed)
    assert any("wrong credentials are refused" in each for each in failed)


@pytest.mark.timeout(3_600)
def test_undocumented_answers_are_found_by_generated_requests(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulator that answers in another media type is found, and the report says how to repeat the request."""
    monkeypatch.setattr(Errors, "_media_type", lambda *_: "text/plain")
    failed = failures(TOY, ["fuzz"], examples=1)
    assert any("simulator never departs" in each and "curl -X" in each for each in failed)


def test_a_report_of_generated_requests_can_be_read() -> None:
    """A generated URL that fills pages is cut, and what stands beside it stays."""
    url = f"curl http://127.0.0.1/?after={'%85' * LONGEST_LINE}"
    report = readable(f"- Undocumented Content-Type\n{url}\n")
    assert report == f"- Undocumented Content-Type\n{url[:LONGEST_LINE]}…"
    assert len(readable("a\n" * LONGEST_REPORT)) == LONGEST_REPORT
