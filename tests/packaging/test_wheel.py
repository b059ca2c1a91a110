"""An installed wheel works from any folder: documents, adapters and pages travel in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel of this checkout is installed, without its dependencies."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(ROOT))
    (wheel,) = wheels.glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    return site


def run(*arguments: str, site: Path | None = None, cwd: Path = ROOT) -> str:
    """Run this Python, with the packages of a folder before all others. Gives what it prints."""
    environment = os.environ | ({"PYTHONPATH": str(site)} if site else {})
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_its_documents_pass_the_lint(installed: Path, tmp_path: Path) -> None:
    """`jobgate specs check` finds the documents that came with the wheel, wherever it is called."""
    assert run("-m", "gateway.cli", "specs", "check", site=installed, cwd=tmp_path) == "4 documents, 0 findings\n"


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    """Packages, documents and adapters are those of the wheel, and not of the checkout."""
    program = (
        "from gateway.app import Catalogue; c = Catalogue.load()\n"
        "print(c.api.document.path, *(v.adapter.specification for v in c.vendors.values()), sep='\\n')"
    )
    paths = run("-c", program, site=installed, cwd=tmp_path).splitlines()
    assert len(paths) == 3
    assert all(Path(path).is_relative_to(installed) for path in paths)


def test_the_demonstration_runs_from_it(installed: Path, tmp_path: Path) -> None:
    """Gateway, sandbox and client of the wheel do everything that they do in a checkout."""
    assert "0 differences" in run("-m", "gateway.cli", "demo", site=installed, cwd=tmp_path)
