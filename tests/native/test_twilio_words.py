"""The words in which Twilio's clients see other vendors' jobs, and other clients see Twilio's tasks."""

from __future__ import annotations

import pytest

from tests.support.documents import installed

SPECIFICATIONS = {name: vendor.specification for name, vendor in installed().vendors.items()}
TWILIO = "twilio-taskrouter"

AS_TWILIO = {
    "azure-job-router": {
        "created": "pending",
        "pendingClassification": "pending",
        "classificationFailed": None,
        "pendingSchedule": "pending",
        "scheduled": "pending",
        "scheduleFailed": None,
        "waitingForActivation": "pending",
        "queued": "pending",
        "assigned": "assigned",
        "completed": "wrapping",
        "closed": "completed",
        "cancelled": "canceled",
    },
    "vonage-contact-center": {
        "Scheduled": "pending",
        "Running": "assigned",
        "Paused": "pending",
        "Failed": None,
        "Completed": "wrapping",
        "Cancelled": "canceled",
    },
}
"""Twilio's word for each status of another vendor. It has none for a job that failed."""

OF_TWILIO = {
    "azure-job-router": {
        "pending": "queued",
        "reserved": "queued",
        "assigned": "assigned",
        "wrapping": "completed",
        "completed": "closed",
        "canceled": "cancelled",
    },
    "vonage-contact-center": {
        "pending": "Scheduled",
        "reserved": "Scheduled",
        "assigned": "Running",
        "wrapping": "Completed",
        "completed": "Completed",
        "canceled": "Cancelled",
    },
}
"""The word of another vendor for each of Twilio's statuses."""


def shown_as(dialect: str, vendor: str) -> dict[str, str | None]:
    """Each status of a vendor, and the word as which its job is shown in a dialect."""
    words, other = SPECIFICATIONS[dialect], SPECIFICATIONS[vendor]
    return {name: words.word_for(each.pair.status) for name, each in other.statuses.items()}


@pytest.mark.parametrize("vendor", AS_TWILIO)
def test_other_vendors_jobs_in_twilios_words(vendor: str) -> None:
    """Each status has a word of Twilio's that allows the same, or none."""
    assert shown_as(TWILIO, vendor) == AS_TWILIO[vendor]


@pytest.mark.parametrize("vendor", OF_TWILIO)
def test_twilios_tasks_in_other_vendors_words(vendor: str) -> None:
    """Each of Twilio's statuses has a word of every other vendor."""
    assert shown_as(vendor, TWILIO) == OF_TWILIO[vendor]
