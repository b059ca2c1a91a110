"""The control API: operate the simulated vendors over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urljoin

import flask
from connexion import FlaskApp
from msgspec import structs
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from gateway.domain.encoding import dump
from gateway.domain.errors import (
    Explanation,
    FieldError,
    MalformedRequest,
    UnknownJob,
    UnknownVendor,
    UnsupportedMediaType,
)
from gateway.domain.model import Json
from gateway.edge.exchange import context_of
from gateway.edge.guard import Guard
from gateway.edge.limits import Limits
from gateway.edge.problems import render
from gateway.sandbox.faults import Fault
from gateway.sandbox.refusal import Refusal
from gateway.sandbox.request_log import LogEntry
from gateway.sandbox.settings import IN_JSON, Credentials, VendorSettings
from gateway.sandbox.vendor import VendorSandbox
from gateway.specs.document import pointer

PREFIX = "/control"
JSON = "application/json"

Value = TypeVar("Value")


class Input(BaseModel):
    """The body of a request. Unknown members are refused."""

    model_config = IN_JSON


class JobCreation(Input):
    """A job to be created from the example of its status."""

    status: str
    id: str | None = Field(None, min_length=1)


class JobChange(Input):
    """The new status of a job."""

    status: str


class Advance(Input):
    """A system transition of a job to the status `to`, or the first documented one without `to`."""

    to: str | None = None


class TokenRequest(Input):
    """A token to be issued: its scopes, separated by spaces, and its lifetime in seconds."""

    scope: str | None = None
    seconds: int | None = Field(None, ge=1, le=31_536_000)


_FAULT = TypeAdapter(Fault)
_SETTINGS = TypeAdapter(VendorSettings)
_CREDENTIALS = TypeAdapter(Credentials)


def _jobs(vendor: VendorSandbox) -> Json:
    return {"items": vendor.jobs()}


def _create_job(vendor: VendorSandbox) -> Json:
    wanted = _body(TypeAdapter(JobCreation))
    return vendor.job(vendor.create_job(wanted.status, wanted.id))


def _job(vendor: VendorSandbox, job_id: str) -> Json:
    return vendor.job(job_id)


def _set_status(vendor: VendorSandbox, job_id: str) -> Json:
    return vendor.set_status(job_id, _body(TypeAdapter(JobChange)).status)


def _advance(vendor: VendorSandbox, job_id: str) -> Json:
    return vendor.advance(job_id, _body(TypeAdapter(Advance)).to)


def _faults(vendor: VendorSandbox) -> Json:
    return {"items": [_json(_FAULT, fault) for fault in vendor.scripted()]}


def _script(vendor: VendorSandbox) -> Json:
    fault = _body(_FAULT)
    vendor.script(fault)
    return _json(_FAULT, fault)


def _clear_faults(vendor: VendorSandbox) -> None:
    vendor.clear_faults()


def _settings(vendor: VendorSandbox) -> Json:
    return _json(_SETTINGS, vendor.settings)


def _change_settings(vendor: VendorSandbox) -> Json:
    present: Any = _json(_SETTINGS, vendor.settings)
    changed = _body(TypeAdapter(dict[str, Any]))
    vendor.configure(**vars(_checked(_SETTINGS, dump(present | changed))))
    return _settings(vendor)


def _log(vendor: VendorSandbox) -> Json:
    after = flask.request.args.get("after", "0")
    if not (after.isascii() and after.isdigit()):
        raise ValueError("`after` is the sequence number of a log entry.")
    return {"items": [_entry(each) for each in vendor.log(int(after))]}


def _reset(vendor: VendorSandbox) -> None:
    vendor.reset()


def _issue_token(vendor: VendorSandbox) -> Json:
    wanted = _body(TypeAdapter(TokenRequest))
    scopes = None if wanted.scope is None else frozenset(wanted.scope.split())
    return vendor.issue_token(scopes, wanted.seconds).body()


def _credentials(vendor: VendorSandbox) -> Json:
    credentials: Any = _json(_CREDENTIALS, vendor.credentials)
    return {**credentials, "tokenUrl": _url(vendor.token_endpoint), "scopes": sorted(vendor.scopes)}


View = Callable[..., Json]
"""Carries out a request for one vendor, and returns the body of the answer; None for an answer without one."""

VIEWS: Mapping[str, Mapping[str, View]] = {
    "jobs": {"GET": _jobs, "POST": _create_job},
    "jobs/<job_id>": {"GET": _job, "PUT": _set_status},
    "jobs/<job_id>/advance": {"POST": _advance},
    "faults": {"GET": _faults, "POST": _script, "DELETE": _clear_faults},
    "settings": {"GET": _settings, "PATCH": _change_settings},
    "log": {"GET": _log},
    "reset": {"POST": _reset},
    "tokens": {"POST": _issue_token},
    "credentials": {"GET": _credentials},
}
"""The view for each path below the vendor's name, and for each method."""


