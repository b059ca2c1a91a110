"""The served form of each vendor's document: the vendor's own, but for where it is and who may call."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.specs import lint
from gateway.specs.document import Document, SpecificationError
from gateway.specs.native import GRANT, NativeApi, served
from gateway.specs.vendor import VendorSpecification
from tests.support.documents import installed
from tests.support.edge import Edge

CATALOGUE = installed()
VENDORS = list(CATALOGUE.natives)


def native(vendor: str) -> NativeApi:
    """The own API of a vendor."""
    return CATALOGUE.natives[vendor]


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_passes_the_lint(vendor: str, tmp_path: Path) -> None:
    """The served form of each document passes the lint."""
    path = tmp_path / "served.yaml"
    path.write_text(yaml.safe_dump(native(vendor).api.document.content))
    assert lint.check(path) == []


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_operation_is_where_the_vendor_has_it(vendor: str) -> None:
    """Below the connection's name, with the same method, parameters, media types and replies."""
    own, here = native(vendor).vendor.api, native(vendor).api
    assert here.operations.keys() - {GRANT} == own.operations.keys()
    for name, theirs in own.operations.items():
        ours = here.operations[name]
        assert (ours.method, ours.path) == (theirs.method, f"/{{connection}}{theirs.path}")
        assert ours.media_types == theirs.media_types
        assert ours.responses.keys() == theirs.responses.keys()
        for location, declared in theirs.declared.items():
            assert ours.declared[location].items() >= declared.items()
        added = {each.name for each in ours.parameters} - {each.name for each in theirs.parameters}
        assert added == {"connection"} | ({"Idempotency-Key"} if "x-job-action" in theirs.extensions else set())


@pytest.mark.parametrize("vendor", VENDORS)
def test_schemas_and_schemes_are_the_vendors(vendor: str) -> None:
    """No schema of the vendor's is changed. Tokens are had from this gateway, and `scopes` is its own scheme."""
    own, here = (
        copy.deepcopy(each.document.content["components"]) for each in (native(vendor).vendor.api, native(vendor).api)
    )
    assert here["securitySchemes"].pop("scopes")["type"] == "openIdConnect"
    for scheme in here["securitySchemes"].values():
        flow = scheme.get("flows", {}).get("clientCredentials")
        if flow:
            assert flow["tokenUrl"].startswith(f"/native/{vendor}/")
    for scheme in own["securitySchemes"].values():
        scheme.pop("x-job-signature", None)
    for components in (own, here):
        for scheme in components["securitySchemes"].values():
            scheme.get("flows", {}).get("clientCredentials", {}).pop("tokenUrl", None)
    assert here == own


def test_nothing_of_it_is_written_twice() -> None:
    """The served form refers to the vendor's document, so a change there is a change here."""
    vendor = native("vonage-contact-center").vendor
    content = copy.deepcopy(vendor.api.document.content)
    content["paths"]["/interactions/jobs"]["get"]["parameters"].append(
        {"name": "colour", "in": "query", "schema": {"type": "string", "enum": ["red"]}}
    )
    changed = VendorSpecification.compile(Document(vendor.api.document.path, content))
    made = served(changed, CATALOGUE.api.document)
    names = [each.get("name") for each in made["paths"]["/{connection}/interactions/jobs"]["get"]["parameters"]]
    assert "colour" in names


def changed(vendor: str, change: Any) -> dict[str, Any]:
    """The served form of a vendor's document after a change."""
    specification = native(vendor).vendor
    content = copy.deepcopy(specification.api.document.content)
    change(content["paths"])
    document = Document(specification.api.document.path, content)
    return served(VendorSpecification.compile(document), CATALOGUE.api.document)


