"""Suggestions for a path that does not exist: paths with another end, or with another beginning.

Only texts of the documents are shown, never those of the client, whose path can contain anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.specs.operations import Api

Surfaces = Mapping[str, Api]
"""The APIs by the base path at which they are served."""
MOST_LOST = 3
"""Most segments at the beginning of a path that can differ from the base path of an API."""

_PARAMETER = re.compile(r"\{[^{}]*\}")
_LAST_PART = re.compile(r"[/:][^/:{}]+")


def near(surfaces: Surfaces, method: str, path: str) -> str:
    """Suggest similar paths, as a sentence; empty without any."""
    for base_path, api in surfaces.items():
        if path.startswith(f"{base_path}/"):
            found = sorted(set(last_parts(api, method, path.removeprefix(base_path))))
            if found:
                return f"Did you mean a path that ends with {' or '.join(found)}?"
    found = sorted(set(elsewhere(surfaces, method, path)))
    return f"Did you mean {' or '.join(found)}?" if found else ""


def last_parts(api: Api, method: str, path: str) -> Iterator[str]:
    """The ends with which a path would be one of the API, such as the actions on a job."""
    method = "GET" if method == "HEAD" else method
    for operation in api.operations.values():
        last = operation.path[operation.path.rfind("}") + 1 :]
        if operation.method == method and _LAST_PART.fullmatch(last):
            beginning = template(operation.path.removesuffix(last))
            if re.fullmatch(rf"{beginning}[/:][^/:]*", path):
                yield last


def elsewhere(surfaces: Surfaces, method: str, path: str) -> Iterator[str]:
    """The path templates of all APIs that match this path with another beginning."""
    method = "GET" if method == "HEAD" else method
    parts = path.split("/")[1:]
    ends = [parts[lost:] for lost in range(MOST_LOST + 1)]
    for base_path, api in surfaces.items():
        for operation in api.operations.values():
            if operation.method == method and any(is_end(operation.path, each) for each in ends):
                yield f"{base_path}{operation.path}"


def is_end(path: str, parts: list[str]) -> bool:
    """True if segments match a path template as a whole, or without the parameter at its beginning."""
    wanted = f"/{'/'.join(parts)}"
    possible = (path, re.sub(r"^/\{[^{}]*\}(?=/)", "", path))
    return any(re.fullmatch(template(each), wanted) for each in possible if not each.startswith("/{"))


def template(path: str) -> str:
    """The regular expression of a path template."""
    return "[^/]+".join(re.escape(text) for text in _PARAMETER.split(path))
