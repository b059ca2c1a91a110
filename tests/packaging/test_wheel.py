"""An installed wheel works from any folder: documents, adapters and pages travel in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDORS = len(entry_points(group="jobgate.adapters"))
"""The number of built-in vendors, each with a document beside our own."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    wheels = tmp_path_factory.mktemp("wheels")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(ROOT))
    (built,) = wheels.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, without its dependencies."""
    site = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    return site


def run(*arguments: str, site: Path | None = None, cwd: Path = ROOT, python: Path = Path(sys.executable)) -> str:
    """Run a Python, by default this one, with the packages of a folder before all others. Gives what it prints."""
    environment = os.environ | ({"PYTHONPATH": str(site)} if site else {})
    result = subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_its_documents_pass_the_lint(installed: Path, tmp_path: Path) -> None:
    """`jobgate specs check` finds the documents that came with the wheel, wherever it is called."""
    assert (
        run("-m", "gateway.cli", "specs", "check", site=installed, cwd=tmp_path)
        == f"{VENDORS + 2} documents, 0 findings\n"
    )


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    """Packages, documents and adapters are those of the wheel, and not of the checkout."""
    program = (
        "from gateway.app import Catalogue; c = Catalogue.load()\n"
        "print(c.api.document.path, *(v.adapter.specification for v in c.vendors.values()), sep='\\n')"
    )
    paths = run("-c", program, site=installed, cwd=tmp_path).splitlines()
    assert len(paths) == VENDORS + 1
    assert all(Path(path).is_relative_to(installed) for path in paths)


def test_the_demonstration_runs_from_it(installed: Path, tmp_path: Path) -> None:
    """Gateway, sandbox and client of the wheel do everything that they do in a checkout."""
    assert "0 differences" in run("-m", "gateway.cli", "demo", site=installed, cwd=tmp_path)


@pytest.mark.timeout(3_600)
def test_a_new_vendor_passes_the_kit_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """What `vendor new` writes passes `vendor test` and its own test as it is, from a wheel."""
    run("-m", "venv", "--without-pip", str(tmp_path / "venv"))
    python = tmp_path / "venv" / "bin" / "python"
    # The dependencies are those of this environment. Its editable install of the checkout is not among them, since the
    # path files of a folder that is itself named in one are not read.
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    pip = ("-m", "pip", f"--python={python}", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation")
    run(*pip, "--ignore-installed", str(wheel))
    jobgate = ("-m", "gateway.cli", "vendor")
    run(*jobgate, "new", "acme-desk", cwd=tmp_path, python=python)
    run(*pip, "--editable", str(tmp_path / "jobgate-acme-desk"))
    said = run(*jobgate, "test", "acme-desk", "--examples", "2", cwd=tmp_path, python=python)
    assert said.splitlines()[-1].split()[3] == "0", said
    run("-m", "pytest", "-q", "-p", "no:schemathesis", cwd=tmp_path / "jobgate-acme-desk", python=python)
    where = run("-c", "import gateway; print(gateway.__file__)", cwd=tmp_path, python=python)
    assert Path(where.strip()).is_relative_to(site)
