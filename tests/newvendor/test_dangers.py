"""A vendor with forms, preconditions, a workspace in the path, no list, no OAuth: nothing of it is lost silently."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from gateway.client import Client, ProblemError
from gateway.domain.access import DEFAULT_CALLER
from gateway.domain.encoding import FORM
from gateway.edge.authentication import body_of
from gateway.edge.exchange import RequestContext
from gateway.sandbox.faults import Fault, FaultKind
from gateway.sandbox.request_log import LogEntry
from gateway.startup.serve import Running

INSTALLED = "form_desk"
CONNECTION = "form-sandbox"


def asked(
    desk: Running, task: str, *, connection: str = CONNECTION, workspace: str = "WS1", method: str = "POST", **more: Any
) -> requests.Response:
    """A request by the vendor's own client, for a task of a workspace."""
    url = f"{desk.url}/native/form-desk/{connection}/Workspaces/{workspace}/Tasks/{task}"
    return requests.request(method, url, auth=(DEFAULT_CALLER, desk.access_key), timeout=20, **more)


def arrived(desk: Running) -> list[LogEntry]:
    """The requests that came to the vendor."""
    return list(desk.sandbox.vendor("form-desk").log())


def status_of(desk: Running, task: str) -> object:
    """The status of a task at the vendor."""
    return desk.sandbox.vendor("form-desk").job(task)["assignment_status"]


# Forms


def test_a_form_goes_out_as_a_form(client: Client, desk: Running) -> None:
    """The vendor's media type is that of the bytes, and the vendor understands them: blanks, signs and numbers too."""
    preview = client.preview("cancel", CONNECTION, "WT1", note="Ümläuts & more=1+1")
    assert preview.vendor_request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    written = "AssignmentStatus=canceled&Reason=%C3%9Cml%C3%A4uts+%26+more%3D1%2B1"
    assert preview.vendor_request.body == written
    assert client.cancel(CONNECTION, "WT1", note="Ümläuts & more=1+1").outcome == "applied"
    understood = arrived(desk)[-1].job_action
    assert understood is not None
    assert understood.parameters == {"note": "Ümläuts & more=1+1"}
    assert client.preview("close", CONNECTION, "WT2").vendor_request.body == "AssignmentStatus=completed&Priority=3"
    assert client.close(CONNECTION, "WT2").outcome == "applied"


def test_forms_of_the_vendors_clients_are_read(desk: Running) -> None:
    """Each field has the type of the document: the number of a form is one, and the constant beside it counts."""
    closed = asked(desk, "WT2", data={"AssignmentStatus": "completed", "Priority": "3"})
    assert (closed.status_code, status_of(desk, "WT2")) == (200, "completed")
    for wrong in ({"Priority": "three"}, {"Priority": "99"}, {"AssignmentStatus": ["canceled", "completed"]}):
        refused = asked(desk, "WT1", data={"AssignmentStatus": "canceled", **wrong})
        assert (refused.status_code, refused.json()["code"]) == (400, "20002"), wrong
    assert status_of(desk, "WT1") == "pending"


def test_a_form_needs_the_scope_of_what_it_asks_for(desk: Running) -> None:
    """Which action a form asks for is read from the form: the scope of that action is enough, and needed."""
    native = desk.gateway.catalogue.natives["form-desk"]
    for status, scope in (("canceled", "jobs:cancel"), ("completed", "jobs:close")):
        form = RequestContext(content=f"AssignmentStatus={status}".encode(), media_type=FORM)
        assert native.needed("updateTask", {"path": {}, "body": body_of(form)}) == {scope}


# Replies to actions


def test_an_action_is_answered_with_the_job(desk: Running) -> None:
    """A reply that has to be the job is the job as the vendor shows it after the action, also the second time."""
    expected = {"sid": "WT1", "assignment_status": "canceled", "date_created": "2026-01-05T09:30:00Z", "age": 1}
    for replayed in (None, "true"):
        done = asked(desk, "WT1", data={"AssignmentStatus": "canceled"}, headers={"Idempotency-Key": "once"})
        assert (done.status_code, done.json()) == (200, expected)
        assert done.headers.get("idempotent-replayed") == replayed


def test_the_job_in_the_reply_is_not_read_again(desk: Running) -> None:
    """If the vendor's reply to an action is the job, its client gets that job and its version without a read."""
    done = asked(desk, "WT1", data={"AssignmentStatus": "canceled"})
    assert (done.json()["age"], done.headers["ETag"]) == (1, '"2"')
    assert [each.operation_id for each in arrived(desk)] == ["updateTask"]


def test_an_action_on_another_vendors_job_is_answered_with_the_job(desk: Running) -> None:
    """The job of another vendor is shown in the words of the dialect."""
    job_id = desk.sandbox.vendor("azure-job-router").create_job("queued")
    done = asked(desk, job_id, connection="azure-sandbox", data={"AssignmentStatus": "canceled"})
    assert done.status_code == 200
    assert {"sid": job_id, "assignment_status": "canceled"}.items() <= done.json().items()


