"""The security schemes of a vendor's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.adapter import Adapter, Signing
from gateway.specs.document import Document, SpecificationError

NAME = "x-scheme-name"
"""Member of a security scheme with the scheme's own name, which Connexion does not pass on."""


def schemes(document: Document) -> Mapping[str, Any]:
    """The security schemes of a document by name."""
    found: Mapping[str, Any] = document.content.get("components", {}).get("securitySchemes", {})
    return found


def name_schemes(content: Mapping[str, Any]) -> None:
    """Write each security scheme's name into it."""
    for name, scheme in content.get("components", {}).get("securitySchemes", {}).items():
        scheme[NAME] = name


def signings(adapter: Adapter, document: Document) -> Mapping[str, Signing]:
    """The adapter's signing for each scheme other than OAuth 2.0.

    Raises SpecificationError if the adapter lacks one.
    """
    others = [name for name, each in schemes(document).items() if each["type"] != "oauth2"]
    missing = [name for name in others if name not in adapter.signing]
    if missing:
        message = f"{', '.join(missing)}: not OAuth 2.0, and not in the adapter's `signing`."
        raise SpecificationError(f"{document.path}: security scheme {message}")
    return {name: adapter.signing[name] for name in others}


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
