"""A security requirement is met only if each of its checks has answered."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from connexion.exceptions import OAuthProblem
from connexion.security import NO_VALUE

from gateway.domain.errors import Forbidden, Unauthenticated
from gateway.edge.authentication import SecurityCheck, verify
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
        await verify([[lambda _: KNOWN, lambda _: later()]], CHECK)


@pytest.mark.parametrize("answer", [None, True, "alice", NO_VALUE])
@pytest.mark.parametrize("is_late", [False, True])
async def test_what_is_no_answer_lets_nobody_in(answer: Any, *, is_late: bool) -> None:
    """Only what is known of the caller meets a requirement, whether it comes at once or later."""

    async def later() -> Any:
        return answer

    with pytest.raises((OAuthProblem, TypeError)):
        await verify([[lambda _: later() if is_late else answer]], CHECK)


async def test_known_callers_meet_a_requirement() -> None:
    """Answers that come at once and later meet it together."""

    async def later() -> Any:
        return KNOWN

    await verify([[lambda _: KNOWN, lambda _: later()]], CHECK)


async def test_one_of_several_requirements_is_enough() -> None:
    """The first requirement that is met lets the caller in, whatever the ones before it say; no later one is asked."""
    asked: list[str] = []

    def last(_: SecurityCheck) -> Any:
        asked.append("last")
        return NO_VALUE

    await verify([[lambda _: NO_VALUE], [lambda _: refusal()], [lambda _: KNOWN], [last]], CHECK)
    assert not asked


async def test_of_several_refusals_the_most_specific_is_told() -> None:
    """A caller that is known and may not do it is told so, not that it is unknown."""

    def forbid(_: SecurityCheck) -> Any:
        raise Forbidden("This operation needs the scope jobs:cancel, which the caller does not have.")

    with pytest.raises(Forbidden):
        await verify([[lambda _: refusal()], [lambda _: KNOWN, forbid], [lambda _: NO_VALUE]], CHECK)
