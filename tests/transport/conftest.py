"""What the tests of the transport share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.sender import Sender


@pytest.fixture
async def send() -> AsyncIterator[Sender]:
    """A function that sends a request over the network; its connections are closed at the end."""
    sender = Sender()
    yield sender
    await sender.close()
