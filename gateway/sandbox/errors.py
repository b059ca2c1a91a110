"""Error replies of a simulated vendor, in the envelopes and with the codes of its document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from http.client import responses

from starlette.exceptions import HTTPException

from gateway.domain.encoding import dump
from gateway.domain.errors import JobgateError, catalogue, keeps_its_status
from gateway.domain.vocabulary import Meaning
from gateway.edge.exchange import RawReply
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.request_log import Exchange
from gateway.sandbox.settings import VendorSettings
from gateway.specs.operations import Operation
from gateway.specs.vendor import ErrorReply, VendorSpecification

LONGEST_MESSAGE = 500
"""Longest message of an error, in characters."""

_OF_STATUS = {each.usual_status: each for each in Meaning if each not in {Meaning.UNKNOWN_JOB, Meaning.WRONG_STATE}}
"""The meaning of each HTTP status with which the edge refuses a request. Those refusals never concern a job."""
_INVALID = frozenset(kind.status for kind in catalogue() if keeps_its_status(kind))


class Errors:
    """Makes the error replies of one vendor."""

    def __init__(self, specification: VendorSpecification, settings: Callable[[], VendorSettings]) -> None:
        """Make errors of this vendor. `settings` returns the present settings."""
        self._settings = settings
        self._errors = specification.errors
        self._operations = tuple(specification.api.operations.values())

    def reply(self, refusal: Refusal, exchange: Exchange) -> RawReply:
        """The vendor's reply to a refused request."""
        answer = self._answer(refusal)
        name = answer.envelope or self._settings().envelope or next(iter(self._errors.envelopes))
        written = replace(answer, message=answer.message[:LONGEST_MESSAGE])
        parts = self._errors.write(written, exchange.path, [name])
        media_type = self._media_type(exchange.operation, answer.status)
        own = {name: str(value) for name, value in parts["header"].items()}
        headers = {"content-type": media_type, **own, **refusal.headers}
        return RawReply(answer.status, headers, dump(parts["body"]))

    def _answer(self, refusal: Refusal) -> ErrorReply:
        answer = self._documented(refusal.meaning) or _usual(refusal.status_code)
        return replace(
            answer,
            status=refusal.status or answer.status,
            message=refusal.message or answer.message,
        )

    def _documented(self, meaning: Meaning | None) -> ErrorReply | None:
        answers = () if meaning is None else self._errors.meanings.get(meaning, ())
        status = self._settings().wrong_state_status if meaning == Meaning.WRONG_STATE else None
        return next((each for each in answers if status in {None, each.status}), None)

    def _media_type(self, operation: Operation | None, status: int) -> str:
        operations = (operation, *self._operations) if operation else self._operations
        found = (each.response(status) for each in operations)
        types = (kind for response in found if response for kind in response.media_types)
        return next(types, "application/json")


def refusal_of(error: Exception) -> Refusal:
    """Convert any exception to a refusal. An internal error becomes a 500 without details."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, JobgateError):
        allow = {"allow": ", ".join(error.explanation.allow)} if error.explanation.allow else {}
        return _refusal(error.status, error.detail, allow)
    if isinstance(error, HTTPException):
        return _refusal(error.status_code, error.detail, {})
    return Refusal(None, status=500)


def _refusal(status: int, detail: str | None, headers: dict[str, str]) -> Refusal:
    if status in _INVALID:
        return Refusal(Meaning.INVALID_REQUEST, detail, status=status, headers=headers)
    meaning = _OF_STATUS.get(status)
    if meaning is not None:
        return Refusal(meaning, detail if meaning is Meaning.INVALID_REQUEST else None, headers=headers)
    return Refusal(None, detail if status < HTTPStatus.INTERNAL_SERVER_ERROR else None, status=status, headers=headers)


def _usual(status: int) -> ErrorReply:
    """An error reply for a status that the document does not describe."""
    phrase = responses.get(status, "Error")
    return ErrorReply(status, f"{phrase}.", "".join(phrase.split()))
