"""Precompiled routes answer as the way through Connexion's layers does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gateway.app import Catalogue
from gateway.specs.document import SPECIFICATIONS, load
from gateway.specs.operations import Api
from tests.edge import equivalence as make
from tests.support.stock import Judge, Kind, Reached, Request, ours, targets

TARGETS = targets(load(SPECIFICATIONS / "gateway.yaml"))
CHANGES = make.first_changes(TARGETS.values())


def long_way(api: Api, reached: Reached) -> Any:
    """The API with every request through Connexion's layers."""
    application: Any = ours(api, reached)
    application.routes = None
    return application


def short_way(api: Api, reached: Reached) -> Any:
    """The API without Connexion's layers: whatever comes to them fails."""
    application: Any = ours(api, reached)

    async def closed(*_: Any) -> None:
        raise AssertionError("a request for an operation went through Connexion's layers")

    application.app = closed
    return application


@pytest.fixture(scope="module")
def both(catalogue: Catalogue) -> tuple[Judge, Judge]:
    """The unified API, as it is served, and with every request through Connexion's layers."""
    return Judge(partial(ours, catalogue.api)), Judge(partial(long_way, catalogue.api))


@pytest.mark.parametrize("name", TARGETS)
async def test_both_ways_say_the_same(both: tuple[Judge, Judge], name: str) -> None:
    """Both ways refuse the same requests, and reach the same handler with the same values."""
    plain = make.plain(TARGETS[name])
    requests: list[Request] = [plain, *(change(plain) for change in CHANGES[name])]
    for request in dict.fromkeys(requests):
        short, long = both
        assert await short.verdict(request) == await long.verdict(request), request


@pytest.mark.parametrize("name", TARGETS)
async def test_every_operation_has_a_precompiled_route(catalogue: Catalogue, name: str) -> None:
    """No request for an operation passes Connexion's layers."""
    verdict = await Judge(partial(short_way, catalogue.api)).verdict(make.plain(TARGETS[name]))
    assert verdict.kind is Kind.ACCEPTED
