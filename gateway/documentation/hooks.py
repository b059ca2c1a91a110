"""The page with the hooks of every adapter: each function that a vendor's document names or needs, and its reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator

from gateway.documentation.tables import table
from gateway.engine.connections import Vendor

Function = Callable[..., object]

HEAD = """# Hooks

A hook is a pure function of an adapter, for what a vendor's document cannot say ([mapping.md](mapping.md#hooks)). These
are all hooks of the built-in vendors. The last column is the first line of the function's docstring: the reason for the
hook, and its result.
"""


def hook_page(vendors: Iterable[Vendor]) -> str:
    """The page with each hook of each vendor. Raises ValueError if a function has no docstring."""
    return HEAD + "".join(map(_section, vendors))


def hook_rows(vendor: Vendor) -> list[tuple[str, str, str, str]]:
    """Each hook of a vendor as kind, function, uses and reason. Raises ValueError if a function has no docstring."""
    uses: dict[tuple[str, Function], list[str]] = {}
    for kind, function, use in _hooks(vendor):
        uses.setdefault((kind, function), []).append(use)
    return [
        (f"`{kind}`", f"`{function.__name__}`", ", ".join(used), reason(function))
        for (kind, function), used in uses.items()
    ]


def reason(function: Function) -> str:
    """The first line of a function's docstring. Raises ValueError if it has none."""
    docstring = inspect.getdoc(function)
    if not docstring:
        raise ValueError(f"{function.__module__}.{function.__name__} has no docstring that gives its reason")
    return docstring.partition("\n")[0]


def _section(vendor: Vendor) -> str:
    rows = hook_rows(vendor)
    shown = table(("hook", "function", "used for", "reason and result"), rows) if rows else "None.\n"
    return f"\n## {vendor.name}\n\n{shown}"


def _hooks(vendor: Vendor) -> Iterator[tuple[str, Function, str]]:
    """Each use of a hook as its kind, its function, and the use."""
    adapter = vendor.adapter
    for scheme, signing in adapter.signing.items():
        yield "signing", signing.sign, f"`{scheme}`: the credentials of Jobgate"
        yield "signing", signing.verify, f"`{scheme}`: those of clients of the vendor's own API"
    for action, mapping in vendor.specification.actions.items():
        for parameter, finder in mapping.find.items():
            yield "find", adapter.finders[finder.by], f"`{parameter}` of {action}"
        if mapping.evidence is not None:
            yield "evidence", adapter.evidence[mapping.evidence], action
    if adapter.simulate is not None:
        yield "simulate", adapter.simulate, "the sandbox"
