"""Programs and packages outside Python: a test skips if one is missing, and fails in CI, which installs all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = "TEST_TOOLS"
"""Set to `required`, it makes a missing tool a failure. `.ci/run` sets it, after it installed them."""


def tool(program: str, package: str) -> str:
    """The path of a program that Debian's `package` brings. Skips the test where there is none."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")  # where Debian keeps servers
    if found is None:
        missing(f"{program} is not installed (apt-get install {package})")
    return found


def node_modules(folder: Path) -> Path:
    """The `node_modules` of a folder with a package.json. Skips the test where they are not installed."""
    installed = folder / "node_modules"
    if not installed.is_dir():
        missing(f"the packages of {folder.name} are not installed (npm ci --prefix {folder})")
    return installed


def missing(reason: str) -> NoReturn:
    """End the test for want of a tool: skipped on anybody's machine, failed where all are to be there."""
    __tracebackhide__ = True
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(reason)
    pytest.skip(reason)
