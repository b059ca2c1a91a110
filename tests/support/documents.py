"""The documents of the installed gateway, read and checked once in a process, however many gateways it makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from connexion.spec import Specification

from gateway.app import Catalogue


@cache
def installed() -> Catalogue:
    """The unified API and every installed vendor."""
    return Catalogue.load()


@contextmanager
def understood_once() -> Iterator[None]:
    """Until the block ends, let Connexion read and validate each document the first time only.

    It does so whenever a gateway is made, which is most of what that costs, and tests make many hundreds of gateways
    of the same few documents. What it makes of a document is not changed afterwards, so all of them can have it.
    """
    read: Callable[[Any], Specification] = Specification.from_dict
    known: dict[str, Specification] = {}

    def read_unless_known(document: Any) -> Specification:
        text = json.dumps(document, default=repr)
        if text not in known:
            known[text] = read(document)
        return known[text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Specification, "from_dict", staticmethod(read_unless_known))
        yield
