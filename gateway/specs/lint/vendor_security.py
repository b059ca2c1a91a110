"""Rules for vendors' documents: the security schemes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.specs.document import Document, pointer
from gateway.specs.lint.findings import Fault
from gateway.specs.lint.vendor_parts import vendor
from gateway.specs.security import SIGNATURE, schemes, source_of_region


def schemes_that_nothing_can_use(document: Document) -> Iterator[Fault]:
    """Credentials are sent in header fields, and tokens come from the client credentials grant."""
    for name, scheme in schemes(document).items():
        if vendor(document) and not _can_be_used(scheme):
            ways = "OAuth 2.0 with clientCredentials, `basic`, `bearer`, or an API key in a header"
            fix = f"Remove it, or describe {ways}."
            yield Fault(pointer("components", "securitySchemes", name), "Jobgate cannot use this scheme", fix)


def _can_be_used(scheme: Mapping[str, Any]) -> bool:
    if scheme["type"] == "oauth2":
        return "clientCredentials" in scheme["flows"]
    return scheme["type"] == "http" or scheme.get("in") == "header"


def regions_of_no_connection(document: Document) -> Iterator[Fault]:
    """The region of a signature is a value that connections have."""
    for name, scheme in schemes(document).items():
        source = source_of_region(scheme)
        if source is not None and source not in vendor(document).get("connection", {}):
            place = pointer("components", "securitySchemes", name, SIGNATURE, "region")
            yield Fault(place, f"connections have no {source}", "Declare it in x-job-vendor.connection.")
