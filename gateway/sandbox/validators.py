"""Connexion's own validators, with fixes for Connexion 3.3.0.

The sandbox validates requests with them and with the edge's compiled schemas. The two are independent, so that an error
in the gateway's own validation shows.
"""

from __future__ import annotations

from typing import Any

from connexion.datastructures import MediaTypeDict
from connexion.validators import JSONRequestBodyValidator, ParameterValidator
from starlette.datastructures import Headers
from starlette.types import Receive, Scope


class NamingParameterValidator(ParameterValidator):
    """Names the invalid parameter. Connexion's message has only the value and its schema."""

    @staticmethod
    def validate_parameter(
        parameter_type: str, value: Any, param: dict[str, Any], param_name: str | None = None
    ) -> str | None:
        """The error of a parameter, None if it is valid."""
        error: str | None = ParameterValidator.validate_parameter(parameter_type, value, param, param_name)
        if error is None or value is None:
            return error
        reason = error.splitlines()[0]
        return f"The {parameter_type} parameter '{param['name']}' does not fit: {reason}"


class OptionalBodyValidator(JSONRequestBodyValidator):
    """Accepts a request without its optional body, which Connexion refuses (its issue 1317)."""

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Validate the body, if the request has one."""
        if not self._required and Headers(scope=scope).get("content-length", "0") == "0":
            return receive, scope
        wrapped: tuple[Receive, Scope] = await super().wrap_receive(receive, scope=scope)
        return wrapped


VALIDATORS = {
    "parameter": NamingParameterValidator,
    "body": MediaTypeDict({"*/*json": OptionalBodyValidator}),
}
"""Connexion's `validator_map`."""
