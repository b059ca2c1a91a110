"""Problems in a vendor's words, where no request leads to them easily."""

from __future__ import annotations

import pytest

from gateway.app import Catalogue
from gateway.dialects.refusals import DOUBTFUL, Refusals, code_of
from gateway.domain.errors import Explanation, LedgerUnavailable
from gateway.domain.model import Outcome
from gateway.edge.exchange import RequestContext
from tests.native.fixtures import AZURE, job_path
from tests.support.vendors import AZURE_JOB


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.UNKNOWN, DOUBTFUL), (Outcome.NOT_SENT, 503)])
def test_only_what_was_not_sent_says_when_to_come_again(catalogue: Catalogue, outcome: Outcome, status: int) -> None:
    """A ledger that fails after an action was sent leaves doubt: Retry-After would have it sent twice."""
    context = RequestContext("POST", f"/native/{AZURE}/contoso-prod{job_path(AZURE_JOB, ':cancel')}")
    refusals = Refusals(catalogue.natives[AZURE])
    reply = refusals(LedgerUnavailable("The disk is full.", Explanation(outcome=outcome)), context)
    assert reply.status == status
    assert ("retry-after" in reply.headers) == (outcome is Outcome.NOT_SENT)


def test_codes_do_not_depend_on_the_version_of_python() -> None:
    """The names of statuses are those of RFC 9110."""
    assert [code_of(status) for status in (404, 413, 414, 422, 599)] == [
        "NotFound",
        "ContentTooLarge",
        "URITooLong",
        "UnprocessableContent",
        "Error",
    ]
