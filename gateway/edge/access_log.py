"""The target of a request as it stands in the access log: nothing that may be a secret in the wrong place.

A path that was answered names what there is, and is logged as it came; so are values of a query that are numbers or
words of a document. Of anything else only the words of documents, and the names of vendors and connections, are logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.specs.operations import Api

CUT = "..."
PAGES = frozenset({"v1", "native", "livez", "readyz", "docs", "assets", "problems", "openapi.json", "favicon.ico"})
"""The words of all addresses outside the APIs, and the first ones of theirs."""

_NUMBER = re.compile(r"[0-9]{1,9}|true|false")
_PREVIEW = re.compile(r"(?:^|&)dryRun=true(?:&|$)")
_PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class LoggedTargets:
    """Says how much of a target is logged. `words` are what may stand there whatever is answered."""

    words: frozenset[str] = PAGES

    @classmethod
    def of(cls, apis: Iterable[Api], names: Iterable[str] = ()) -> LoggedTargets:
        """Log the words of these APIs, and these names."""
        documents = [each.document.content for each in apis]
        paths = {segment for each in documents for path in each["paths"] for segment in path.split("/")}
        verbs = {_PARAMETER.sub("", each) for each in paths if each.startswith("{")}
        return cls(PAGES | {each for each in paths | verbs if "{" not in each} | set(_enumerated(documents)) | {*names})

    def __call__(self, path: str, query: bytes, *, is_answered: bool, is_api: bool) -> tuple[str, bytes]:
        """What is logged of a path, as it was sent but decoded, and of a query.

        `is_answered`: the answer proves that what the path names is there. `is_api`: an operation was found.
        """
        text = query.decode("latin-1")
        if not is_answered or _PREVIEW.search(text):  # nobody is asked whether what a preview is of is there
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
    """Every text that a document lists as a value."""
    if isinstance(node, Mapping):
        yield from (each for each in node.get("enum", ()) if isinstance(each, str))
        for each in node.values():
            yield from _enumerated(each)
    elif isinstance(node, list):
        for each in node:
            yield from _enumerated(each)
