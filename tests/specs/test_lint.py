"""The lint finds each broken promise where it is broken, and nothing in documents that keep them."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.specs import lint
from gateway.specs.document import SPECIFICATIONS, pointer, pointer_keys
from gateway.specs.lint import (
    findings,
    parts,
    promises,
    reading,
    shape,
    vendor_bodies,
    vendor_jobs,
    vendor_lists,
    vendor_promises,
    vendor_security,
    vendor_values,
)

OUR_DOCUMENTS = sorted(SPECIFICATIONS.rglob("*.yaml"))

PLAIN = """
openapi: 3.0.3
info: {title: Things, version: "1"}
security: [{key: []}]
paths:
  /livez:
    get:
      operationId: livez
      security: []
      responses:
        default: {$ref: "#/components/responses/Error"}
  /things/{id}:
    x-note: {type: string}
    parameters:
      - name: id
        in: path
        required: true
        schema: {$ref: "#/components/schemas/Id"}
        example: 0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e01
    put:
      operationId: putThing
      parameters:
        - {name: amount, in: query, schema: {type: integer, minimum: 0, maximum: 9, default: 1}}
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Thing"}
            examples:
              thing: {$ref: "#/components/examples/thing"}
      responses:
        "200":
          description: Done.
          headers:
            Age: {schema: {type: number, minimum: 0, maximum: 1}}
          content:
            application/json:
              schema: {type: array, maxItems: 9, items: {$ref: "#/components/schemas/Thing"}}
              example: [{name: a}]
        default: {$ref: "#/components/responses/Error"}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: Key}
  responses:
    Error:
      description: An error.
      content:
        text/plain: {schema: {type: string, maxLength: 9}}
  schemas:
    Id: {type: string, format: uuid, example: 0b7c51f0-9d6e-4c52-8d53-5d2f3c1a7e01, x-more: {type: string}}
    Thing:
      type: object
      properties:
        name: {type: string, maxLength: 9}
        type: {type: string, enum: [a, b]}
        enum: {type: string, format: date}
        example: {type: array, maxItems: 9, items: {type: boolean}}
        default: {allOf: [{type: integer, enum: [1]}]}
        x-name: {type: string, format: date-time, nullable: true, default: null}
  examples:
    thing: {value: {name: a, example: [true]}}
"""

VENDOR = """
openapi: 3.0.3
info: {title: Small vendor, version: "1"}
security: [{token: []}]
x-job-vendor:
  name: small-vendor
  request:
    header.api-version: {const: "1"}
  reply: {header.request-id: reply.requestId}
  job:
    body.id: job.id
    body.state.name: {from: job.vendorStatus, default: Waiting}
  statuses:
    Waiting: {status: queued, shows: [queued, pending]}
    Held: {status: paused}
    Gone: {status: cancelled, final: true}
  transitions:
    - {from: Held, to: Waiting}
  errors:
    envelopes:
      plain: {body.message: error.message}
    meanings:
      unknown-job: [{status: 404, message: No such job.}]
      wrong-state: [{status: 409, message: Not now., envelope: plain}]
      invalid-request: [{status: 400, message: Not understood.}]
      unauthenticated: [{status: 401, message: Not known.}]
      throttled: [{status: 429, message: Not so fast.}]
paths:
  /jobs:
    parameters:
      - {$ref: "#/components/parameters/version"}
    get:
      operationId: listJobs
      parameters:
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 9}}
        - {name: after, in: query, schema: {type: string, maxLength: 9}}
      x-job-read:
        kind: list
        request: {query.limit: page.limit, query.after: page.cursor}
        selectors: {open: [Waiting, Held]}
        items: body.page.jobs
        next: body.next
      responses:
        "200":
          description: A page of jobs.
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Page"}
              example:
                page: {jobs: [{id: a, state: {name: Waiting}}, {id: b, state: {name: Held}}]}
        default: {$ref: "#/components/responses/Error"}
  /jobs/{id}:
    parameters:
      - {$ref: "#/components/parameters/version"}
      - {$ref: "#/components/parameters/id"}
    get:
      operationId: getJob
      x-job-read:
        kind: one
        request: {path.id: job.id}
      responses:
        "200": {$ref: "#/components/responses/Job"}
        default: {$ref: "#/components/responses/Error"}
    delete:
      operationId: closeJob
      parameters:
        - {name: at, in: query, schema: {type: string, format: date-time}}
        - {name: part, in: query, required: true, schema: {type: string, maxLength: 9}}
      x-job-action:
        - action: close
          effect: once
          from: [Held]
          to: Gone
          deferredBy: closeAt
          find: {assignmentId: parts}
          confirm: getJob
          request:
            path.id: job.id
            query.at: parameters.closeAt
            query.part: parameters.assignmentId
      responses:
        default: {$ref: "#/components/responses/Error"}
    post:
      operationId: changeJob
      parameters:
        - {name: again, in: query, schema: {type: boolean}}
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Change"}
      x-job-action:
        - action: cancel
          effect: once
          from: [Waiting, Held]
          to: Gone
          confirm: getJob
          request:
            path.id: job.id
            body.why.text: {from: parameters.note, map: {a: b, c: d}}
        - action: restart
          effect: once
          from: [Held]
          to: Waiting
          confirm: listJobs
          request: {path.id: job.id, query.again: {const: true}}
      responses:
        default: {$ref: "#/components/responses/Error"}