def test_an_applied_action_is_a_success_though_the_job_cannot_be_read(desk: Running) -> None:
    """The record tells the job's id and status where reading it fails; never is an applied action told as an error."""
    vendor = desk.sandbox.vendor("form-desk")
    cancel: dict[str, Any] = {"data": {"AssignmentStatus": "canceled"}, "headers": {"Idempotency-Key": "unread"}}
    assert asked(desk, "WT1", **cancel).json()["age"] == 1
    vendor.script(Fault(FaultKind.STATUS, times=20, operation_id="fetchTask", status=500))
    done = asked(desk, "WT1", **cancel)
    assert (done.status_code, done.json()) == (200, {"sid": "WT1", "assignment_status": "canceled"})
    vendor.clear_faults()
    assert status_of(desk, "WT1") == "canceled"


# What no lens carries


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"headers": {"If-None-Match": '"2"'}}, "header.if-none-match"),
        (
            {"headers": {"If-Match": '"1"'}, "data": {"AssignmentStatus": "completed", "Priority": "3"}},
            "header.If-Match",
        ),
        ({"headers": {"If-Unmodified-Since": "Mon, 05 Jan 2026 09:30:00 GMT"}}, "header.if-unmodified-since"),
        ({"params": {"Notify": "false"}}, "query.Notify"),
        ({"data": {"AssignmentStatus": "canceled", "Priority": "3"}}, "body.Priority"),
        ({"data": {"AssignmentStatus": "canceled", "Tags": ["a", "b"]}}, "body.Tags"),
    ],
)
def test_what_an_action_cannot_carry_is_refused(desk: Running, more: dict[str, Any], place: str) -> None:
    """A precondition, a parameter or a member that would be lost is refused, by its place; nothing is sent."""
    refused = asked(desk, "WT1", **{"data": {"AssignmentStatus": "canceled"}, **more})
    assert (refused.status_code, refused.json()["code"]) == (400, "20002")
    assert place.partition(".")[2].lower() in refused.json()["message"].lower()
    assert not arrived(desk)
    assert status_of(desk, "WT1") == "pending"


def test_the_served_document_has_no_parameters_that_are_refused(desk: Running) -> None:
    """What no action of an operation carries is not in the document that its clients read."""
    served = requests.get(f"{desk.url}/native/form-desk/openapi.json", timeout=20).json()
    operation = served["paths"]["/{connection}/Workspaces/{WorkspaceSid}/Tasks/{Sid}"]["post"]
    assert [each["name"] for each in operation["parameters"]] == ["If-Match", "Idempotency-Key"]
    (media,) = operation["requestBody"]["content"].values()
    assert media["schema"]["properties"].keys() == {"AssignmentStatus", "Priority", "Reason"}


def test_what_crosses_is_not_lost_either(desk: Running) -> None:
    """A parameter of a read that another vendor does not know is refused; the own vendor gets it."""
    assert asked(desk, "WT1", method="GET", params={"Detail": "long"}).status_code == 200
    assert arrived(desk)[-1].query == "Detail=long"
    job_id = desk.sandbox.vendor("azure-job-router").create_job("queued")
    crossing = asked(desk, job_id, connection="azure-sandbox", method="GET", params={"Detail": "long"})
    assert crossing.status_code == 422


# Preconditions


def test_a_job_has_a_version_and_an_action_can_demand_it(client: Client, desk: Running) -> None:
    """The version is the ETag of the read; the vendor gets it as If-Match, and the record keeps it."""
    job = client.job(CONNECTION, "WT1")
    assert job.version == '"1"'
    url = f"{desk.url}/v1/connections/{CONNECTION}/jobs/WT1"
    read = requests.get(url, headers={"Authorization": f"Bearer {desk.api_key}"}, timeout=20)
    assert read.headers["ETag"] == job.version
    preview = client.preview("cancel", CONNECTION, "WT1", if_match=job.version)
    assert preview.vendor_request.headers["If-Match"] == job.version
    done = client.cancel(CONNECTION, "WT1", if_match=job.version)
    assert (done.outcome, done.version) == ("applied", job.version)
    assert client.job(CONNECTION, "WT1").version == '"2"'


def test_a_job_that_has_changed_is_left_alone(client: Client, desk: Running) -> None:
    """The vendor compares the versions: 412, nothing was done, and its own words for its own clients."""
    desk.sandbox.vendor("form-desk").set_status("WT1", "pending")
    with pytest.raises(ProblemError) as changed:
        client.cancel(CONNECTION, "WT1", if_match='"1"')
    assert (changed.value.code, changed.value.status, changed.value.outcome) == ("job-changed", 412, "rejected")
    assert changed.value.vendor is not None
    assert changed.value.vendor.code == "20412"
    own = asked(desk, "WT1", data={"AssignmentStatus": "canceled"}, headers={"If-Match": '"1"'})
    said = {"code": "20412", "message": "The task is in another version"}
    assert (own.status_code, own.json()) == (412, said)
    assert status_of(desk, "WT1") == "pending"
    done = asked(desk, "WT1", data={"AssignmentStatus": "canceled"}, headers={"If-Match": '"2"'})
    assert (done.status_code, done.headers["ETag"]) == (200, '"3"')


