"""The log of refused credentials under a flood of them."""

from __future__ import annotations

import pytest

from gateway.domain.errors import Unauthenticated
from gateway.domain.model import HttpRequest
from gateway.engine.registry import installed_vendors
from gateway.security.callers import Callers
from gateway.security.keys import Keyring
from gateway.security.refusal_log import MOST_KINDS, QUIET_SECONDS, RefusalLog
from gateway.security.schemes import of_adapter
from tests.support.clock import FakeClock


async def test_a_flood_of_credentials_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of refusal is logged at once, and again after a while, with the number of those left out."""
    clock = FakeClock()
    callers = Callers(Keyring({}), clock)
    signing = installed_vendors({})["azure-job-router"].adapter.signing["accessKey"]
    scheme = of_adapter(signing, "Authorization")
    for _ in range(100):
        assert await callers.identify("hunter2") is None
        assert await callers.identify("a.b.c") is None
        with pytest.raises(Unauthenticated):
            callers.who_signed(HttpRequest("GET", "https://gateway.test/", {}), scheme, "https://gateway.test")
    first = [each.message for each in caplog.records]
    assert [each.partition(" is refused")[0] for each in first] == ["a credential", "a token", "a signed request"]
    clock.advance(QUIET_SECONDS)
    await callers.identify("hunter3")
    assert caplog.records[-1].message == f"{first[0]} (and 99 times more since this was logged)"
    clock.advance(QUIET_SECONDS)
    await callers.identify("hunter3")
    assert caplog.records[-1].message == first[0]


def test_the_kinds_of_refusals_are_bounded() -> None:
    """However many there are, what is remembered of them has an end."""
    refusals = RefusalLog(FakeClock())
    for number in range(3 * MOST_KINDS):
        refusals.note(f"a credential is refused: {number}")
        assert len(refusals._quiet) <= MOST_KINDS
