"""JSON Web Tokens as anybody may write them: read without harm, and refused with the rule that they break.

PyJWT checks form, signature, issuer and audience. Times are checked here: PyJWT takes `"7"` and the year 99999 for one
(2.15.1), and looks at the machine's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from gateway.domain.numbers import seconds_since_1970

LONGEST_TOKEN = 8_192
"""Characters."""

_TIMES = ("exp", "nbf", "iat")
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError)
"""What PyJWT raises for tokens that are none. It hands on what JSON and Base64 raise below it."""
_RULES: Mapping[type[Exception], str] = {
    jwt.MissingRequiredClaimError: "a claim is missing that it must have",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "another issuer has made it",
    jwt.InvalidAlgorithmError: "it is signed in a way that is not taken",
}


class TokenRefused(Exception):
    """A token is not taken. The message is the rule that it breaks, and holds nothing of the token."""


class WrongSignature(TokenRefused):
    """The signature is none of the key that it was held against."""


@dataclass(frozen=True)
class Expected:
    """What a token must be: signed so, by this issuer, for this audience (None: it names none), and not out of date.

    `leeway` is how far the clocks may be apart, in seconds; `times` are the claims that are held against ours.
    """

    algorithms: Sequence[str]
    issuer: str
    required: tuple[str, ...]
    audience: str | None = None
    leeway: float = 0.0
    times: tuple[str, ...] = _TIMES


def read_header(token: str, expected: Expected) -> Mapping[str, Any]:
    """The header of a token that is signed as it should be; nothing of it is proven yet. Raises TokenRefused."""
    if len(token) > LONGEST_TOKEN:
        raise TokenRefused(f"it has more than {LONGEST_TOKEN} characters")
    try:
        header: Mapping[str, Any] = jwt.get_unverified_header(token)
    except _UNREADABLE:
        raise TokenRefused("it is no JSON Web Token") from None
    if header.get("alg") not in expected.algorithms:
        raise TokenRefused("it is signed in a way that is not taken")
    return header


def read_claims(token: str, key: jwt.PyJWK | bytes, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """The claims of a token that is good now. Raises TokenRefused."""
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
    """Hold the times of a token (RFC 7519, 4.1.4 to 4.1.6) against the present. Raises TokenRefused."""
    times = {name: seconds_since_1970(claims[name]) for name in expected.times if name in claims}
    unfit = [name for name, at in times.items() if at is None]
    if unfit:
        raise TokenRefused(f"its {unfit[0]} is no time that there is")
    if (ends := times.get("exp")) is not None and ends <= now - expected.leeway:
        raise TokenRefused("it has ended")
    begins = max((at for name, at in times.items() if at is not None and name != "exp"), default=now)
    if begins > now + expected.leeway:
        raise TokenRefused("its time has not come yet")