def test_any_version_will_do_for_the_vendors_client(desk: Running) -> None:
    """`If-Match: *` is the vendor's to understand."""
    done = asked(desk, "WT1", data={"AssignmentStatus": "canceled"}, headers={"If-Match": "*"})
    assert done.status_code == 200


def test_a_version_that_no_header_field_can_hold_is_refused(desk: Running) -> None:
    """A tab in an entity tag is the client's mistake, not the gateway's, and nothing is sent."""
    refused = asked(desk, "WT1", data={"AssignmentStatus": "canceled"}, headers={"If-Match": '"1\t2"'})
    assert refused.status_code == 422
    assert not arrived(desk)


def test_a_precondition_that_cannot_be_carried_is_refused(client: Client, desk: Running) -> None:
    """An action without a place for the version is not sent with a precondition, whoever asks for it."""
    with pytest.raises(ProblemError) as refused:
        client.close(CONNECTION, "WT2", if_match='"1"')
    assert (refused.value.code, refused.value.status) == ("precondition-not-supported", 422)
    assert [each.pointer for each in refused.value.errors] == ["/header/If-Match"]
    job_id = desk.sandbox.vendor("azure-job-router").create_job("queued")
    crossing = asked(
        desk, job_id, connection="azure-sandbox", data={"AssignmentStatus": "canceled"}, headers={"If-Match": '"1"'}
    )
    assert crossing.status_code == 422
    assert not arrived(desk)
    assert desk.sandbox.vendor("azure-job-router").job(job_id)["status"] == "queued"


@pytest.mark.parametrize("written", ["*", '"1", "2"', "1", '"a b"'])
def test_one_entity_tag_is_a_precondition(desk: Running, written: str) -> None:
    """The unified API takes one entity tag; what it does not take is refused with the way to mend it."""
    url = f"{desk.url}/v1/connections/{CONNECTION}/jobs/WT1/cancel"
    headers = {"Authorization": f"Bearer {desk.api_key}", "If-Match": written}
    refused = requests.post(url, headers=headers, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (422, "precondition-not-supported")
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/header/If-Match"
    assert "send the ETag of the job" in refused.json()["detail"]
    assert not arrived(desk)


def test_a_precondition_belongs_to_the_request(client: Client) -> None:
    """The same key with another precondition is another request."""
    client.cancel(CONNECTION, "WT1", if_match='"1"', idempotency_key="versioned")
    again = client.cancel(CONNECTION, "WT1", if_match='"1"', idempotency_key="versioned")
    assert (again.replayed, again.version) == (True, '"1"')
    with pytest.raises(ProblemError) as reused:
        client.cancel(CONNECTION, "WT1", idempotency_key="versioned")
    assert reused.value.code == "idempotency-key-reused"


# Constants


def test_another_workspace_is_not_reached(desk: Running) -> None:
    """A constant of the path holds for reads and actions: the vendor's own 404, and no call."""
    other = asked(desk, "WT1", method="GET", workspace="WS2")
    assert (other.status_code, other.json()["code"]) == (404, "20404")
    action = asked(desk, "WT1", workspace="WS2", data={"AssignmentStatus": "canceled"})
    assert (action.status_code, action.json()["code"]) == (404, "20404")
    assert not arrived(desk)


# Lists


def test_a_vendor_without_a_list_says_so(client: Client, desk: Running) -> None:
    """Its jobs cannot be listed, in no API, and the matrix tells beforehand."""
    with pytest.raises(ProblemError) as refused:
        list(client.jobs(CONNECTION))
    assert (refused.value.code, refused.value.status) == ("list-not-supported", 422)
    support = {each.read: each.support for each in client.vendor("form-desk").reads}
    assert support == {"getJob": "native", "listJobs": "unsupported"}
    azure = f"{desk.url}/native/azure-job-router/{CONNECTION}/routing/jobs?api-version=2023-11-01"
    bearer = {"Authorization": f"Bearer {desk.api_key}"}
    assert requests.get(azure, headers=bearer, timeout=20).status_code == 422


# Credentials


def test_credentials_are_those_of_the_vendors_document(desk: Running) -> None:
    """Without OAuth, the access key proves who calls in the vendor's own way, and an API key is no bearer token."""
    url = f"{desk.url}/native/form-desk/{CONNECTION}/Workspaces/WS1/Tasks/WT1"
    bearer = requests.get(url, headers={"Authorization": f"Bearer {desk.api_key}"}, timeout=20)
    assert (bearer.status_code, bearer.json()["code"]) == (401, "20003")
    assert "send an access key as account" in bearer.json()["message"]
    assert asked(desk, "WT1", method="GET").status_code == 200
    served = requests.get(f"{desk.url}/native/form-desk/openapi.json", timeout=20).json()
    named = {name for item in served["paths"].values() for each in item["get"]["security"] for name in each}
    assert named == {"account", "scopes"}
