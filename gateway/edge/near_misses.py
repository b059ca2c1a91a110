"""What there is near an address where nothing is: another last part, or another beginning.

Only the documents' own texts are named, never what the client wrote: a path may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.specs.operations import Api

Surfaces = Mapping[str, Api]
"""The APIs that are served, by where."""
MOST_LOST = 3
"""How many parts at the beginning of a path may be other ones than those of where an API is served."""

_PARAMETER = re.compile(r"\{[^{}]*\}")
_LAST_PART = re.compile(r"[/:][^/:{}]+")


def near(surfaces: Surfaces, method: str, path: str) -> str:
    """What there is near a path, as a sentence; empty where nothing is."""
    for base_path, api in surfaces.items():
        if path.startswith(f"{base_path}/"):
            found = sorted(set(last_parts(api, method, path.removeprefix(base_path))))
            if found:
                return f"It may end with {' or '.join(found)} instead."
    found = sorted(set(elsewhere(surfaces, method, path)))
    return f"Perhaps {' or '.join(found)} is meant." if found else ""


def last_parts(api: Api, method: str, path: str) -> Iterator[str]:
    """The last parts of paths of an API that this one would be with them: what may be done with a job."""
    method = "GET" if method == "HEAD" else method
    for operation in api.operations.values():
        last = operation.path[operation.path.rfind("}") + 1 :]
        if operation.method == method and _LAST_PART.fullmatch(last):
            beginning = template(operation.path.removesuffix(last))
            if re.fullmatch(rf"{beginning}[/:][^/:]*", path):
                yield last


def elsewhere(surfaces: Surfaces, method: str, path: str) -> Iterator[str]:
    """The paths of all APIs that this one would be with another beginning, as their documents have them."""
    method = "GET" if method == "HEAD" else method
    parts = path.split("/")[1:]
    ends = [parts[lost:] for lost in range(MOST_LOST + 1)]
    for base_path, api in surfaces.items():
        for operation in api.operations.values():
            if operation.method == method and any(is_end(operation.path, each) for each in ends):
                yield f"{base_path}{operation.path}"


def is_end(path: str, parts: list[str]) -> bool:
    """Whether parts are a whole path of a document, or one without the parameter that it begins with."""
    wanted = f"/{'/'.join(parts)}"
    possible = (path, re.sub(r"^/\{[^{}]*\}(?=/)", "", path))
    return any(re.fullmatch(template(each), wanted) for each in possible if not each.startswith("/{"))


def template(path: str) -> str:
    """The pattern of a path of a document."""
    return "[^/]+".join(re.escape(text) for text in _PARAMETER.split(path))