components:
  securitySchemes:
    token: {type: http, scheme: bearer}
  parameters:
    version:
      {name: Api-Version, in: header, required: true, schema: {type: string, maxLength: 9}}
    id: {name: id, in: path, required: true, schema: {type: string, maxLength: 9}}
  responses:
    Job:
      description: A job.
      content:
        application/json:
          schema: {$ref: "#/components/schemas/Job"}
          examples:
            gone: {$ref: "#/components/examples/gone"}
    Error:
      description: An error.
      content:
        application/json:
          schema: {type: object, properties: {message: {type: string, maxLength: 9}}}
          example: {id: not-a-job}
  schemas:
    Change:
      allOf:
        - type: object
          properties:
            why: {type: object, properties: {text: {type: string, maxLength: 9}}}
    Job:
      type: object
      properties:
        id: {type: string, maxLength: 9}
        state: {type: object, properties: {name: {type: string, maxLength: 9}}}
    Page:
      type: object
      properties:
        next: {type: string, maxLength: 9}
        page:
          type: object
          properties:
            jobs: {type: array, maxItems: 9, items: {$ref: "#/components/schemas/Job"}}
  examples:
    gone: {value: {id: c, state: {name: Gone}}}
"""

PHONE = (Path(__file__).parents[1] / "newvendor/phone_desk.yaml").read_text()
"""A document with derived statuses, a job inside the reply, and rows that differ."""

PUT = "/paths/~1things~1{id}/put"
THING = "/components/schemas/Thing/properties"
EXTENSION = "/x-job-vendor"
WAITING_SHOWS = f"{EXTENSION}/statuses/Waiting/shows"
LIST = "/paths/~1jobs/get"
READ = f"{LIST}/x-job-read"
GET = "/paths/~1jobs~1{id}/get"
CLOSE = "/paths/~1jobs~1{id}/delete/x-job-action/0"
CHANGE = "/paths/~1jobs~1{id}/post"
CANCEL = f"{CHANGE}/x-job-action/0"
RESTART = f"{CHANGE}/x-job-action/1"
BODY = f"{CHANGE}/requestBody/content"
OF_CHANGE = {"$ref": "#/components/schemas/Change"}
TEXTS = {"type": "array", "maxItems": 9, "items": {"type": "string", "maxLength": 9}}
GONE = "/components/examples/gone/value"
PAGE = f"{LIST}/responses/200/content/application~1json/example"

ACCOUNTS = (Path(__file__).parents[1] / "newvendor" / "account_desk.yaml").read_text("utf-8")
"""The document of a vendor with values of accounts and every operator."""
VALUES = f"{EXTENSION}/connection"
LIST_ACCOUNTS = "/paths/~1{Workspace}~1tickets/get"
STOP = "/paths/~1tickets~1{Id}~1stop/post/x-job-action/0/request"
FINISH = "/paths/~1tickets~1{Id}~1finish/post/x-job-action/0/request"
CODES = f"{EXTENSION}/errors/meanings"
RULES = f"{EXTENSION}/derivedStatus"
ROWS = "/paths/~1contacts/get"
ROW_RULES = f"{ROWS}/x-job-read/derivedStatus"
ROW = f"{ROWS}/responses/200/content/application~1json/examples/contacts/value/Contacts"
CONTACT = "/paths/~1contacts~1{ContactId}/get"
CONTACTS = f"{CONTACT}/responses/200/content/application~1json/examples"

REMOVED = object()
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@dataclass(frozen=True)
class Break:
    """One promise broken: at `at` of a valid document stands `value`, and `rule` finds it at `found`."""

    rule: findings.Rule
    document: str
    at: str
    value: Any
    found: tuple[str, ...]

    def __str__(self) -> str:
        """The name of the case."""
        return f"{self.rule.__name__} {self.at}"


class Pairs(list[tuple[str, Any]]):
    """A YAML mapping that can have a name twice."""


yaml.SafeDumper.add_representer(Pairs, lambda dumper, pairs: dumper.represent_mapping("tag:yaml.org,2002:map", pairs))


def plain(rule: findings.Rule, at: str, value: Any, *found: str) -> Break:
    """Break the plain document; it is found where it is broken, unless `found` says otherwise."""
    return Break(rule, PLAIN, at, value, found or (at,))


def vendors(rule: findings.Rule, at: str, value: Any, *found: str) -> Break:
    """Break the vendor's document."""
    return Break(rule, VENDOR, at, value, found or (at,))


def accounts(rule: findings.Rule, at: str, value: Any, *found: str) -> Break:
    """Break the document of the vendor with accounts."""
    return Break(rule, ACCOUNTS, at, value, found or (at,))


def phone(rule: findings.Rule, at: str, value: Any, *found: str) -> Break:
    """Break the phone desk's document."""
    return Break(rule, PHONE, at, value, found or (at,))


SCHEMES = "/components/securitySchemes"
SIGNED = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "x-job-signature": {"algorithm": "AWS4-HMAC-SHA256", "service": "things", "region": "connection.zone"},
}
"""A scheme whose region is a value that connections do not have."""


def text() -> dict[str, Any]:
    """The schema of a string that has no end."""
    return {"type": "string"}


