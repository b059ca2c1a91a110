"""A document that is not OpenAPI 3.0 keeps a gateway from starting, with the file and the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app import Catalogue
from gateway.specs.document import SPECIFICATIONS, Document, SpecificationError, load
from gateway.specs.native import NativeApi
from gateway.specs.openapi import checked
from gateway.specs.vendor import VendorSpecification


@pytest.fixture
def content(catalogue: Catalogue) -> dict[str, Any]:
    """A vendor's document, to be changed."""
    path = catalogue.vendors["azure-job-router"].specification.api.document.path
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def test_every_document_of_ours_has_the_form(catalogue: Catalogue) -> None:
    """The unified API, the token endpoint and the vendors' documents are read as they are."""
    vendors = [each.specification.api.document.path for each in catalogue.vendors.values()]
    for path in (*SPECIFICATIONS.glob("*.yaml"), *vendors):
        assert checked(load(path)).path == path


def test_what_is_served_has_the_form(catalogue: Catalogue) -> None:
    """So does the served form of each document, and a mistake in it is found when it is made."""
    for document in catalogue.documents.values():
        assert checked(document) is document
    vendor, unified = catalogue.vendors["azure-job-router"], catalogue.api.document
    parameter = {**unified.at("#/components/parameters/Idempotency-Key"), "unknown": True}
    parameters = {**unified.content["components"]["parameters"], "Idempotency-Key": parameter}
    content = {**unified.content, "components": {**unified.content["components"], "parameters": parameters}}
    with pytest.raises(SpecificationError, match="is not as OpenAPI"):
        NativeApi.make(vendor.specification, vendor.adapter, Document(unified.path, content))


def test_a_member_that_openapi_does_not_know_is_a_mistake(content: dict[str, Any], tmp_path: Path) -> None:
    """The message names the file, and the command that finds every mistake."""
    content["paths"]["/routing/jobs"]["get"]["respones"] = {}
    file = tmp_path / "vendor.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(SpecificationError) as refused:
        VendorSpecification.load(file)
    assert str(refused.value).startswith(f"{file}: /paths/~1routing~1jobs/get is not as OpenAPI 3.0 requires.")
    assert f"`jobgate specs check {file}`" in str(refused.value)


def test_another_version_is_a_mistake(content: dict[str, Any], tmp_path: Path) -> None:
    """A document of OpenAPI 3.1 is refused rather than misread."""
    content["openapi"] = "3.1.0"
    file = tmp_path / "vendor.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(SpecificationError, match=r"/openapi is not as OpenAPI 3\.0 requires"):
        checked(load(file))
