"""Sampling: a share of each kind of case, at least one, and the same for everybody with the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
from tests.support.sampling import amount

@pytest.mark.sampled(0.1, kind=lambda number: number % 10 == 0)
@pytest.mark.parametrize("number", range(200))
@pytest.mark.parametrize("other", [1])
def test_numbers(number, other):
    pass

@pytest.mark.sampled(0.1, kind=lambda name: name)
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_names(name):
    pass

@pytest.mark.parametrize("name", range(amount(whole=30, sample=3)))
def test_amount(name):
    pass
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with tests of many cases."""
    made = tmp_path / "test_many.py"
    made.write_text(TESTS, encoding="utf-8")
    return made


def collected(file: Path, *options: str) -> list[str]:
    """The cases that would run."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.sampling", "--rootdir", str(file.parent)]
    how = ["-c", "/dev/null", "-p", "no:cacheprovider", "--collect-only", "-q", *options, str(file)]
    # Other plugins take seconds to load.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    said = subprocess.run(
        [*command, *how], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    return [line.partition("::")[2] for line in said.splitlines() if "::" in line]


def numbers(cases: list[str]) -> set[int]:
    """The numbers among the cases."""
    return {int(case.split("-")[1].rstrip("]")) for case in cases if case.startswith("test_numbers")}


def test_every_kind_stays(file: Path) -> None:
    """A sample keeps a share of each kind and at least one case, and `amount` gives the smaller number."""
    cases = collected(file, "--sample")
    tens = {number for number in numbers(cases) if number % 10 == 0}
    assert (len(tens), len(numbers(cases) - tens)) == (2, 18)
    assert [case for case in cases if case.startswith("test_names")] == [
        "test_names[a]",
        "test_names[b]",
        "test_names[c]",
    ]
    assert sum(case.startswith("test_amount") for case in cases) == 3


def test_a_seed_is_a_sample(file: Path) -> None:
    """The same seed makes the same sample, another seed another one."""
    assert collected(file, "--sample") == collected(file, "--sample", "--sample-seed", "1")
    assert numbers(collected(file, "--sample")) != numbers(collected(file, "--sample", "--sample-seed", "2"))


def test_without_the_option_every_case_runs(file: Path) -> None:
    """Without `--sample` every case runs."""
    assert len(collected(file)) == 200 + 3 + 30
