"""Secrets of the tests, which must not occur in any output of the product."""

from __future__ import annotations

import logging

from tests.support.vendors import ACCESS_KEY, API_KEY, CLIENT_SECRET, PART

CANARIES = (ACCESS_KEY, CLIENT_SECRET, PART, API_KEY, "token-1")
"""An access key, a client secret, a part of a credential, an API key and a vendor's token, as most tests have them."""


def leaked(text: str) -> list[str]:
    """The secrets that a text contains."""
    return [each for each in CANARIES if each in text]


class Watch(logging.Handler):
    """A handler that searches every log record for secrets, its traceback and arguments included."""

    def __init__(self) -> None:
        """Begin without records."""
        super().__init__(logging.DEBUG)
        self.hits: list[str] = []
        self.records = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one record."""
        self.records += 1
        said = f"{self.format(record)} {record.args!r} {record.__dict__.get('extra')!r}"
        self.hits.extend(f"{record.name}: {secret}" for secret in leaked(said))
