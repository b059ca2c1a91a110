"""A security requirement is met only if each of its checks has answered."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from connexion.exceptions import OAuthProblem
from connexion.security import NO_VALUE

from gateway.domain.errors import Unauthenticated
from gateway.edge.authentication import SecurityCheck, verify_all
from gateway.edge.exchange import RequestContext

CHECK = SecurityCheck({}, RequestContext())
KNOWN = {"sub": "alice"}


async def refusal() -> Any:
    """Refuse, later."""
    raise Unauthenticated("The API key or token is unknown or no longer valid.")


class Later:
    """An awaitable of a class of its own."""

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the refusal."""
        return refusal().__await__()


@types.coroutine
def generated() -> Generator[Any, None, Any]:
    """A coroutine by a generator."""
    return (yield from refusal().__await__())


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(refusal, id="coroutine"),
        pytest.param(lambda: asyncio.ensure_future(refusal()), id="task"),
        pytest.param(Later, id="object"),
        pytest.param(generated, id="generator"),
    ],
)
async def test_a_refusal_that_comes_later_refuses(later: Callable[[], Awaitable[Any]]) -> None:
    """A check is awaited, whatever kind of awaitable it returns."""
    with pytest.raises(Unauthenticated):
        await verify_all([lambda _: KNOWN, lambda _: later()], CHECK)


@pytest.mark.parametrize("answer", [None, True, "alice", NO_VALUE])
@pytest.mark.parametrize("is_late", [False, True])
async def test_what_is_no_answer_lets_nobody_in(answer: Any, *, is_late: bool) -> None:
    """Only what is known of the caller meets a requirement, whether it comes at once or later."""

    async def later() -> Any:
        return answer

    with pytest.raises((OAuthProblem, TypeError)):
        await verify_all([lambda _: later() if is_late else answer], CHECK)


async def test_known_callers_meet_a_requirement() -> None:
    """Answers that come at once and later meet it together."""

    async def later() -> Any:
        return KNOWN

    await verify_all([lambda _: KNOWN, lambda _: later()], CHECK)
