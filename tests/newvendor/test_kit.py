"""Every imaginary vendor of this folder passes the kit, outside a checkout, without a change in `gateway/`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DESKS = [path.stem for path in sorted(HERE.glob("*_desk.yaml"))]
# Forms and ids in bodies; JSON and a list by POST. The built-in vendors, which are fuzzed too, have the other shapes.
FUZZED = ["relay_desk", "search_desk"]
QUICK = ("document", "lenses", "simulator", "conformance", "native")


def run(desk: str, folder: Path, *options: str) -> None:
    """Run `jobgate vendor test` with one imaginary vendor installed, in a folder of its own."""
    for path in HERE.glob(f"{desk}*"):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    command = [sys.executable, "-m", "gateway.cli", "vendor", "test", desk.replace("_", "-"), *options]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("desk", DESKS)
def test_an_imaginary_vendor_passes(desk: str, tmp_path: Path) -> None:
    """Whatever the document promises holds, at the simulator and at both APIs of the gateway."""
    run(desk, tmp_path, *(option for suite in QUICK for option in ("--suite", suite)))


@pytest.mark.timeout(3_600)
@pytest.mark.sampled(0.5, kind=lambda: None)
@pytest.mark.parametrize("desk", FUZZED)
def test_an_imaginary_vendor_passes_with_generated_requests(desk: str, tmp_path: Path) -> None:
    """No generated request gets an answer that departs from the document."""
    run(desk, tmp_path, "--suite", "fuzz", "--examples", "3")
