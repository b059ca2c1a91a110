"""The hooks of every adapter as a table: each function that a vendor's document names or needs, and its reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator

from gateway.engine.connections import Vendor

Hook = tuple[str, Callable[..., object]]
"""The use of an adapter's function, and the function."""


def hook_rows(vendors: Iterable[Vendor]) -> Iterator[tuple[str, str, str, str]]:
    """Each hook as vendor, use, function and reason; a vendor without hooks has one row that says so.

    Raises ValueError if a function has no docstring: the reason would be missing in the table.
    """
    for vendor in vendors:
        hooks = [*_hooks(vendor)]
        for use, function in hooks:
            yield vendor.name, use, f"`{function.__name__}`", reason(function)
        if not hooks:
            yield vendor.name, "-", "-", "Its document says everything."


def reason(function: Callable[..., object]) -> str:
    """The first line of a function's docstring. Raises ValueError if it has none."""
    docstring = inspect.getdoc(function)
    if not docstring:
        raise ValueError(f"{function.__module__}.{function.__name__} has no docstring that gives its reason")
    return docstring.partition("\n")[0]


def _hooks(vendor: Vendor) -> Iterator[Hook]:
    adapter = vendor.adapter
    for scheme, signing in adapter.signing.items():
        yield f"`signing`: sends credentials of `{scheme}`", signing.sign
        yield f"`signing`: checks those of clients of the vendor's own API, `{scheme}`", signing.verify
    for action, mapping in vendor.specification.actions.items():
        for parameter, finder in mapping.find.items():
            yield f"`find`: `{parameter}` of {action}, if it is left out", adapter.finders[finder.by]
        if mapping.evidence is not None:
            yield f"`evidence`: whether {action} was carried out", adapter.evidence[mapping.evidence]
    if adapter.simulate is not None:
        yield "`simulate`: the job in the sandbox after an action", adapter.simulate
