"""The security schemes of a vendor's document: which of them need no code, and which kind of settings fits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.adapter import Adapter, Signing
from gateway.domain.model import HttpRequest
from gateway.specs.document import Document, SpecificationError
from gateway.specs.security import checked_schemes, kind_of_settings

OWN = Signing(lambda *_: {"X-Key": "made"}, lambda *_: str)
SIGNATURE = {"algorithm": "AWS4-HMAC-SHA256", "service": "connect", "region": "connection.region"}
AWS = {"type": "apiKey", "in": "header", "name": "Authorization", "x-job-signature": SIGNATURE}
KEY = {"type": "apiKey", "in": "header", "name": "X-Key"}
OAUTH = {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://vendor.test/token", "scopes": {}}}}


def document(scheme: dict[str, Any]) -> Document:
    """A vendor's document with one security scheme."""
    return Document(Path("vendor.yaml"), {"components": {"securitySchemes": {"account": scheme}}})


def adapter(**signing: Signing) -> Adapter:
    """An adapter with these functions."""
    return Adapter(Path("vendor.yaml"), signing)


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ({"type": "http", "scheme": "Basic"}, "basic"),
        ({"type": "http", "scheme": "Bearer"}, "bearer"),
        (KEY, "api-key"),
        (AWS, "aws-signature"),
        (OAUTH, "client-credentials"),
        ({"type": "oauth2", "flows": {"password": {}}}, None),
    ],
)
def test_the_document_decides_the_kind_of_settings(scheme: dict[str, Any], kind: str | None) -> None:
    """Each scheme that needs no code has its kind of settings, and the adapter's functions come first."""
    assert kind_of_settings(adapter(), document(scheme), "account") == kind
    if scheme["type"] != "oauth2":
        assert checked_schemes(adapter(), document(scheme))["account"].kind == kind
        assert kind_of_settings(adapter(account=OWN), document(scheme), "account") == "signature"


@pytest.mark.parametrize(
    "scheme",
    [{"type": "http", "scheme": "digest"}, {"type": "apiKey", "in": "query", "name": "key"}],
    ids=["digest", "query"],
)
def test_other_schemes_need_the_adapters_functions(scheme: dict[str, Any]) -> None:
    """Without code for its scheme, a vendor is refused at the start, by the names of document and scheme."""
    with pytest.raises(SpecificationError, match=r"vendor\.yaml: security scheme account: .*`signing`"):
        checked_schemes(adapter(), document(scheme))
    assert checked_schemes(adapter(account=OWN), document(scheme))["account"].kind == "signature"


def test_functions_for_no_scheme_are_refused() -> None:
    """A misspelt scheme of the adapter is named: its functions would never be called."""
    with pytest.raises(SpecificationError, match=r"no security scheme acount; did you mean account\?"):
        checked_schemes(adapter(acount=OWN), document(KEY))


def test_the_region_is_a_value_of_the_connection() -> None:
    """The region of a signature is the connection's value, or the text in the document."""
    fixed = {**AWS, "x-job-signature": {**SIGNATURE, "region": "eu-central-1"}}
    for written, values in ((AWS, {"region": "us-east-1"}), (fixed, {"region": "eu-central-1"})):
        scheme = checked_schemes(adapter(), document(written), values if written is AWS else {})["account"]
        parts = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret"}
        headers = scheme.sign(HttpRequest("GET", "https://vendor.test/", {}), parts, datetime.now(UTC))
        assert f"/{values['region']}/connect/aws4_request" in headers["Authorization"]
