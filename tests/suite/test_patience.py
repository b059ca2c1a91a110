"""The helpers for tests of time: `given_time` fails a test only if it fails with every number of seconds."""

from __future__ import annotations

import inspect

import pytest

from tests.support.patience import given_time, wait_until


def test_a_test_is_tried_until_it_passes() -> None:
    """A test is repeated until it passes, and pytest sees no fixture called `seconds`."""
    tried = []

    @given_time(0.1, 1.0, 10.0)
    def is_slow(fixture: str, seconds: float) -> None:
        tried.append(seconds)
        assert seconds > 0.5

    is_slow(fixture="")
    assert tried == [0.1, 1.0]
    assert list(inspect.signature(is_slow).parameters) == ["fixture"]


async def test_what_is_not_true_fails_with_any_time() -> None:
    """The last try is the verdict, of a coroutine too."""
    tried = []

    @given_time(0.1, 1.0)
    async def is_wrong(seconds: float) -> None:
        tried.append(seconds)
        raise AssertionError(f"wrong after {seconds} seconds")

    with pytest.raises(AssertionError, match=r"wrong after 1\.0 seconds"):
        await is_wrong()
    assert tried == [0.1, 1.0]


def test_what_does_not_come_is_a_failure() -> None:
    """`wait_until` fails if the condition stays false."""
    with pytest.raises(AssertionError, match="did not happen"):
        wait_until(lambda: False, 0.01)