BREAKS = [
    plain(reading.endless_nesting, "/x-endless", ENDLESS, ""),
    plain(reading.repeated_names, "/x-pairs", Pairs([("a", 1), ("b", 2), ("a", 1)]), "/x-pairs/a"),
    plain(reading.repeated_names, "/x-pairs", [{"in": Pairs([("a/~b", {}), ("a/~b", [])])}], "/x-pairs/0/in/a~1~0b"),
    plain(reading.values_unknown_to_json, "/info/description", date(2026, 1, 5)),
    plain(reading.values_unknown_to_json, "/info/description", math.inf),
    plain(reading.values_unknown_to_json, "/x-numbers", {200: "OK"}, "/x-numbers/200"),
    plain(reading.other_versions, "/openapi", "3.1.0"),
    plain(reading.other_versions, "/openapi", 3.0),
    plain(reading.other_versions, "/openapi", REMOVED),
    plain(reading.template_markers, "/info/title", "{{ 7 * 7 }}"),
    plain(reading.template_markers, f"{PUT}/summary", "{% include x %}"),
    plain(reading.template_markers, "/x-note", [{"{# a #}": 1}], "/x-note/0/{# a #}"),
    plain(reading.references_to_other_documents, f"{THING}/name", {"$ref": "x.yaml#/a"}, f"{THING}/name/$ref"),
    plain(reading.references_to_other_documents, "/x-note", {"$ref": "#"}, "/x-note/$ref"),
    plain(reading.references_to_nothing, f"{THING}/name/$ref", "#/components/schemas/No"),
    plain(reading.references_to_nothing, "/x-note", {"$ref": "#/openapi/no"}, "/x-note/$ref"),
    plain(reading.references_to_nothing, "/x-note", {"$ref": "#/x-note"}, "/x-note/$ref"),
    plain(reading.members_beside_references, f"{PUT}/responses/default/description", "An error."),
    plain(shape.breaches_of_openapi, f"{THING}/name/maxLength", "x"),
    plain(shape.breaches_of_openapi, f"{PUT}/parameters/0/schema", REMOVED),
    plain(shape.breaches_of_openapi, f"{PUT}/consumes", [], PUT),
    plain(shape.breaches_of_openapi, "/paths", REMOVED),
    plain(
        shape.references_to_another_kind,
        f"{THING}/name",
        {"$ref": "#/components/schemas/Thing/properties/type"},
        f"{THING}/name/$ref",
    ),
    plain(
        shape.references_to_path_items,
        "/paths/~1other",
        {"$ref": "#/paths/~1livez"},
        "/paths/~1other/$ref",
    ),
    plain(shape.breaches_of_the_specification, "/paths/~1things~1{id}/parameters", REMOVED, ""),
    plain(shape.breaches_of_the_specification, "/tags", [{"name": "a"}, {"name": "a", "description": "b"}], ""),
    plain(promises.operations_without_id, f"{PUT}/operationId", REMOVED, PUT),
    plain(
        promises.repeated_operation_ids,
        f"{PUT}/operationId",
        "livez",
        "/paths/~1livez/get/operationId",
        f"{PUT}/operationId",
    ),
    plain(promises.unbounded_schemas, f"{THING}/name/maxLength", REMOVED, f"{THING}/name"),
    plain(promises.unbounded_schemas, f"{THING}/type/enum", REMOVED, f"{THING}/type"),
    plain(promises.unbounded_schemas, f"{THING}/enum/format", "email", f"{THING}/enum"),
    plain(promises.unbounded_schemas, f"{THING}/example/maxItems", REMOVED, f"{THING}/example"),
    plain(promises.unbounded_schemas, f"{THING}/x-name/format", REMOVED, f"{THING}/x-name"),
    plain(
        promises.unbounded_schemas,
        f"{THING}/default/allOf/0/enum",
        REMOVED,
        f"{THING}/default/allOf/0",
    ),
    plain(
        promises.unbounded_schemas,
        f"{PUT}/parameters/0/schema/minimum",
        REMOVED,
        f"{PUT}/parameters/0/schema",
    ),
    plain(
        promises.unbounded_schemas,
        f"{PUT}/responses/200/headers/Age/schema/maximum",
        REMOVED,
        f"{PUT}/responses/200/headers/Age/schema",
    ),
    plain(
        promises.unbounded_schemas,
        f"{PUT}/responses/200/content/application~1json/schema/maxItems",
        REMOVED,
        f"{PUT}/responses/200/content/application~1json/schema",
    ),
    plain(promises.operations_without_error, f"{PUT}/responses/default", REMOVED, f"{PUT}/responses"),
    plain(
        promises.operations_without_error,
        "/components/responses/Error/content",
        REMOVED,
        "/paths/~1livez/get/responses",
        f"{PUT}/responses",
    ),
    plain(promises.operations_open_to_anybody, "/security", REMOVED, PUT),
    plain(promises.operations_open_to_anybody, f"{PUT}/security", [], PUT),
    plain(promises.operations_open_to_anybody, f"{PUT}/security", [{"key": []}, {}], PUT),
    plain(promises.unknown_security_schemes, f"{PUT}/security", [{"kee": []}], f"{PUT}/security/0/kee"),
    plain(promises.unknown_security_schemes, "/security/0/kee", [], "/security/0/kee"),
    plain(promises.schemas_that_do_not_compile, f"{THING}/name/pattern", r"[\b]"),
    plain(promises.examples_that_do_not_fit, "/paths/~1things~1{id}/parameters/0/example", 1),
    plain(promises.examples_that_do_not_fit, "/components/examples/thing/value/name", 1),
    plain(promises.examples_that_do_not_fit, f"{PUT}/responses/200/content/application~1json/example/0/type", "c"),
    plain(promises.examples_that_do_not_fit, f"{PUT}/responses/200/headers/Age/example", 2),
    plain(promises.examples_that_do_not_fit, f"{PUT}/parameters/0/examples/x/value", 10),
    plain(promises.examples_that_do_not_fit, "/components/schemas/Id/example", "a"),
    plain(promises.examples_that_do_not_fit, f"{PUT}/parameters/0/schema/default", 10),
    vendors(shape.breaches_of_our_extensions, f"{EXTENSION}/name", REMOVED),
    vendors(shape.breaches_of_our_extensions, f"{EXTENSION}", REMOVED),
    vendors(
        shape.breaches_of_our_extensions,
        f"{CANCEL}/request/path.id",
        {"const": None},
        f"{CANCEL}/request/path.id/const",
    ),
    vendors(shape.breaches_of_our_extensions, f"{LIST}/x-job-read/kind", "none"),
    vendors(shape.breaches_of_our_extensions, f"{LIST}/x-job-read/items", REMOVED),
    vendors(vendor_jobs.jobs_that_tell_too_little, f"{EXTENSION}/job/body.id", REMOVED, f"{EXTENSION}/job"),
    vendors(
        vendor_jobs.jobs_that_tell_too_little,
        f"{EXTENSION}/job/body.state.name",
        {"const": "job.vendorStatus"},
        f"{EXTENSION}/job",
    ),
    vendors(vendor_promises.statuses_of_no_meaning, f"{EXTENSION}/statuses/Held/status", "held"),
    vendors(vendor_promises.statuses_shown_twice, f"{EXTENSION}/statuses/Waiting/shows/1", "held", WAITING_SHOWS),
    vendors(
        vendor_promises.statuses_shown_twice,
        f"{EXTENSION}/statuses/Held/shows",
        ["pending"],
        WAITING_SHOWS,
        f"{EXTENSION}/statuses/Held/shows",
    ),
    vendors(vendor_promises.undocumented_statuses, f"{CANCEL}/from/1", "Lost"),
    vendors(vendor_promises.undocumented_statuses, f"{LIST}/x-job-read/selectors/open/1", "Lost"),
    vendors(vendor_promises.undocumented_statuses, f"{CANCEL}/to", "Lost"),
    vendors(vendor_promises.undocumented_statuses, f"{EXTENSION}/transitions/0/from", "Lost"),
    vendors(vendor_promises.undocumented_statuses, f"{EXTENSION}/transitions/0/to", "Lost"),
    vendors(vendor_promises.ways_out_of_final_statuses, f"{CANCEL}/from/1", "Gone"),
    vendors(vendor_promises.ways_out_of_final_statuses, f"{EXTENSION}/transitions/0/from", "Gone"),
    vendors(vendor_promises.confirmations_that_read_nothing, f"{CANCEL}/confirm", "closeJob"),
    vendors(vendor_promises.confirmations_that_read_nothing, f"{CANCEL}/confirm", "lostJob"),
    vendors(
        vendor_promises.finders_that_read_nothing,
        f"{CLOSE}/find/assignmentId",
        {"by": "parts", "read": "getJob"},
        f"{CLOSE}/find/assignmentId/read",
    ),
    vendors(
        vendor_promises.parts_of_other_values,
        f"{GET}/x-job-read",
        {"kind": "part", "request": {"path.id": "page.limit", "query.a": {"const": 1}, "query.b": "connection.region"}},
        f"{GET}/x-job-read/request/path.id",
    ),
    vendors(vendor_promises.versions_outside_headers, f"{CANCEL}/request/body.why.text", "job.version"),
    vendors(
        vendor_promises.versions_that_no_read_shows,
        f"{CANCEL}/request/header.If-Match",
        "job.version",
        f"{CANCEL}/request",
    ),
    vendors(vendor_promises.results_that_are_not_the_job, f"{CANCEL}/result", "job"),
    vendors(vendor_promises.deletions_that_end_no_job, f"{CANCEL}/result", "gone"),
    vendors(
        vendor_promises.deletions_that_end_no_job, f"{RESTART}/result", "gone", f"{RESTART}/result", f"{RESTART}/to"
    ),
    vendors(
        vendor_promises.deletions_that_end_no_job,
        f"{CLOSE}/result",
        "gone",
        f"{CLOSE}/result",
        f"{CLOSE}/deferredBy",
    ),
    vendors(vendor_promises.unknown_places_in_requests, f"{CANCEL}/request/path.no", "job.id"),
    vendors(vendor_promises.unknown_places_in_requests, f"{CANCEL}/request/query.id", "job.id"),
    vendors(vendor_promises.unknown_places_in_requests, f"{CANCEL}/request/header.no", "job.id"),
    vendors(vendor_promises.unknown_places_in_requests, f"{CANCEL}/request/body.why.no", "job.id"),
    vendors(vendor_promises.unknown_places_in_requests, f"{CLOSE}/request/body.why", "job.id"),
    vendors(vendor_promises.unknown_places_in_requests, f"{LIST}/x-job-read/request/query.no", "page.limit"),
    vendors(vendor_promises.unknown_places_in_every_request, f"{EXTENSION}/request/path.id", "job.id"),
    vendors(vendor_promises.unknown_places_in_every_request, f"{EXTENSION}/request/body.why", "job.id"),
    vendors(vendor_bodies.bodies_of_other_media_types, f"{BODY}/text~1xml", {"schema": OF_CHANGE}),
    vendors(vendor_bodies.bodies_of_other_media_types, f"{BODY}/multipart~1form-data", {"schema": OF_CHANGE}),
    vendors(
        vendor_bodies.replies_of_other_media_types,
        "/components/responses/Job/content/text~1xml",
        {"schema": {"type": "object"}},
    ),
    vendors(
        vendor_bodies.bodies_of_several_schemas,
        f"{BODY}/application~1x+json",
        {"schema": {"type": "object"}},
        f"{BODY}/application~1x+json/schema",
    ),
    vendors(
        vendor_bodies.forms_with_members_in_members,
        f"{BODY}/application~1x-www-form-urlencoded",
        {"schema": OF_CHANGE},
        "/components/schemas/Change",
    ),
    vendors(
        vendor_bodies.forms_with_members_in_members,
        f"{BODY}/application~1x-www-form-urlencoded",
        {"schema": {"properties": {"a": {"type": "array", "items": {"type": "array"}}, "b": {}, "c": TEXTS}}},
        f"{BODY}/application~1x-www-form-urlencoded/schema/properties/a",
        f"{BODY}/application~1x-www-form-urlencoded/schema/properties/b",
    ),
    vendors(
        vendor_promises.replies_that_show_no_job,
        f"{CHANGE}/responses/200",
        {"description": "Done.", "content": {"application/json": {"schema": {"required": ["receipt"]}}}},
        f"{CHANGE}/responses/200/content/application~1json/schema",
    ),
    vendors(vendor_promises.parameters_left_empty, f"{CANCEL}/request/path.id", REMOVED, f"{CANCEL}/request"),
    vendors(
        vendor_promises.parameters_left_empty,
        "/components/schemas/Change/required",
        ["what"],
        f"{CANCEL}/request",
    ),
    vendors(
        vendor_promises.parameters_left_empty,
        f"{CHANGE}/requestBody",
        {"required": True, "content": {"application/json": {"schema": {"required": ["what"]}}}},
        f"{CANCEL}/request",
        f"{CHANGE}/x-job-action/1/request",
    ),
    vendors(
        vendor_promises.parameters_left_empty, f"{GET}/x-job-read/request/path.id", REMOVED, f"{GET}/x-job-read/request"
    ),
    vendors(
        vendor_promises.parameters_left_empty,
        f"{EXTENSION}/request",
        REMOVED,
        f"{LIST}/x-job-read/request",
        f"{GET}/x-job-read/request",
        f"{CLOSE}/request",
        f"{CANCEL}/request",
        f"{CHANGE}/x-job-action/1/request",
    ),
    vendors(
        vendor_promises.parameters_left_empty,
        "/components/schemas/Change/allOf/0/properties/why/required",
        ["text", "kind"],
        f"{CANCEL}/request",
    ),
    vendors(vendor_lists.lists_that_do_not_go_on_in_one_way, f"{READ}/next", REMOVED, READ),
    vendors(vendor_lists.lists_that_do_not_go_on_in_one_way, f"{READ}/token", "body.token", READ),
    vendors(vendor_lists.lists_that_do_not_go_on_in_one_way, f"{READ}/request/query.number", "page.number", READ),
    vendors(vendor_lists.members_without_the_other, f"{READ}/pages", "body.pages"),
    vendors(
        vendor_lists.members_without_the_other,
        READ,
        {"kind": "list", "request": {}, "items": "body.page.jobs", "links": ["body.first"]},
        f"{READ}/links",
    ),
    vendors(vendor_lists.pages_that_no_request_asks_for, f"{READ}/request/query.after", REMOVED, f"{READ}/request"),
    vendors(vendor_lists.pages_that_no_request_asks_for, f"{READ}/request/body.after", "page.cursor"),
    vendors(vendor_lists.pages_that_no_request_asks_for, f"{READ}/next", REMOVED, f"{READ}/request/query.after"),
    vendors(
        vendor_lists.pages_that_no_request_asks_for,
        READ,
        {"kind": "list", "request": {"path.x": "page.cursor"}, "items": "body.page.jobs", "token": "body.token"},
        f"{READ}/request/path.x",
    ),
    vendors(vendor_lists.windows_that_do_not_fit, f"{READ}/window", {"days": 3}, f"{READ}/request"),
    vendors(vendor_lists.members_that_nothing_fills, "/components/schemas/Page/required", ["page", "kind"], READ),
    vendors(vendor_promises.envelopes_of_no_reply, f"{EXTENSION}/errors/envelopes/plain/body.why", "error.code"),
    vendors(vendor_promises.envelopes_of_no_reply, f"{EXTENSION}/errors/envelopes/plain/body.0.code", "error.code"),
    vendors(vendor_lists.windows_that_do_not_fit, f"{READ}/request/query.from", "window.start", f"{READ}/request"),
    vendors(
        vendor_lists.windows_that_do_not_fit,
        READ,
        {
            "kind": "list",
            "request": {"query.from": "window.start", "query.range": "window.interval"},
            "items": "body.page.jobs",
            "window": {"days": 3},
        },
        f"{READ}/request",
    ),
    vendors(vendor_lists.windows_that_do_not_fit, f"{CANCEL}/request/query.from", "window.start", f"{CANCEL}/request"),
    accounts(vendor_values.undeclared_values, f"{EXTENSION}/job/body.Workspace", "connection.workspce"),
    accounts(vendor_values.undeclared_values, f"{STOP}/query.Workspace", {"from": "connection.no", "default": "a"}),
    accounts(
        vendor_values.undeclared_values, f"{STOP}/query.Workspace", {"from": "job.id", "default": "connection.no"}
    ),
    accounts(vendor_values.values_that_nothing_uses, f"{VALUES}/zone", {"description": "A zone.", "example": "a"}),
    accounts(
        vendor_values.values_that_nothing_uses, "/servers/0/url", "https://accounts.example/v1", f"{VALUES}/region"
    ),
    accounts(vendor_values.values_that_do_not_fit, f"{VALUES}/workspace/example", "SW1"),
    accounts(vendor_values.values_that_do_not_fit, f"{VALUES}/region/default", "asia"),
    accounts(
        vendor_values.values_that_do_not_fit,
        "/components/parameters/workspace/schema/maxLength",
        2,
        f"{VALUES}/workspace/example",
    ),
    accounts(vendor_values.hosts_without_pattern, f"{VALUES}/region/pattern", REMOVED, f"{VALUES}/region"),
    accounts(
        vendor_values.constants_outside_bodies,
        f"{STOP}/query.Workspace",
        {"const": ["WS1"]},
        f"{STOP}/query.Workspace/const",
    ),
    accounts(
        vendor_values.times_where_no_number_fits,
        f"{FINISH}/body.Note",
        {"from": "parameters.note", "as": "epoch-seconds"},
        f"{FINISH}/body.Note/as",
    ),
    accounts(
        vendor_values.whole_numbers_for_times_with_fractions,
        f"{LIST_ACCOUNTS}/x-job-read/request/query.Page",
        {"from": "window.start", "as": "epoch-seconds"},
        f"{LIST_ACCOUNTS}/x-job-read/request/query.Page/as",
    ),
    accounts(
        vendor_values.operators_that_exclude_each_other,
        f"{EXTENSION}/job/body.Created/until",
        ".",
        f"{EXTENSION}/job/body.Created",
    ),
    accounts(
        vendor_values.requests_that_are_cut,
        f"{FINISH}/body.Note",
        {"from": "parameters.note", "until": ":"},
        f"{FINISH}/body.Note/until",
    ),
    accounts(
        vendor_values.arrays_of_other_styles, f"{LIST_ACCOUNTS}/parameters/2/style", "pipeDelimited", LIST_ACCOUNTS
    ),
    accounts(vendor_values.codes_of_two_types, f"{CODES}/throttled/0/code", "20429"),
    vendors(vendor_promises.client_requests_outside_headers, f"{EXTENSION}/clientRequest", "query.id"),
    vendors(
        vendor_promises.maps_with_two_ways_back,
        f"{CANCEL}/request/body.why.text/map/c",
        "b",
        f"{CANCEL}/request/body.why.text/map",
    ),
    vendors(
        vendor_promises.maps_with_two_ways_back,
        f"{EXTENSION}/job/body.kind",
        {"from": "job.kind", "map": {"a": "b", "c": "b"}},
        f"{EXTENSION}/job/body.kind/map",
    ),
    vendors(
        vendor_promises.maps_with_two_ways_back,
        f"{EXTENSION}/errors/envelopes/plain/body.code",
        {"from": "error.code", "map": {"a": "b", "c": "b"}},
        f"{EXTENSION}/errors/envelopes/plain/body.code/map",
    ),
    vendors(vendor_promises.parameters_that_no_request_carries, f"{CLOSE}/deferredBy", "note"),
    vendors(vendor_promises.parameters_that_no_request_carries, f"{CLOSE}/find/note", "parts"),
    vendors(vendor_promises.parameters_that_nobody_gives, f"{CANCEL}/request/body.why.text", "parameters.medium"),
    vendors(vendor_promises.deferred_from_several_statuses, f"{CLOSE}/from", ["Waiting", "Held"]),
    vendors(vendor_promises.assumptions_about_nothing, f"{CLOSE}/assumed", ["Gone"], f"{CLOSE}/assumed/0"),
    vendors(vendor_promises.unknown_actions, f"{CANCEL}/action", "explode"),
    vendors(vendor_promises.repeated_actions, f"{CANCEL}/action", "close", f"{CLOSE}/action", f"{CANCEL}/action"),
    vendors(
        vendor_promises.actions_with_the_same_request, f"{RESTART}/request/query.again", REMOVED, f"{RESTART}/from"
    ),
    vendors(vendor_promises.unknown_envelopes, f"{EXTENSION}/errors/meanings/wrong-state/0/envelope", "no"),
    vendors(
        vendor_jobs.statuses_without_one_example,
        "/components/responses/Job/content/application~1json/examples",
        REMOVED,
        f"{EXTENSION}/statuses/Gone",
    ),
    vendors(
        vendor_jobs.statuses_without_one_example,
        f"{GONE}/state/name",
        "Held",
        f"{EXTENSION}/statuses/Gone",
        f"{EXTENSION}/statuses/Held",
    ),
    vendors(
        vendor_jobs.statuses_without_one_example,
        f"{PAGE}/page",
        REMOVED,
        f"{EXTENSION}/statuses/Held",
        f"{EXTENSION}/statuses/Waiting",
    ),
    vendors(vendor_jobs.examples_in_undocumented_statuses, f"{GONE}/state/name", "Lost", GONE),
    vendors(vendor_jobs.examples_in_undocumented_statuses, f"{PAGE}/page/jobs/1/state", REMOVED, f"{PAGE}/page/jobs/1"),
    phone(
        vendor_jobs.jobs_that_tell_too_little,
        f"{ROWS}/x-job-read/job/body.ContactId",
        REMOVED,
        f"{ROWS}/x-job-read/job",
    ),
    phone(vendor_jobs.jobs_that_tell_too_little, RULES, REMOVED, f"{EXTENSION}/job"),
    phone(vendor_jobs.statuses_told_twice, f"{EXTENSION}/job/body.Subject", "job.vendorStatus", RULES),
    phone(vendor_jobs.statuses_told_twice, f"{ROWS}/x-job-read/job/body.Queue", "job.vendorStatus", ROW_RULES),
    phone(vendor_jobs.rules_without_an_end, f"{RULES}/5/when", {"body.Subject": "present"}, f"{RULES}/5"),
    phone(vendor_jobs.rules_without_an_end, f"{RULES}/4/when", REMOVED, f"{RULES}/4"),
    phone(vendor_promises.undocumented_statuses, f"{RULES}/3/is", "CHATTING"),
    phone(vendor_promises.undocumented_statuses, f"{ROW_RULES}/3/is", "OLD"),
    phone(vendor_jobs.statuses_that_follow_from_ids, f"{RULES}/4/when", {"body.Id": "present"}, RULES),
    phone(vendor_jobs.statuses_that_follow_from_ids, f"{ROW_RULES}/1/when", {"body.ContactId": "present"}, ROW_RULES),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{CONTACT}/x-job-read/item", "body.Job"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{EXTENSION}/job/body.Lost", "job.timestamps.lostAt"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{ROWS}/x-job-read/job/body.EndedAt", "job.timestamps.lostAt"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{RULES}/2/when/body.Queue.Lost", "present"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{RULES}/2/when/body.HeldAt/laterThan", "body.Lost"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{RULES}/3/when/body.Parties/some/Lost", "present"),
    phone(vendor_jobs.places_that_jobs_do_not_have, f"{ROW_RULES}/1/when/body.HeldAt", "present"),
    phone(
        vendor_jobs.statuses_without_one_example,
        f"{RULES}/3/when/body.Lost",
        "present",
        f"{EXTENSION}/statuses/TALKING",
        f"{EXTENSION}/statuses/QUEUED",
    ),
    phone(vendor_jobs.statuses_without_one_example, f"{CONTACTS}/held", REMOVED, f"{EXTENSION}/statuses/HELD"),
    phone(
        vendor_jobs.statuses_without_one_example,
        f"{ROW_RULES}/1/when",
        {"body.Started": "absent"},
        f"{EXTENSION}/statuses/LIVE",
    ),
    phone(vendor_jobs.examples_in_undocumented_statuses, f"{EXTENSION}/statuses/LIVE", REMOVED, f"{ROW}/2", f"{ROW}/3"),
    phone(vendor_jobs.rows_that_show_other_jobs, f"{ROW}/0", REMOVED, f"{ROWS}/x-job-read"),
    phone(vendor_jobs.rows_that_show_other_jobs, f"{ROW}/0/ContactId", "CT1", f"{ROW}/0", f"{ROWS}/x-job-read"),
    phone(vendor_jobs.rows_that_show_other_jobs, f"{ROW}/1/Queue", REMOVED, f"{ROW}/1"),
    phone(vendor_jobs.changes_of_vague_statuses, "/paths/~1change/post/x-job-action/0/from/0", "LIVE"),
    phone(vendor_jobs.changes_of_vague_statuses, f"{EXTENSION}/transitions/0/to", "OVER"),
    phone(
        vendor_jobs.statuses_that_cannot_be_written,
        f"{RULES}/1/when",
        {"body.EndedAt": {"laterThan": "body.StartedAt"}, "body.StartedAt": "present"},
        RULES,
    ),
    vendors(
        vendor_security.schemes_that_nothing_can_use,
        f"{SCHEMES}/other",
        {"type": "apiKey", "in": "query", "name": "key"},
    ),
    vendors(
        vendor_security.schemes_that_nothing_can_use,
        f"{SCHEMES}/other",
        {"type": "oauth2", "flows": {"password": {"tokenUrl": "https://vendor.example/token", "scopes": {}}}},
    ),
    vendors(
        vendor_security.schemes_that_nothing_can_use,
        f"{SCHEMES}/other",
        {"type": "openIdConnect", "openIdConnectUrl": "https://vendor.example/openid"},
    ),
    vendors(
        vendor_security.regions_of_no_connection,
        f"{SCHEMES}/other",
        SIGNED,
        f"{SCHEMES}/other/x-job-signature/region",
    ),
    vendors(
        shape.breaches_of_our_extensions,
        f"{SCHEMES}/other",
        {**SIGNED, "x-job-signature": {"algorithm": "HMAC", "service": "things", "region": "here"}},
        f"{SCHEMES}/other/x-job-signature/algorithm",
    ),
    vendors(shape.breaches_of_our_extensions, f"{SCHEMES}/other", {**SIGNED, "name": "X-Key"}, f"{SCHEMES}/other/name"),
]

