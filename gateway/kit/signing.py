"""Credentials for the process in which Schemathesis runs: it signs requests itself, since it makes them.

Schemathesis imports this module as its hooks, where the environment names it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unicodedata import category
from urllib.parse import unquote

from gateway.domain.adapter import Adapter
from gateway.kit.own_client import Sign, Signed, now
from gateway.security.schemes import Scheme
from gateway.specs.document import load
from gateway.specs.security import checked_schemes

if TYPE_CHECKING:
    from gateway.kit.stand import Stand

PartsOf = Callable[[Scheme], Mapping[str, str]]
"""Returns the parts of a credential for a scheme."""

VARIABLE = "JOBGATE_KIT_CREDENTIALS"
"""Environment variable with the credentials of a sandbox, as JSON."""


def at_simulator(stand: Stand) -> Mapping[str, str]:
    """The environment for requests to the simulator."""
    return _environment(stand, lambda scheme: stand.sandbox.credentials.parts(scheme.kind), stand.simulated_token)


def at_gateway(stand: Stand) -> Mapping[str, str]:
    """The environment for requests to the vendor's own API at the gateway."""
    return _environment(stand, stand.own_credentials, stand.running.api_key)


def _environment(stand: Stand, parts_of: PartsOf, token: str) -> Mapping[str, str]:
    scheme = stand.schemes.get(stand.scheme)
    written: dict[str, Any] = {"token": token}
    if scheme is not None:
        parts = dict(parts_of(scheme))
        values = stand.specification.example_values
        written = {
            "adapter": place_of(stand.vendor.adapter),
            "scheme": stand.scheme,
            "parts": parts,
            "values": values,
        }
    return {"SCHEMATHESIS_HOOKS": __name__, VARIABLE: json.dumps(written)}


def place_of(adapter: Adapter) -> tuple[str, str]:
    """The module and the name by which another process imports an adapter. Raises LookupError if it has none."""
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if isinstance(value, Adapter) and value.specification == adapter.specification:
                return module.__name__, name
    raise LookupError("No module has the adapter under a name.")


def signing_as(written: Mapping[str, Any]) -> Sign:
    """The way to sign requests, from what the environment says."""
    if "token" in written:
        return lambda _: {"Authorization": f"Bearer {written['token']}"}
    module, name = written["adapter"]
    adapter: Adapter = getattr(import_module(module), name)
    document = load(adapter.specification)
    scheme = checked_schemes(adapter, document, written["values"])[written["scheme"]]
    return lambda request: scheme.sign(request, written["parts"], now())


def is_unambiguous(_context: object, parameters: Mapping[str, Any] | None) -> bool:
    """True for values that a URL can carry: a control character is refused before any operation is reached.

    Those refusals have tests of their own. Schemathesis leaves such values out itself, but only for servers it knows.
    """
    return not any(category(each) == "Cc" for text in texts_of(parameters) for each in text)


def can_be_routed(_context: object, parameters: Mapping[str, Any] | None) -> bool:
    """True for values that a path can carry: no slash or backslash either."""
    return is_unambiguous(_context, parameters) and not any({"/", "\\"} & {*text} for text in texts_of(parameters))


def texts_of(parameters: Mapping[str, Any] | None) -> Iterator[str]:
    """The values of parameters as texts, each element of a list by itself."""
    for value in (parameters or {}).values():
        yield from (unquote(str(each)) for each in (value if isinstance(value, list) else [value]))


if VARIABLE in os.environ:
    import schemathesis
    from schemathesis.auths import GLOBAL_AUTH_STORAGE

    schemathesis.hook("filter_path_parameters")(can_be_routed)
    schemathesis.hook("filter_query")(is_unambiguous)
    GLOBAL_AUTH_STORAGE.set_from_requests(Signed(signing_as(json.loads(os.environ[VARIABLE]))))
