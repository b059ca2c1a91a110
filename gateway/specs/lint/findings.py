"""The findings of the lint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.specs.document import (
    Document,
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault in one file: its place, a message, and a sentence on how to fix it."""

    file: Path
    pointer: str
    message: str
    fix: str

    def __str__(self) -> str:
        """The finding as one line: file, place, message and fix."""
        return f"{self.file}#{self.pointer}: {self.message}. {self.fix}"


class Fault(NamedTuple):
    """A finding without its file."""

    pointer: str
    message: str
    fix: str


Rule = Callable[[Document], Iterator[Fault]]
