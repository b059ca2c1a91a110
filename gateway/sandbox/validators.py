"""Connexion's own validators, mended where Connexion 3.3.0 leaves something to be desired.

The sandbox judges requests with them and with the edge's compiled schemas: two that know nothing of
each other, so that a fault in the gateway's own validation does not hide behind itself.
"""

from __future__ import annotations

from typing import Any

from connexion.datastructures import MediaTypeDict
from connexion.validators import JSONRequestBodyValidator, ParameterValidator
from starlette.datastructures import Headers
from starlette.types import Receive, Scope


class NamingParameterValidator(ParameterValidator):
    """Says which parameter is wrong. Connexion's message is about the value and its schema only."""

    @staticmethod
    def validate_parameter(
        parameter_type: str, value: Any, param: dict[str, Any], param_name: str | None = None
    ) -> str | None:
        """What is wrong with a parameter, None where nothing is."""
        error: str | None = ParameterValidator.validate_parameter(parameter_type, value, param, param_name)
        if error is None or value is None:
            return error
        reason = error.splitlines()[0]
        return f"The {parameter_type} parameter '{param['name']}' does not fit: {reason}"


class OptionalBodyValidator(JSONRequestBodyValidator):
    """Lets a body that is optional be absent, which Connexion refuses (its issue 1317)."""

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Validate the body, if there is one."""
        if not self._required and Headers(scope=scope).get("content-length", "0") == "0":
            return receive, scope
        wrapped: tuple[Receive, Scope] = await super().wrap_receive(receive, scope=scope)
        return wrapped


VALIDATORS = {
    "parameter": NamingParameterValidator,
    "body": MediaTypeDict({"*/*json": OptionalBodyValidator}),
}
"""To be given to Connexion as its `validator_map`."""
