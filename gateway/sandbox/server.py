"""All simulated vendors and the control API on one port."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Self

from gateway.domain.adapter import Adapter
from gateway.edge.exchange import RawReply, Receive, Scope, Send, write
from gateway.sandbox.control import PREFIX, control
from gateway.sandbox.delays import Delay
from gateway.sandbox.request_log import below
from gateway.sandbox.settings import Credentials, SandboxSettings
from gateway.sandbox.simulator import Now
from gateway.sandbox.vendor import VendorSandbox
from gateway.serving.listening import in_background
from gateway.specs.vendor import VendorSpecification


def utc_now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


class Sandbox:
    """An ASGI application: each vendor's API below `/{vendor}`, the control API below `/control`.

    `vendors` holds the simulated vendors by name, for direct use.
    """

    def __init__(
        self,
        vendors: Mapping[str, tuple[Adapter, VendorSpecification]],
        settings: SandboxSettings | None = None,
        now: Now = utc_now,
    ) -> None:
        """Simulate these vendors. `now` is the vendors' clock; its times must have a time zone.

        Raises SpecificationError if a document or an adapter lacks something that the sandbox needs, and ValueError if
        a setting does not fit a vendor's document.
        """
        self.delay = Delay()
        self.vendors: Mapping[str, VendorSandbox] = {
            specification.name: VendorSandbox(adapter, specification, settings or SandboxSettings(), now, self.delay)
            for adapter, specification in vendors.values()
        }
        if PREFIX.removeprefix("/") in self.vendors:
            raise ValueError(f"No vendor can be served at {PREFIX}, which is the control API. Rename the vendor.")
        self._control = control(self.vendors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        raw_path = scope.get("raw_path") or scope["path"].encode()
        name = raw_path.decode("latin-1").removeprefix("/").partition("/")[0]
        vendor = self.vendors.get(name)
        if vendor is not None:
            await vendor.application(below(scope, name, vendor.endpoint), receive, send)
        elif f"/{name}" == PREFIX:
            await self._control(scope, receive, send)
        else:
            await write(send, self._index(200 if raw_path == b"/" else 404))

    def vendor(self, name: str) -> VendorSandbox:
        """A simulated vendor. Raises KeyError if there is none with this name."""
        return self.vendors[name]

    def _index(self, status: int) -> RawReply:
        paths = [vendor.endpoint for vendor in self.vendors.values()]
        lines = ["The Jobgate sandbox.", "", *paths, f"{PREFIX}/vendors", ""]
        return RawReply(status, {"content-type": "text/plain"}, "\n".join(lines).encode())


async def _live(receive: Receive, send: Send) -> None:
    """Answer the lifespan messages of ASGI; there is nothing to do at start or stop."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


class SandboxServer:
    """Serves a sandbox from its own thread within a `with` block."""

    def __init__(self, sandbox: Sandbox, port: int = 0) -> None:
        """Serve on this port of the loopback address; 0 means any free one."""
        self.sandbox = sandbox
        self._port = port
        self._url: str | None = None
        self._serving = ExitStack()

    def __enter__(self) -> Self:
        """Start. Raises OSError if the port is not available."""
        self.sandbox.delay.begin()
        self._url = self._serving.enter_context(in_background(self.sandbox, self._port))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop. Delayed answers are sent immediately."""
        self.sandbox.delay.end()
        self._serving.close()

    @property
    def url(self) -> str:
        """The sandbox's URL, without a slash at its end. Raises RuntimeError before the start."""
        if self._url is None:
            raise RuntimeError("The sandbox's server has not been started.")
        return self._url

    def vendor(self, name: str) -> VendorSandbox:
        """A simulated vendor. Raises KeyError if there is none with this name."""
        return self.sandbox.vendor(name)

    def endpoint(self, vendor: str) -> str:
        """The URL of the vendor's API, to be configured as a connection's endpoint."""
        return self.url + self.vendor(vendor).endpoint

    def token_url(self, vendor: str) -> str | None:
        """The URL of the vendor's token endpoint; None for vendors without one."""
        path = self.vendor(vendor).token_endpoint
        return None if path is None else self.url + path

    def credentials(self, vendor: str) -> Credentials:
        """The credentials that the vendor accepts."""
        return self.vendor(vendor).credentials
