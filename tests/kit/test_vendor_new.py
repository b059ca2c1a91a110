"""`jobgate vendor new`: what it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import application
from gateway.kit.beginning import FILES, TEMPLATE


def run(*arguments: str) -> Any:
    """The result of the command."""
    return CliRunner().invoke(application, ["vendor", "new", *arguments])


def test_it_writes_a_package(tmp_path: Path) -> None:
    """The package has the vendor's name everywhere, and the command says how to go on."""
    said = run("acme-desk", "--folder", str(tmp_path))
    package = tmp_path / "jobgate-acme-desk"
    assert said.exit_code == 0
    assert f"pip install --editable '{package}[test]'\n  jobgate vendor test acme-desk" in said.stdout
    written = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert written == {"pyproject.toml", "README.md", "acme_desk.py", "acme_desk.yaml", "tests/test_acme_desk.py"}
    text = "\n".join((package / name).read_text(encoding="utf-8") for name in written)
    assert "acme-desk" in text
    assert not [old for old in ("new-vendor", "new_vendor", "New Vendor") if old in text]


def test_every_file_of_the_template_is_written() -> None:
    """No file of the template is forgotten."""
    kept = {str(path.relative_to(TEMPLATE)) for path in TEMPLATE.rglob("*") if path.is_file()}
    assert {each for each in kept if "__pycache__" not in each} == set(FILES)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Acme", "'Acme' cannot be a name. Use lower-case letters, digits and single hyphens, as in acme-desk."),
        ("acme--desk", "cannot be a name"),
        ("acme-", "cannot be a name"),
        ("../acme", "cannot be a name"),
        ("class", "cannot be a name"),
        ("json", "there is a Python module json already. Choose another name, such as json-desk."),
        ("azure-job-router", "an adapter for azure-job-router is installed already."),
    ],
)
def test_names_that_cannot_be_used(tmp_path: Path, name: str, told: str) -> None:
    """A name that is no vendor's, no module's or taken is refused with the reason, and nothing is written."""
    said = run(name, "--folder", str(tmp_path))
    assert said.exit_code == 1
    assert told in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that exists stays as it is."""
    (tmp_path / "jobgate-acme-desk").mkdir()
    said = run("acme-desk", "--folder", str(tmp_path))
    assert said.exit_code == 1
    assert "exists. Choose another name or --folder, or delete it." in said.stderr
    assert list((tmp_path / "jobgate-acme-desk").iterdir()) == []