ENDLESS_TEXT = {"schema": {"type": "string"}}
ENDLESS_HEADER = {"headers": {"X": ENDLESS_TEXT}}
CALLBACK = {"{$url}": {"put": {"responses": {"200": {"description": "Done.", **ENDLESS_HEADER}}}}}
PLACES_OF_SCHEMAS = {
    "/components/parameters/x": {"name": "x", "in": "query", **ENDLESS_TEXT},
    "/components/parameters/y": {"name": "y", "in": "query", "content": {"text/plain": ENDLESS_TEXT}},
    "/components/requestBodies/x": {"content": {"text/plain": ENDLESS_TEXT}},
    "/components/responses/x-text": {"description": "A text.", "content": {"text/plain": ENDLESS_TEXT}},
    "/components/headers/x": ENDLESS_TEXT,
    "/components/headers/y": {"content": {"text/plain": ENDLESS_TEXT}},
    "/components/callbacks/x": CALLBACK,
    f"{PUT}/callbacks": {"x": CALLBACK},
    f"{PUT}/requestBody/content/multipart~1form-data": {"encoding": {"name": ENDLESS_HEADER}},
    f"{PUT}/requestBody/content/text~1plain": ENDLESS_TEXT,
    "/components/schemas/Map": {"additionalProperties": text()},
    "/components/schemas/Other": {"not": text()},
    "/components/schemas/Either": {"anyOf": [text(), {"oneOf": [text()]}]},
}
"""Values that hold a string without an end, by the place where they may stand."""

