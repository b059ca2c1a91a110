"""Ways to end a job: what the documents allow, the shortest and gentlest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.app import Catalogue
from gateway.domain.vocabulary import Mode
from gateway.engine.connections import Vendor
from gateway.engine.endings import MOST_STEPS, Way, way_to_end
from gateway.specs.capabilities import capabilities
from tests.support.documents import installed

CATALOGUE = installed()
AZURE, VONAGE = "azure-job-router", "vonage-contact-center"
WAYS: dict[tuple[str, str], Way | None] = {
    (AZURE, "created"): ("cancel",),
    (AZURE, "pendingClassification"): ("cancel",),
    (AZURE, "classificationFailed"): None,
    (AZURE, "pendingSchedule"): ("cancel",),
    (AZURE, "scheduled"): ("cancel",),
    (AZURE, "scheduleFailed"): None,
    (AZURE, "waitingForActivation"): ("cancel",),
    (AZURE, "queued"): ("cancel",),
    (AZURE, "assigned"): ("complete", "close"),
    (AZURE, "completed"): ("close",),
    (AZURE, "closed"): (),
    (AZURE, "cancelled"): (),
    (VONAGE, "Scheduled"): ("cancel",),
    (VONAGE, "Running"): ("cancel",),
    (VONAGE, "Paused"): ("cancel",),
    (VONAGE, "Failed"): None,
    (VONAGE, "Completed"): (),
    (VONAGE, "Cancelled"): (),
}


@pytest.mark.parametrize("vendor", [AZURE, VONAGE])
def test_every_status_of_the_built_in_vendors(vendor: str) -> None:
    """A waiting job is cancelled, an assigned one is completed and closed, and a failed one is left as it is."""
    known = CATALOGUE.vendors[vendor]
    found = {(vendor, status): way_to_end(known, status, Mode.GRACEFUL) for status in known.specification.statuses}
    assert found == {key: way for key, way in WAYS.items() if key[0] == vendor}


def every_status() -> Iterator[tuple[Vendor, str]]:
    """Every status of every installed vendor."""
    for vendor in CATALOGUE.vendors.values():
        for status in vendor.specification.statuses:
            yield vendor, status


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(("vendor", "status"), list(every_status()), ids=lambda each: getattr(each, "name", str(each)))
def test_a_way_is_one_that_the_document_allows(vendor: Vendor, status: str, mode: Mode) -> None:
    """Each step starts from where the one before led to, the last one leads to a final status, and none is harmless."""
    way = way_to_end(vendor, status, mode)
    for action in way or ():
        mapping = vendor.specification.actions[action]
        assert status in mapping.from_statuses
        assert vendor.capabilities[action].definition.harm > 0
        status = mapping.to_status
    assert way is None or (vendor.specification.status(status).final and len(way) <= MOST_STEPS)


def azure(catalogue: Catalogue, **changes: tuple[tuple[str, ...], str]) -> Vendor:
    """Azure, as if its document had these actions: the statuses from which each is allowed, and the one it leads to."""
    vendor = catalogue.vendors[AZURE]
    known = vendor.specification.actions
    changed = {
        name: replace(known["cancel"], action=name, from_statuses=before, to_status=after, assumed=frozenset())
        for name, (before, after) in changes.items()
    }
    specification = replace(vendor.specification, actions={**known, **changed})
    return Vendor(vendor.adapter, specification, capabilities(specification, catalogue.actions))


def test_only_force_discards(catalogue: Catalogue) -> None:
    """A job that can only be discarded is left alone unless the caller asks for force."""
    vendor = azure(catalogue, discard=(("classificationFailed", "queued"), "cancelled"))
    assert way_to_end(vendor, "classificationFailed", Mode.GRACEFUL) is None
    assert way_to_end(vendor, "classificationFailed", Mode.FORCED) == ("discard",)
    assert way_to_end(vendor, "queued", Mode.FORCED) == ("cancel",), "of two ways of one step, the gentler one"


def test_the_shorter_way_is_the_better_one(catalogue: Catalogue) -> None:
    """Of two documented ways, the one with fewer steps is chosen, whatever the order of the actions."""
    assert way_to_end(azure(catalogue, close=(("assigned",), "closed")), "assigned", Mode.GRACEFUL) == ("close",)


def test_a_documented_way_is_better_than_an_assumed_one(catalogue: Catalogue) -> None:
    """An assigned job could be cancelled at once, if Azure allows what no document says; it is completed instead."""
    vendor = catalogue.vendors[AZURE]
    assert "assigned" in vendor.specification.actions["cancel"].assumed
    assert way_to_end(vendor, "assigned", Mode.GRACEFUL, without={"complete"}) == ("cancel",)
    documented = azure(catalogue, cancel=(("assigned",), "cancelled"))
    assert way_to_end(documented, "assigned", Mode.GRACEFUL) == ("cancel",)


def test_a_way_has_three_steps_at_most(catalogue: Catalogue) -> None:
    """A longer way is none; and a step that leads back is never taken."""
    chain = {
        "cancel": (("queued",), "created"),
        "complete": (("created",), "assigned"),
        "close": (("assigned",), "closed"),
    }
    assert way_to_end(azure(catalogue, **chain), "queued", Mode.GRACEFUL) == ("cancel", "complete", "close")
    longer = {**chain, "cancel": (("queued",), "scheduled"), "discard": (("scheduled",), "created")}
    assert way_to_end(azure(catalogue, **longer), "queued", Mode.FORCED) is None


def test_harmless_actions_end_nothing(catalogue: Catalogue) -> None:
    """A failed job is not restarted in order to cancel it."""
    vendor = catalogue.vendors[VONAGE]
    assert vendor.specification.allows("restart", "Failed")
    assert way_to_end(vendor, "Failed", Mode.FORCED) is None
