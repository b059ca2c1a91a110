"""JSON Web Tokens from untrusted senders: parsed safely, and refused with the rule that they break.

PyJWT checks form, signature, issuer and audience. Times are checked here: PyJWT accepts `"7"` and the year 99999 as
times (2.15.1), and uses the system clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from gateway.domain.numbers import seconds_since_1970

LONGEST_TOKEN = 8_192
"""Longest token, in characters."""

_TIMES = ("exp", "nbf", "iat")
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)
"""Errors that PyJWT raises for texts that are not tokens, those of its JSON and Base64 decoders included."""
_RULES: Mapping[type[Exception], str] = {
    jwt.MissingRequiredClaimError: "a required claim is missing",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is from another issuer",
    jwt.InvalidAlgorithmError: "its signature algorithm is not accepted",
}


class TokenRefused(Exception):
    """A token is refused. The message is the rule that it breaks, and contains nothing of the token."""


class WrongSignature(TokenRefused):
    """The signature does not match the key."""


@dataclass(frozen=True)
class Expected:
    """Rules for a token: its algorithms, issuer, required claims, audience (None: it names none), and times.

    `leeway` is the allowed difference between the clocks, in seconds; `times` are the claims that are compared with
    our clock.
    """

    algorithms: Sequence[str]
    issuer: str
    required: tuple[str, ...]
    audience: str | None = None
    leeway: float = 0.0
    times: tuple[str, ...] = _TIMES


def read_header(token: str, expected: Expected) -> Mapping[str, Any]:
    """The header of a token with an accepted algorithm; its content is not proven yet. Raises TokenRefused."""
    if len(token) > LONGEST_TOKEN:
        raise TokenRefused(f"it has more than {LONGEST_TOKEN} characters")
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(token)
    except _UNREADABLE:
        raise TokenRefused("it is not a JSON Web Token") from None
    if header.get("alg") not in expected.algorithms:
        raise TokenRefused("its signature algorithm is not accepted")
    return header


def read_claims(token: str, key: jwt.PyJWK | bytes, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that is valid now. Raises TokenRefused."""
    options: Any = {"require": list(expected.required), **{f"verify_{name}": False for name in _TIMES}}
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(expected.algorithms),
            audience=expected.audience,
            issuer=expected.issuer,
            options=options,
        )
    except jwt.InvalidSignatureError:
        raise WrongSignature("its signature is wrong") from None
    except _UNREADABLE as error:
        rule = (said for kind, said in _RULES.items() if isinstance(error, kind))
        raise TokenRefused(next(rule, "it cannot be read")) from None
    _check_times(claims, expected, now.timestamp())
    return claims


def _check_times(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """Compare the times of a token (RFC 7519, 4.1.4 to 4.1.6) with `now`. Raises TokenRefused."""
    times = {name: seconds_since_1970(claims[name]) for name in expected.times if name in claims}
    unfit = [name for name, at in times.items() if at is None]
    if unfit:
        raise TokenRefused(f"its {unfit[0]} is not a valid time")
    if (ends := times.get("exp")) is not None and ends <= now - expected.leeway:
        raise TokenRefused("it has expired")
    begins = max((at for name, at in times.items() if at is not None and name != "exp"), default=now)
    if begins > now + expected.leeway:
        raise TokenRefused("it is not valid yet")
