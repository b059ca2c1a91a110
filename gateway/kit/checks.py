"""Checks: the unit of which suites are made."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from gateway.kit.stand import Stand


class Departure(AssertionError):
    """A vendor departs from what its document promises. The text says where, what, and how to mend it."""

    def __init__(self, where: str, what: str, mend: str) -> None:
        """Name the place, the departure and the remedy."""
        super().__init__(f"{where}: {what}. {mend}")


@dataclass(frozen=True)
class Place:
    """A place in a vendor's document or adapter, with the remedy for what goes wrong there."""

    where: str
    mend: str

    def require(self, holds: object, what: str) -> None:
        """Raise Departure with `what`, unless it holds."""
        if not holds:
            raise self.departure(what)

    def departure(self, what: str) -> Departure:
        """The departure to raise if `what` happened."""
        return Departure(self.where, what, self.mend)

    def expect(self, name: str, found: object, expected: object) -> None:
        """Raise Departure, unless what was found is what was expected."""
        self.require(found == expected, f"{name} is {found!r}, expected {expected!r}")


@dataclass(frozen=True)
class Check:
    """One thing that a vendor has to do: `run` raises if it does not. `kind` groups checks of the same sort."""

    name: str
    promise: str
    run: Callable[[Stand], None] = field(repr=False)
    kind: Hashable = None

    @classmethod
    def of(cls, function: Callable[..., None], *arguments: Any, kind: Hashable = None) -> Self:
        """The check that calls a function with a stand and these arguments. Its promise is the function's docstring.

        Without a kind it is the only one of its kind.
        """
        name = " ".join([function.__name__.replace("_", " "), *map(str, arguments)])
        promise = (function.__doc__ or "").partition("\n")[0]
        sort = (function.__name__, arguments if kind is None else kind)
        return cls(name, promise, lambda stand: function(stand, *arguments), sort)

    def __str__(self) -> str:
        """The name of the check."""
        return self.name
