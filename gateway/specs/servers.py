"""The server of a vendor's API, as its document describes it (OpenAPI 3.0.3, Server Object)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway.specs.document import Document

_VARIABLE = re.compile(r"\{([^}]+)\}")


def variables(document: Document) -> tuple[str, ...]:
    """The names of the variables in the URL of the first server."""
    return tuple(_VARIABLE.findall(_template(document)))


def own_server(document: Document, values: Mapping[str, str]) -> str | None:
    """The URL of the first server for an account with these values, without a slash at its end.

    None if the URL has a variable that is no value of the account, or is not absolute. The default of such a variable
    is only an example: it would lead to the host of another account.
    """
    if any(name not in values for name in variables(document)):
        return None
    url = _VARIABLE.sub(lambda found: values[found[1]], _template(document))
    return url.rstrip("/") if urlsplit(url).netloc else None


def _template(document: Document) -> str:
    return str(next(iter(document.content.get("servers", ())), {"url": ""})["url"])
