"""The document itself: the lint, and the adapter beside it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from gateway.app import Catalogue
from gateway.engine.connections import Vendor
from gateway.kit.checks import Check, Place
from gateway.kit.stand import Stand
from gateway.specs.lint import check


def checks(_catalogue: Catalogue, _vendor: Vendor) -> Iterator[Check]:
    """The checks of a document and its adapter."""
    yield Check.of(document_passes_the_lint)
    yield Check.of(adapter_has_no_unused_hooks)
    yield Check.of(hooks_say_why_they_are_needed)


def document_passes_the_lint(stand: Stand) -> None:
    """`jobgate specs check` finds nothing in the document."""
    path = stand.vendor.adapter.specification
    place = Place(str(path), "Mend each finding as it says.")
    place.require(not (found := check(path)), "; ".join(map(str, found)))


def adapter_has_no_unused_hooks(stand: Stand) -> None:
    """Each function of the adapter is named by the document, which `find` and `evidence` do."""
    adapter, actions = stand.vendor.adapter, stand.specification.actions.values()
    named = {_function_of(each) for action in actions for each in action.find.values()}
    named |= {action.evidence for action in actions if action.evidence}
    for member in ("finders", "evidence"):
        unused = getattr(adapter, member).keys() - named
        place = Place(f"Adapter.{member}", "Remove it from the adapter, or name it in an x-job-action.")
        place.require(not unused, f"no action names {', '.join(sorted(unused))}")


def hooks_say_why_they_are_needed(stand: Stand) -> None:
    """Each hook has a docstring: its first line is the reason why the document cannot say it."""
    adapter = stand.vendor.adapter
    hooks: list[tuple[str, object]] = [(f"signing.{name}", each.sign) for name, each in adapter.signing.items()]
    hooks += [(f"finders.{name}", each) for name, each in adapter.finders.items()]
    hooks += [(f"evidence.{name}", each) for name, each in adapter.evidence.items()]
    hooks += [("simulate", adapter.simulate)] if adapter.simulate else []
    for name, hook in hooks:
        place = Place(f"Adapter.{name}", "Begin the docstring with the reason for the hook.")
        place.require(inspect.getdoc(hook), "it has no docstring")


def _function_of(find: object) -> str:
    """The function that an entry of `find` names."""
    return str(getattr(find, "by", find))