PLACES_OF_REFERENCES = [
    *(f"/components/{part}/x" for part in parts.COMPONENTS.values()),
    f"{PUT}/parameters/0",
    f"{PUT}/requestBody",
    f"{PUT}/responses/404",
    f"{PUT}/callbacks/x",
    f"{PUT}/responses/200/headers/X",
    f"{PUT}/responses/200/links/x",
    f"{PUT}/responses/200/headers/Age/examples/x",
    f"{PUT}/requestBody/content/application~1json/schema",
    f"{PUT}/requestBody/content/application~1json/examples/thing",
    f"{PUT}/parameters/0/examples/x",
    f"{THING}/name",
]

UNREADABLE = {
    "no YAML": b"a: b: c",
    "no mapping": b"- a",
    "no UTF-8": b"a: \xe9",
    "no date": b"a: 2026-02-30",
    "a map as a name": b"? {a: b}\n: c",
    "nothing": b"",
    "too deep": b"[" * 5000,
}


def write(folder: Path, content: object) -> Path:
    """Write a document into a folder."""
    path = folder / "document.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


def put(content: Any, at: str, value: object) -> None:
    """Set what stands at a JSON pointer, or remove it."""
    *way, last = pointer_keys(at)
    for key in way:
        content = content[int(key)] if isinstance(content, list) else content.setdefault(key, {})
    place = int(last) if isinstance(content, list) else last
    if value is REMOVED:
        del content[place]
    else:
        content[place] = copy.deepcopy(value)


