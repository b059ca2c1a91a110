"""What the lint finds."""

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
    """One fault of one file: where it is, what is wrong, and a sentence on how to mend it."""

    file: Path
    pointer: str
    message: str
    mend: str

    def __str__(self) -> str:
        """The finding as a line: file and place, what is wrong, how to mend it."""
        return f"{self.file}#{self.pointer}: {self.message}. {self.mend}"


class Fault(NamedTuple):
    """A finding before it is known of which file."""

    pointer: str
    message: str
    mend: str


Rule = Callable[[Document], Iterator[Fault]]
