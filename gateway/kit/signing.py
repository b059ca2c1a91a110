"""Credentials for the process in which Schemathesis runs: it signs requests itself, since it makes them.

Schemathesis imports this module as its hooks, where the environment names it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.adapter import Adapter
from gateway.kit.own_client import Sign, Signed, now
from gateway.sandbox.settings import Credentials
from gateway.specs.document import load
from gateway.specs.security import checked_schemes

if TYPE_CHECKING:
    from gateway.kit.stand import Stand

VARIABLE = "JOBGATE_KIT_CREDENTIALS"
"""Environment variable with the credentials of a sandbox, as JSON."""


def at_simulator(stand: Stand) -> Mapping[str, str]:
    """The environment for requests to the simulator."""
    return _environment(stand, stand.sandbox.credentials, stand.simulated_token)


def at_gateway(stand: Stand) -> Mapping[str, str]:
    """The environment for requests to the vendor's own API at the gateway."""
    credentials = Credentials(stand.running.access_key, DEFAULT_CALLER)
    return _environment(stand, credentials, stand.running.api_key)


def _environment(stand: Stand, credentials: Credentials, token: str) -> Mapping[str, str]:
    scheme = stand.schemes.get(stand.scheme)
    written: dict[str, Any] = {"token": token}
    if scheme is not None:
        parts = dict(credentials.parts(scheme.kind))
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


def can_be_routed(_context: object, path_parameters: Mapping[str, Any] | None) -> bool:
    """True for paths that reach an operation: a slash, a backslash and control characters are refused before.

    Those refusals have tests of their own. Schemathesis leaves such paths out itself, but only for servers it knows.
    """
    texts = [unquote(str(value)) for value in (path_parameters or {}).values()]
    return all(text.isprintable() and not {"/", "\\"} & {*text} for text in texts)


if VARIABLE in os.environ:
    import schemathesis
    from schemathesis.auths import GLOBAL_AUTH_STORAGE

    schemathesis.hook("filter_path_parameters")(can_be_routed)
    GLOBAL_AUTH_STORAGE.set_from_requests(Signed(signing_as(json.loads(os.environ[VARIABLE]))))
