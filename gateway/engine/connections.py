"""The configured vendor accounts, each with everything that a call to it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gateway.domain.adapter import Adapter
from gateway.domain.errors import UnknownVendor, no_such_connection
from gateway.domain.model import Quota
from gateway.domain.ports import VendorCredentials
from gateway.engine.drift import Drift
from gateway.engine.plans import Plan, plans
from gateway.resilience.pipeline import Pipeline
from gateway.specs.capabilities import Capability
from gateway.specs.vendor import VendorSpecification


@dataclass(frozen=True)
class Vendor:
    """An installed vendor: its adapter, its document, and its row of the capability matrix."""

    adapter: Adapter
    specification: VendorSpecification
    capabilities: Mapping[str, Capability] = field(repr=False)

    @cached_property
    def name(self) -> str:
        """The vendor's name in its document."""
        return self.specification.name

    @property
    def supported_actions(self) -> tuple[str, ...]:
        """The actions that the vendor performs."""
        return tuple(name for name, each in self.capabilities.items() if each.mapping is not None)


@dataclass(frozen=True)
class Connection:
    """One configured account. `endpoint` is the URL of its API, without a final slash.

    `values` are those that the vendor's document declares for each account, and `specification` is the document with
    them as constants. `authentication` is the name of the security scheme that `credentials` serves. Every request goes
    through `pipeline`. If `needs_key`, actions without an idempotency key are refused.
    """

    name: str
    vendor: Vendor
    specification: VendorSpecification = field(repr=False)
    values: Mapping[str, str]
    endpoint: str
    authentication: str
    credentials: VendorCredentials
    pipeline: Pipeline = field(repr=False)
    drift: Drift = field(repr=False)
    quota: Quota | None = None
    needs_key: bool = False

    @cached_property
    def plans(self) -> Mapping[str, Plan]:
        """The plans of all actions that the vendor performs, by action."""
        return plans(self.specification, self.vendor.capabilities)


@dataclass(frozen=True)
class Directory:
    """All vendors and connections by name."""

    vendors: Mapping[str, Vendor]
    connections: Mapping[str, Connection]

    def vendor(self, name: str) -> Vendor:
        """The vendor of this name. Raises UnknownVendor."""
        try:
            return self.vendors[name]
        except KeyError:
            raise UnknownVendor("No adapter of this name is installed. GET /v1/vendors lists those that are.") from None

    def connection(self, name: str) -> Connection:
        """The connection of this name. Raises UnknownConnection."""
        try:
            return self.connections[name]
        except KeyError:
            raise no_such_connection() from None
