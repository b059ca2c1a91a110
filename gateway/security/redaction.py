"""What proves who we are, cut out of what vendors say: some repeat it in the text of an error."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.model import HttpReply

REDACTED = "[redacted]"
LEAST_SECRET = 16
"""Characters. What proves who we are and is shorter is a name or a part of a date."""


def without_credentials(reply: HttpReply, credentials: Mapping[str, str]) -> HttpReply:
    """The reply to a request that had these header fields, without any of their secrets."""
    content, headers = reply.content, reply.headers
    for value in credentials.values():
        secret = value.rpartition(" ")[2]
        if len(secret) >= LEAST_SECRET:
            content = content.replace(secret.encode(), REDACTED.encode())
            headers = {field: text.replace(secret, REDACTED) for field, text in headers.items()}
    return HttpReply(reply.status, headers, content)
