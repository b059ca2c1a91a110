"""A gateway and the simulated vendors over https, as the vendors' own clients need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from gateway.app import Gateway
from gateway.resilience.policy import Policy
from gateway.sandbox.server import SandboxServer
from gateway.sandbox.vendor import VendorSandbox
from gateway.serving.listening import in_background
from gateway.serving.tls import self_signed
from gateway.settings.settings import LedgerSettings, load
from gateway.specs.native import base_path
from gateway.startup.serve import sandbox_name, simulators, with_sandbox
from tests.support.documents import installed

CLIENT_ID = "default"
ACCESS_KEY = "YSBrZXkgdGhhdCBub2JvZHkgaGFzIGJ1dCB0ZXN0cyE="
PATIENT = Policy(breaker_failures=1_000)
"""A vendor that fails in one test is not left alone in the next."""


@dataclass(frozen=True)
class Servers:
    """Where gateway and sandbox are. `certificate` is the file with which clients trust both."""

    gateway_url: str
    sandbox_url: str
    certificate: str
    sandbox: SandboxServer

    def endpoint(self, dialect: str, connection: str | None) -> str:
        """Where the clients of a vendor find their API: for a connection, or at the simulated vendor itself."""
        if connection is None:
            return f"{self.sandbox_url}{self.sandbox.vendor(dialect).endpoint}"
        return f"{self.gateway_url}{base_path(dialect)}/{connection}"

    def access_key(self, dialect: str, connection: str | None) -> str:
        """The access key with which they sign there."""
        return self.sandbox.credentials(dialect).access_key if connection is None else ACCESS_KEY

    def client_id(self, dialect: str, connection: str | None) -> str:
        """The name of that access key."""
        return self.sandbox.credentials(dialect).client_id if connection is None else CLIENT_ID

    def client_secret(self, dialect: str, connection: str | None) -> str:
        """The secret with which they get tokens there."""
        return self.sandbox.credentials(dialect).client_secret if connection is None else ACCESS_KEY

    def reset(self) -> None:
        """Make every job as at the start, with no fault to come."""
        for vendor in self.sandbox.sandbox.vendors.values():
            vendor.reset()

    def vendor(self, connection: str | None, dialect: str = "azure-job-router") -> VendorSandbox:
        """The simulated vendor behind a connection; without one, the dialect's own."""
        vendors = self.sandbox.sandbox.vendors
        return vendors[next((name for name in vendors if sandbox_name(name, vendors) == connection), dialect)]


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Serve until the block ends. Outcomes that nobody told are found out within a second."""
    catalogue = installed()
    with self_signed("127.0.0.1") as made, simulators(catalogue) as sandbox:
        settings = load().model_copy(
            update={
                "api_key": SecretStr("key-of-the-native-tests"),
                "access_key": SecretStr(ACCESS_KEY),
                "state_folder": folder,
                "vendor_seconds": 1.5,
                "policy": PATIENT,
                "ledger": LedgerSettings(confirm_seconds=(0.2, 0.5, 1.0), repeat_seconds=0.5),
            }
        )
        gateway = Gateway(with_sandbox(settings, catalogue.vendors, sandbox), catalogue)
        with (
            in_background(gateway.application, limits=settings.limits, certificate=made) as url,
            in_background(sandbox.sandbox, certificate=made) as https,
        ):
            yield Servers(url, https, str(made.certificate), sandbox)
