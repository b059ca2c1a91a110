"""The import contracts hold the directions of the architecture, and each of them can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREACHES = {
    "Each layer imports only those below it": ("gateway/engine/calls.py", "gateway.edge.guard"),
    "The domain and the client know nothing of the rest": ("gateway/client/client.py", "gateway.domain.model"),
    "Only the command line, the demo and the kit are clients": ("gateway/engine/calls.py", "gateway.client"),
    "Adapters see only the domain": ("adapters/vonage_contact_center.py", "gateway.engine.wire"),
    "The gateway finds adapters as entry points, never by import": (
        "gateway/app/gateway.py",
        "adapters.azure_job_router",
    ),
    "Only the transport and the server parse HTTP": ("gateway/security/openid.py", "httptools"),
    "Only the ledger speaks SQLAlchemy": ("gateway/dialects/unified.py", "sqlalchemy"),
    "Only telemetry knows the libraries of Prometheus and OpenTelemetry": (
        "gateway/ledger/ledger.py",
        "prometheus_client",
    ),
    "The console has no way around the unified API": ("gateway/console/jobs.py", "gateway.engine.jobs"),
    "Only the outside of the gateway knows a web framework": ("gateway/engine/jobs.py", "starlette.requests"),
}
"""An import that breaks each contract, by the file in which it would stand."""


def contracts() -> list[str]:
    """The names of the contracts."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [each["name"] for each in configuration["tool"]["importlinter"]["contracts"]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The linter's report on a copy of the code that has every one of the imports."""
    copy = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("gateway", "adapters"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    # A package that stands in no layer.
    (copy / "gateway" / "stray.py").write_text("")
    for file, imported in BREACHES.values():
        with (copy / file).open("a") as module:
            module.write(f"import {imported}\n")
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-logo", "--no-cache"]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=100)
    return result.stdout + result.stderr


def test_every_contract_has_its_breach() -> None:
    """A contract that is added is shown to fail too."""
    assert sorted(BREACHES) == sorted(contracts())


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_is_found(report: str, contract: str) -> None:
    """An import against the direction breaks the contract that forbids it."""
    assert f"{contract} BROKEN" in report


def test_a_package_in_no_layer_is_found(report: str) -> None:
    """A package without a layer breaks the contract."""
    assert "stray" in report
