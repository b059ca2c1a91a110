"""A stub of the gateway for commands that call one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.stub import Stub, stub_gateway


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A stub of the gateway."""
    with stub_gateway() as started:
        yield started
