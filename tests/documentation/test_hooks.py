"""The page of hooks: every function of every adapter, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pytest

from gateway.documentation.hooks import hook_page, hook_rows, reason
from gateway.domain.adapter import Adapter
from gateway.domain.model import JobAction, Json
from tests.support.documents import installed

VENDORS = installed().vendors


def functions_of(adapter: Adapter) -> set[str]:
    """The names of an adapter's functions."""
    signing = (name for each in adapter.signing.values() for name in (each.sign.__name__, each.verify.__name__))
    named = (each.__name__ for hooks in (adapter.finders, adapter.evidence) for each in hooks.values())
    return {*signing, *named, *([adapter.simulate.__name__] if adapter.simulate else [])}


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_hook_is_listed(vendor: str) -> None:
    """A reader sees each function that the vendor's document does not suffice for, and why."""
    rows = hook_rows(VENDORS[vendor])
    assert {function.strip("`") for _, function, _, _ in rows} == functions_of(VENDORS[vendor].adapter)
    assert all(": " in why for _, _, _, why in rows)
    page = hook_page([VENDORS[vendor]])
    assert f"\n## {vendor}\n" in page
    assert all(function in page and why in page for _, function, _, why in rows)


def test_a_hook_with_several_uses_has_one_row() -> None:
    """A function that serves several actions stands once, with all of them."""
    (row,) = (row for row in hook_rows(VENDORS["genesys-cloud"]) if row[1] == "`agents_at_work`")
    assert row[2] == ", ".join(f"`assignmentId` of {action}" for action in ("complete", "close", "pause", "restart"))


def test_a_hook_without_a_reason_is_refused() -> None:
    """A function without a docstring would be an exception that nobody can explain."""

    def unexplained(job: Mapping[str, Json], job_action: JobAction, now: datetime) -> Mapping[str, Json]:
        return job

    with pytest.raises(ValueError, match="unexplained has no docstring"):
        reason(unexplained)
