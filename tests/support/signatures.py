"""Credentials that sign as an adapter's own functions do."""

from pydantic import SecretStr

from gateway.domain.adapter import Signing
from gateway.domain.ports import Clock
from gateway.security.credentials import Signature
from gateway.security.schemes import of_adapter


def signature(signing: Signing, secret: SecretStr | str, clock: Clock) -> Signature:
    """The credentials of a connection whose scheme is signed by the adapter."""
    return Signature(of_adapter(signing, "authorization"), {"secret": secret}, clock)