def test_operations_that_are_nothing_to_jobgate_are_left_out() -> None:
    """Operations that Jobgate cannot answer are left out of the served form."""
    other = {"operationId": "ping", "responses": {"200": {"description": "Pong."}}}

    def add(paths: Any) -> None:
        paths["/ping"] = {"get": other}
        paths["/interactions/jobs"]["put"] = other | {"operationId": "replaceJobs"}

    made = changed("vonage-contact-center", add)
    assert "/{connection}/ping" not in made["paths"]
    assert "put" not in made["paths"]["/{connection}/interactions/jobs"]


def test_a_parameter_of_our_name_is_refused() -> None:
    """Two parameters of one name would be one, so the document cannot be served."""

    def add(paths: Any) -> None:
        paths["/{connection}/x"] = paths.pop("/interactions/jobs")

    with pytest.raises(SpecificationError, match="connection"):
        changed("vonage-contact-center", add)


def schemes(made: dict[str, Any], path: str, method: str) -> list[dict[str, list[str]]]:
    """What an operation requires."""
    required: list[dict[str, list[str]]] = made["paths"][f"/{{connection}}{path}"][method]["security"]
    return required


def test_each_operation_requires_the_scopes_of_what_it_does() -> None:
    """The served document names the scopes of each operation, beside the vendor's own security."""
    azure, vonage = (native(name).api.document.content for name in ("azure-job-router", "vonage-contact-center"))
    entra = ["https://communication.azure.com/.default"]
    for path, method, scope in (
        ("/routing/jobs", "get", "jobs:read"),
        ("/routing/jobs/{jobId}", "get", "jobs:read"),
        ("/routing/jobs/{jobId}:cancel", "post", "jobs:cancel"),
        ("/routing/jobs/{jobId}/assignments/{assignmentId}:close", "post", "jobs:close"),
    ):
        expected = [{"accessKey": [], "scopes": [scope]}, {"entraId": entra, "scopes": [scope]}]
        assert schemes(azure, path, method) == expected
    assert schemes(vonage, "/interactions/jobs/{id}/{action}", "post") == [
        {"oauth": ["interaction-content:read"], "scopes": [f"jobs:{action}"]}
        for action in ("cancel", "restart", "pause")
    ]


@pytest.mark.parametrize("security", [[], [{}], [{"oauth": []}, {}]])
def test_an_operation_that_anybody_may_ask_for_is_refused(security: list[Any]) -> None:
    """A vendor's document that asks for no credentials would open this gateway."""

    def open_it(paths: Any) -> None:
        paths["/interactions/jobs"]["get"]["security"] = security

    with pytest.raises(SpecificationError, match="needs no credentials"):
        changed("vonage-contact-center", open_it)


@pytest.mark.parametrize(
    ("parts", "needed"),
    [
        ({"path": {"action": "pause"}}, {"jobs:pause"}),
        ({"path": {"action": "Pause"}}, {"jobs:cancel", "jobs:pause", "jobs:restart"}),
        ({"path": {}}, {"jobs:cancel", "jobs:pause", "jobs:restart"}),
    ],
)
def test_a_request_needs_the_scopes_of_all_that_it_may_ask_for(parts: Any, needed: set[str]) -> None:
    """A request whose operation depends on its content needs the scopes of all possible ones."""
    assert native("vonage-contact-center").needed("changeJobStatus", parts) == needed


def test_no_scopes_are_known_of_an_operation_without_jobs() -> None:
    """Whoever may do an operation that neither acts on jobs nor reads them is an error, and not everybody."""
    with pytest.raises(LookupError, match=f"{GRANT} of vonage-contact-center neither acts on jobs nor reads them"):
        native("vonage-contact-center").needed(GRANT, {})


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_can_be_read(edge: Edge, vendor: str) -> None:
    """Everybody can read the served document, as JSON and as a page."""
    answer = edge.ask("GET", f"/native/{vendor}/openapi.json", key=None)
    assert json.loads(answer.body) == native(vendor).api.document.content
    assert edge.ask("GET", f"/docs/{vendor}", key=None).status == 200
    assert vendor in edge.ask("GET", "/docs", key=None).body.decode()
    assert edge.ask("GET", "/docs/nobody", key=None).status == 404
