"""Credentials for Schemathesis where a client signs each request: it loads this module by SCHEMATHESIS_HOOKS.

The variables name the vendor, and the client id and access key that its scheme signs with.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import requests
from requests.auth import AuthBase
from schemathesis.auths import GLOBAL_AUTH_STORAGE

from gateway.sandbox.settings import Credentials
from gateway.specs.security import checked_schemes, schemes
from tests.support.documents import installed
from tests.support.signatures import as_signed

VENDOR, CLIENT_ID, ACCESS_KEY = "FUZZ_VENDOR", "FUZZ_CLIENT_ID", "FUZZ_ACCESS_KEY"


class Signed(AuthBase):
    """Signs a request by the first scheme of the vendor's document."""

    def __init__(self) -> None:
        """Take vendor and credentials from the environment."""
        vendor = installed().vendors[os.environ[VENDOR]]
        document = vendor.specification.api.document
        known = checked_schemes(vendor.adapter, document, vendor.specification.example_values)
        self.scheme = known[next(iter(schemes(document)))]
        self.credentials = Credentials(client_id=os.environ[CLIENT_ID], access_key=os.environ[ACCESS_KEY])

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header fields of the signature."""
        parts = self.credentials.parts(self.scheme.kind)
        request.headers.update(self.scheme.sign(as_signed(request), parts, datetime.now(UTC)))
        return request


if VENDOR in os.environ:
    GLOBAL_AUTH_STORAGE.set_from_requests(Signed())
