"""Vendors with what they support, and connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .exchange import Exchange, path_of
from .statuses import StatusPair


@dataclass(frozen=True)
class VendorStatus(StatusPair):
    """A status that a vendor documents. `final`: no transition leads out of it."""

    final: bool


@dataclass(frozen=True)
class ParameterSupport:
    """Support of a parameter by a vendor: `native`, `recorded` (kept in the job action only) or `unsupported`."""

    name: str
    support: str


@dataclass(frozen=True)
class Capability:
    """Support of an action by a vendor: `native` or `unsupported`.

    For a native action, `effect` says what sending it again does (`read`, `repeatable` or `once`), `from_statuses` in
    which statuses it is allowed, and `to_status` to which status it leads. If it `deletes_job`, the job can be read no
    more.
    """

    action: str
    support: str
    parameters: tuple[ParameterSupport, ...]
    effect: str | None = None
    from_statuses: tuple[StatusPair, ...] = field(default=(), metadata={"member": "from"})
    to_status: StatusPair | None = field(default=None, metadata={"member": "to"})
    deletes_job: bool = False


@dataclass(frozen=True)
class ReadSupport:
    """A vendor's support for a read of jobs, `getJob` or `listJobs`: `native` or `unsupported`."""

    read: str
    support: str


@dataclass(frozen=True)
class WaysToEnd:
    """The actions by which a job in a status is terminated, for each mode; None: the vendor documents no way."""

    vendor_status: str
    graceful: tuple[str, ...] | None = None
    forced: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Vendor:
    """A vendor, with its row of the capability matrix. `documentation` is a URL."""

    name: str
    title: str
    api_version: str
    statuses: tuple[VendorStatus, ...]
    actions: tuple[Capability, ...]
    documentation: str | None = None
    reads: tuple[ReadSupport, ...] = ()
    terminate: tuple[WaysToEnd, ...] = ()


@dataclass(frozen=True)
class Connection:
    """A configured account at a vendor. `authentication` names the vendor's security scheme.

    `values` are those that the vendor has for each account, such as its region.
    """

    name: str
    vendor: str
    endpoint: str
    authentication: str
    values: Mapping[str, str] = field(default_factory=dict)


class Vendors(Exchange):
    """The calls about vendors and connections."""

    def vendors(self) -> tuple[Vendor, ...]:
        """Every vendor, with its row of the capability matrix."""
        return tuple(self._list(Vendor, path_of("vendors")))

    def vendor(self, name: str) -> Vendor:
        """One vendor."""
        return self._get(Vendor, path_of("vendors", name))

    def connections(self) -> tuple[Connection, ...]:
        """Every connection."""
        return tuple(self._list(Connection, path_of("connections")))

    def connection(self, name: str) -> Connection:
        """One connection."""
        return self._get(Connection, path_of("connections", name))
