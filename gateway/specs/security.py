"""The security schemes of a vendor's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.adapter import Adapter
from gateway.domain.suggestions import did_you_mean
from gateway.domain.vocabulary import CONNECTION
from gateway.security.api_key import api_key
from gateway.security.aws_signature import aws_signature
from gateway.security.basic import BASIC
from gateway.security.bearer import BEARER_TOKEN
from gateway.security.schemes import Scheme, of_adapter
from gateway.specs.document import Document, SpecificationError

BEARER = "Bearer"
"""The scheme of bearer tokens in header fields (RFC 6750)."""
TOKENS = ("oauth2", BEARER.lower())
"""The kinds of security schemes whose clients send bearer tokens."""
NAME = "x-scheme-name"
"""Member of a security scheme with the scheme's own name, which Connexion does not pass on."""
SIGNATURE = "x-job-signature"
"""Member of a security scheme that names the algorithm of its signature, and the values in it."""


def schemes(document: Document) -> Mapping[str, Any]:
    """The security schemes of a document by name."""
    found: Mapping[str, Any] = document.content.get("components", {}).get("securitySchemes", {})
    return found


def name_schemes(content: Mapping[str, Any]) -> None:
    """Write each security scheme's name into it."""
    for name, scheme in content.get("components", {}).get("securitySchemes", {}).items():
        scheme[NAME] = name


def checked_schemes(adapter: Adapter, document: Document, values: Mapping[str, str] | None = None) -> dict[str, Scheme]:
    """The authentication of requests by each scheme other than OAuth 2.0: by the adapter's functions, or by ours.

    `values` are those of a connection. Raises SpecificationError if there is no way, or the adapter has functions for
    a scheme that the document does not have.
    """
    known = schemes(document)
    for name in adapter.signing.keys() - known.keys():
        raise SpecificationError(f"{document.path}: no security scheme {name}; {did_you_mean(name, known)}")
    return {
        name: _scheme(adapter, document, name, values or {}) for name, each in known.items() if each["type"] != "oauth2"
    }


def _scheme(adapter: Adapter, document: Document, name: str, values: Mapping[str, str]) -> Scheme:
    written = schemes(document)[name]
    if name in adapter.signing:
        return of_adapter(adapter.signing[name], written.get("name", "authorization"))
    match written:
        case {"type": "http", "scheme": str(scheme)} if scheme.lower() == "basic":
            return BASIC
        case {"type": "http", "scheme": str(scheme)} if scheme.lower() == "bearer":
            return BEARER_TOKEN
        case {"type": "apiKey", "in": "header", "x-job-signature": signature}:
            return aws_signature(signature["service"], _region(written, values))
        case {"type": "apiKey", "in": "header", "name": header}:
            return api_key(header)
    message = "neither OAuth 2.0, `basic`, `bearer` nor an API key in a header, and not in the adapter's `signing`."
    raise SpecificationError(f"{document.path}: security scheme {name}: {message}")


def _region(scheme: Mapping[str, Any], values: Mapping[str, str]) -> str | None:
    """The region of a signature: a text, or a value of the connection; None if that is not known."""
    source = source_of_region(scheme)
    region: str = scheme[SIGNATURE]["region"]
    return region if source is None else values.get(source)


def source_of_region(scheme: Mapping[str, Any]) -> str | None:
    """The name of the connection's value that is the region of a signature; None if there is none."""
    region = scheme.get(SIGNATURE, {}).get("region", "")
    return region.removeprefix(CONNECTION) if region.startswith(CONNECTION) else None


def kind_of_settings(adapter: Adapter, document: Document, name: str) -> str | None:
    """The `kind` of `authentication` in the settings that fits a scheme; None if none does."""
    written = schemes(document)[name]
    if written["type"] == "oauth2":
        return "client-credentials" if "clientCredentials" in written["flows"] else None
    return _scheme(adapter, document, name, {}).kind


def kind_of(scheme: Mapping[str, Any]) -> str:
    """Connexion's name for the kind of a security scheme."""
    kind: str = scheme["scheme"].lower() if scheme["type"] == "http" else scheme["type"]
    return kind


def token_flows(document: Document) -> dict[str, frozenset[str]]:
    """The URLs of the document's token endpoints, each with its scopes."""
    flows = (
        scheme["flows"]["clientCredentials"]
        for scheme in schemes(document).values()
        if "clientCredentials" in scheme.get("flows", {})
    )
    return {flow["tokenUrl"]: frozenset(flow["scopes"]) for flow in flows}
