"""Request targets in the access log, without anything that could be a secret in the wrong place.

The path of a successful request is logged as it was sent, and so are query values that are numbers or words of an
OpenAPI document. Otherwise only words of the documents, and names of vendors and connections, are logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.specs.operations import Api

CUT = "..."
"""Replaces text that is not logged."""
PAGES = frozenset(
    {"v1", "native", "livez", "readyz", "metrics", "docs", "assets", "problems", "openapi.json", "favicon.ico"}
)
"""The path segments outside the APIs, and the first segments of the APIs."""

_NUMBER = re.compile(r"[0-9]{1,9}|true|false")
_PREVIEW = re.compile(r"(?:^|&)dryRun=true(?:&|$)")
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class LoggedTargets:
    """Redacts request targets for the log. `words` are logged whatever the response is."""

    words: frozenset[str] = PAGES

    @classmethod
    def of(cls, apis: Iterable[Api], names: Iterable[str] = ()) -> LoggedTargets:
        """Allow the words of these APIs, and these names."""
        documents = [each.document.content for each in apis]
        paths = {segment for each in documents for path in each["paths"] for segment in path.split("/")}
        verbs = {_PARAMETER.sub("", each) for each in paths if each.startswith("{")}
        return cls(PAGES | {each for each in paths | verbs if "{" not in each} | set(_enumerated(documents)) | {*names})

    def __call__(self, path: str, query: bytes, *, is_answered: bool, is_api: bool) -> tuple[str, bytes]:
        """Redact a path, which is decoded, and a query.

        `is_answered`: the answer proves that everything the path names exists. `is_api`: an operation matched.
        """
        text = query.decode("latin-1")
        if not is_answered or _PREVIEW.search(text):  # a preview does not check that its job exists
            path = "/".join(map(self._segment, path.split("/")))
        if text:
            text = "&".join(map(self._pair, text.split("&"))) if is_answered and is_api else CUT
        return path, text.encode("latin-1")

    def _segment(self, segment: str) -> str:
        if segment in self.words or not segment:
            return segment
        verb = segment[segment.rfind(":") :]
        return f"{CUT}{verb}" if verb.startswith(":") and verb in self.words else CUT

    def _pair(self, pair: str) -> str:
        name, sign, value = pair.partition("=")
        return f"{name}{sign}{value if value in self.words or _NUMBER.fullmatch(value) else CUT}"


def _enumerated(node: Any) -> Iterable[str]:
    """Every string in an `enum` of a document."""
    if isinstance(node, Mapping):
        yield from (each for each in node.get("enum", ()) if isinstance(each, str))
        for each in node.values():
            yield from _enumerated(each)
    elif isinstance(node, list):
        for each in node:
            yield from _enumerated(each)