def control(vendors: Mapping[str, VendorSandbox]) -> Guard:
    """The control API for these vendors, as an ASGI application."""
    app = FlaskApp(__name__, middlewares=[])
    _route(app, "vendors", {"GET": partial(_vendors, vendors)})
    for rule, methods in VIEWS.items():
        views = {method: partial(_of_vendor, vendors, view) for method, view in methods.items()}
        _route(app, f"<vendor>/{rule}", views)
    addresses = app.app.url_map.bind("")
    return Guard(app, Limits(), render, lambda path: tuple(sorted(addresses.allowed_methods(path))))


def _route(app: FlaskApp, rule: str, views: Mapping[str, View]) -> None:
    for method, view in views.items():
        app.add_url_rule(
            f"{PREFIX}/{rule}",
            f"{method} {rule}",
            partial(_answer, view),
            methods=[method],
            provide_automatic_options=False,
        )


def _answer(view: View, **values: str) -> flask.Response:
    """Call a view. Its refusals become problems of the catalogue, which the guard renders."""
    try:
        body = view(**values)
    except Refusal as refusal:
        raise UnknownJob("The sandbox has no job with this id.") from refusal
    except ValueError as error:
        raise MalformedRequest(str(error)) from error
    return flask.Response(status=204) if body is None else flask.Response(dump(body), mimetype=JSON)


def _of_vendor(vendors: Mapping[str, VendorSandbox], view: View, vendor: str, **values: str) -> Json:
    if vendor not in vendors:
        raise UnknownVendor(f"The sandbox has {', '.join(vendors)}.")
    return view(vendors[vendor], **values)


def _vendors(vendors: Mapping[str, VendorSandbox]) -> Json:
    return {"items": [_vendor(each) for each in vendors.values()]}


def _vendor(vendor: VendorSandbox) -> Json:
    return {
        "name": vendor.specification.name,
        "endpoint": _url(vendor.endpoint),
        "tokenUrl": _url(vendor.token_endpoint),
        "statuses": list(vendor.specification.clear_statuses),
        "actions": list(vendor.specification.actions),
    }


def _url(path: str | None) -> str | None:
    return None if path is None else urljoin(flask.request.host_url, path)


def _entry(entry: LogEntry) -> Json:
    members: dict[str, Any] = asdict(entry) | {"at": entry.at.isoformat()}
    if entry.job_action is not None:
        members["job_action"] = _camel(structs.asdict(entry.job_action))
    return _camel(members)


def _camel(members: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(name): each for name, each in members.items()}


def _body(adapter: TypeAdapter[Value]) -> Value:
    """The request's body; an absent one counts as an empty object.

    Raises MalformedRequest if it is not valid, UnsupportedMediaType if it is not JSON.
    """
    context = context_of(flask.request.environ["asgi.scope"])
    if context.media_type not in {None, JSON}:
        raise UnsupportedMediaType("The control API takes JSON.")
    return _checked(adapter, context.content or b"{}")


def _checked(adapter: TypeAdapter[Value], content: bytes) -> Value:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        found = tuple(
            FieldError(pointer("body", *each["loc"]), each["msg"])
            for each in error.errors(include_input=False, include_url=False)
        )
        listed = "; ".join(f"{each.pointer} {each.detail}" for each in found)
        raise MalformedRequest(f"The body is not valid: {listed}.", Explanation(found)) from error


def _json(adapter: TypeAdapter[Value], value: Value) -> Json:
    """A value of the sandbox's own types as JSON."""
    written: Json = adapter.dump_python(value, by_alias=True, mode="json")
    return written