@pytest.fixture
def broken_file(broken: Break, tmp_path: Path) -> Path:
    """The file in which one promise is broken."""
    content = yaml.safe_load(broken.document)
    put(content, broken.at, broken.value)
    return write(tmp_path, content)


@pytest.mark.parametrize("path", OUR_DOCUMENTS, ids=lambda path: path.stem)
def test_our_documents_keep_every_promise(path: Path) -> None:
    """The documents under specs/ have no findings."""
    assert list(map(str, lint.check(path))) == []


@pytest.mark.parametrize("document", [PLAIN, VENDOR, ACCOUNTS], ids=["plain", "vendor", "accounts"])
def test_a_sound_document_has_no_findings(document: str, tmp_path: Path) -> None:
    """Nothing is found where nothing is broken."""
    assert lint.check(write(tmp_path, yaml.safe_load(document))) == []


@pytest.mark.parametrize("broken", BREAKS, ids=str)
def test_a_rule_finds_what_breaks_it(broken: Break, broken_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule, alone, finds the place that breaks it and no other, and says how to mend it."""
    monkeypatch.setattr(lint, "RULES", ((broken.rule,),))
    findings = lint.check(broken_file)
    assert {finding.pointer for finding in findings} == set(broken.found)
    assert all(finding.message and finding.fix for finding in findings)


@pytest.mark.parametrize("broken", BREAKS, ids=str)
def test_every_rule_is_reached(broken: Break, broken_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rule finds alone is found by the whole lint too: no stage before it hides it."""
    everything = set(lint.check(broken_file))
    monkeypatch.setattr(lint, "RULES", ((broken.rule,),))
    assert everything >= set(lint.check(broken_file))


@pytest.mark.parametrize(("place", "value"), PLACES_OF_SCHEMAS.items(), ids=PLACES_OF_SCHEMAS.keys())
def test_schemas_are_found_wherever_they_stand(place: str, value: object, tmp_path: Path) -> None:
    """No place of a document hides a schema from the rules about schemas."""
    content = yaml.safe_load(PLAIN)
    put(content, place, value)
    findings = lint.check(write(tmp_path, content))
    unbounded = [finding for finding in findings if finding.message == "this string has no bounds"]
    assert len(unbounded) == repr(value).count("'string'")
    assert all(finding.pointer.startswith(place) for finding in unbounded)


@pytest.mark.parametrize("place", PLACES_OF_REFERENCES)
def test_references_are_found_wherever_they_stand(place: str, tmp_path: Path) -> None:
    """A reference to something else than its place asks for is found at every place."""
    content = yaml.safe_load(PLAIN)
    put(content, place, {"$ref": "#/info"})
    findings = lint.check(write(tmp_path, content))
    assert [finding.pointer for finding in findings] == [f"{place}/$ref"]


def test_every_rule_is_tested() -> None:
    """There is a broken document for each rule in the table, and none for others."""
    assert {broken.rule for broken in BREAKS} == set(chain.from_iterable(lint.RULES))


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_read_is_a_finding(content: bytes, tmp_path: Path) -> None:
    """A file that is no YAML mapping is a finding at the root, without a traceback."""
    path = tmp_path / "document.yaml"
    path.write_bytes(content)
    (finding,) = lint.check(path)
    assert (finding.file, finding.pointer) == (path, "")
    assert str(path) not in finding.message


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """A missing file is told like any other fault."""
    (finding,) = lint.check(tmp_path / "missing.yaml")
    assert finding.pointer == ""


def test_a_document_among_the_vendors_needs_the_extensions(tmp_path: Path) -> None:
    """A document in a folder named vendors is a vendor's, whether or not it says so."""
    folder = tmp_path / "vendors"
    folder.mkdir()
    findings = lint.check(write(folder, yaml.safe_load(PLAIN)))
    assert [finding.pointer for finding in findings] == ["/x-job-vendor"]


def test_a_finding_reads_as_a_line() -> None:
    """A finding tells file, place, message and mend, in this order."""
    finding = lint.Finding(Path("specs/x.yaml"), "/paths", "is empty", "Add a path.")
    assert str(finding) == "specs/x.yaml#/paths: is empty. Add a path."


def test_a_repeated_name_is_found_with_its_lines(tmp_path: Path) -> None:
    """The finding names the file, the place, the name, and the lines of both."""
    path = tmp_path / "document.yaml"
    path.write_text(f"{PLAIN.strip()}\ninfo: {{title: Others, version: '2'}}\n", encoding="utf-8")
    (finding,) = lint.check(path)
    last = len(path.read_text(encoding="utf-8").splitlines())
    assert str(finding).startswith(f"{path}#/info: info, in line {last}, is in line 2 already")


def test_findings_come_file_by_file_in_the_order_of_their_places(tmp_path: Path) -> None:
    """The findings of several files stay in the order in which the files were named."""
    content = yaml.safe_load(PLAIN)
    for name in ("type", "name"):
        content["components"]["schemas"]["Thing"]["properties"][name] = text()
    path, missing = write(tmp_path, content), tmp_path / "a-missing.yaml"
    found = [(finding.file, finding.pointer) for finding in lint.check_all([path, missing])]
    assert found == [(path, f"{THING}/name"), (path, f"{THING}/type"), (missing, "")]


def test_a_place_may_hold_any_name(tmp_path: Path) -> None:
    """Names with slashes and tildes are escaped in the pointer of a finding."""
    content = yaml.safe_load(PLAIN)
    content["components"]["schemas"]["Thing"]["properties"]["a/~b"] = text()
    (finding,) = lint.check(write(tmp_path, content))
    assert finding.pointer == THING + pointer("a/~b")
