"""Generated requests: valid and invalid ones, at the vendor's own API, at the simulator and at the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import tomli_w

from gateway.app import Catalogue
from gateway.domain.model import Json, Result
from gateway.domain.vocabulary import Meaning
from gateway.engine.connections import Vendor
from gateway.kit import signing
from gateway.kit.checks import Check, Departure
from gateway.kit.own_client import read
from gateway.kit.stand import Stand
from gateway.specs.lens import Place as MessagePlace
from gateway.specs.native import CONNECTION, base_path
from gateway.specs.operations import Operation, request_schema_at
from gateway.specs.vendor import VendorSpecification

CONFIGURATION = Path(__file__).parents[1] / "schemathesis.toml"
LONGEST_REPORT = 20_000
"""Most characters of a report that are shown."""
LONGEST_LINE = 300
"""Longest line of a report, in characters."""


def checks(catalogue: Catalogue, vendor: Vendor) -> Iterator[Check]:
    """The checks by generated requests."""
    yield Check.of(simulator_never_departs_from_the_document, kind=vendor.name)
    yield Check.of(own_api_never_departs_from_the_document)
    if len(catalogue.vendors) > 1:
        yield Check.of(own_api_never_departs_at_other_vendors)


def simulator_never_departs_from_the_document(stand: Stand) -> None:
    """No request, valid or not, makes the simulator depart from the vendor's document."""
    # Where the documents leave the status of an illegal transition open, 409 is never taken for an invalid request.
    stand.prefer_conflict()
    run(stand, [stand], str(stand.vendor.adapter.specification), stand.simulated.endpoint, signing.at_simulator(stand))


def own_api_never_departs_from_the_document(stand: Stand) -> None:
    """No request of a vendor's clients is answered otherwise than its document says."""
    run_own_api(stand, [stand])


def own_api_never_departs_at_other_vendors(stand: Stand) -> None:
    """The same of requests that lead to other vendors: each request is for the connection of one of them."""
    vendors = stand.running.gateway.catalogue.vendors
    run_own_api(stand, [stand.at(name) for name in vendors if name != stand.vendor.name])


def run_own_api(stand: Stand, targets: Sequence[Stand]) -> None:
    """Run Schemathesis on a vendor's own API at the gateway, on connections to these vendors."""
    for each in targets:
        each.prefer_conflict()
    here = f"{stand.running.url}{base_path(stand.vendor.name)}"
    served = read(f"{here}/openapi.json").json()
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "openapi.json")
        document.write_text(json.dumps(for_connections(served, [each.connection for each in targets])), "utf-8")
        run(stand, targets, str(document), here, signing.at_gateway(stand))


def for_connections(document: Any, names: Sequence[str]) -> Any:
    """The document of a vendor's own API as it is for a client with these connections."""
    for item in document["paths"].values():
        for parameter in item.get("parameters", ()):
            if parameter.get("name") == CONNECTION:
                parameter["schema"] = {"type": "string", "enum": [*names]}
    return document


def run(stand: Stand, targets: Sequence[Stand], document: str, url: str, credentials: Mapping[str, str]) -> None:
    """Run Schemathesis, with all phases and checks, on jobs of the vendors `targets`, with as many examples for each.

    Raises Departure with its report if it finds anything.
    """
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "schemathesis.toml")
        configuration.write_text(tomli_w.dumps(configured(stand.specification)), "utf-8")
        seed = () if stand.seed is None else ("--seed", str(stand.seed))
        left_out = unfit(stand.specification, [each.specification for each in targets])
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("run", document, "--url", url, "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all"),
            *("--max-examples", str(stand.examples * len(targets)), "--no-color", *seed, *left_out),
        ]
        result = subprocess.run(  # noqa: S603 - this Python, with arguments that are written here
            command, cwd=folder, env=environment(credentials), capture_output=True, text=True, check=False
        )
    if result.returncode:
        report = readable(result.stdout) + readable(result.stderr)
        mend = "Reproduce it by the curl line of the report, and correct the document."
        raise Departure(f"{url}, by generated requests", report, mend)


def environment(credentials: Mapping[str, str]) -> dict[str, str]:
    """The environment of Schemathesis: this one, but its requests go through no proxy and take no other credentials."""
    here = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "no_proxy": "*", "NETRC": os.devnull}
    return {**os.environ, **credentials, **here}


def readable(report: str) -> str:
    """The end of a report, with long lines cut: a generated URL can fill pages."""
    lines = (line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in report.splitlines())
    return "\n".join(lines)[-LONGEST_REPORT:]


def configured(vendor: VendorSpecification) -> dict[str, Any]:
    """The configuration of Schemathesis for a vendor: its refusals of requests that fit the document are right too."""
    configuration = tomllib.loads(CONFIGURATION.read_text("utf-8"))
    # Credentials are added to each request when it is made, so leaving them out of the generated values breaks nothing.
    configuration["generation"]["with-security-parameters"] = False
    checks = configuration["checks"]
    about_the_job = statuses_of(vendor, Meaning.UNKNOWN_JOB, Meaning.WRONG_STATE, Meaning.CHANGED)
    right = sorted({*checks["positive_data_acceptance"]["expected-statuses"], *about_the_job})
    checks["positive_data_acceptance"]["expected-statuses"] = right
    invalid = statuses_of(vendor, Meaning.INVALID_REQUEST)
    configuration["operations"] += [
        {
            "include-name": [f"{each.method} {each.path}", f"{each.method} /{{{CONNECTION}}}{each.path}"],
            "checks": {"positive_data_acceptance": {"expected-statuses": sorted({*right, *invalid})}},
        }
        for each in vendor.api.operations.values()
        if has_more_rules_than_its_schema(vendor, each)
    ]
    return configuration


def unfit(vendor: VendorSpecification, targets: Iterable[VendorSpecification]) -> tuple[str, ...]:
    """The option that leaves out checks that expect what the documents do not say; empty if there are none."""
    left_out = [name for name, is_unfit in UNFIT.items() if any(is_unfit(vendor, each) for each in targets)]
    return ("--exclude-checks", ",".join(left_out)) if left_out else ()


def answers_403_without_credentials(vendor: VendorSpecification, _: VendorSpecification) -> bool:
    """True if missing credentials are not answered with 401. The check `ignored_auth` takes both."""
    return str(HTTPStatus.UNAUTHORIZED.value) not in statuses_of(vendor, Meaning.UNAUTHENTICATED)


def shows_jobs_after_a_delete(vendor: VendorSpecification, target: VendorSpecification) -> bool:
    """True if a DELETE of the vendor's API only ends a job at the target, where it can still be read."""
    deletes = {name for name, each in vendor.actions.items() if each.operation.method == "DELETE"}
    return any(name in deletes and each.result is not Result.GONE for name, each in target.actions.items())


UNFIT: Mapping[str, Callable[[VendorSpecification, VendorSpecification], bool]] = {
    "missing_required_header": answers_403_without_credentials,
    "use_after_free": shows_jobs_after_a_delete,
}
"""Schemathesis' checks that do not fit every vendor, each with the test for those that it does not fit."""


def statuses_of(vendor: VendorSpecification, *meanings: Meaning) -> set[str]:
    """The HTTP statuses that the document has for these meanings."""
    return {str(reply.status) for meaning in meanings for reply in vendor.errors.meanings.get(meaning, ())}


def has_more_rules_than_its_schema(vendor: VendorSpecification, operation: Operation) -> bool:
    """True if a request can fit the schema of an operation and yet be invalid.

    A time range can end before it starts, and constants of actions can stand in combinations that no action has.
    """
    read = vendor.reads.get(operation.operation_id)
    return (read is not None and read.window_days is not None) or may_be_no_action(vendor, operation)


def may_be_no_action(vendor: VendorSpecification, operation: Operation) -> bool:
    """True if a request can fit the schema of an operation and yet ask for none of its actions.

    It cannot if one place tells all actions of the operation apart, and the schema allows only their words there.
    """
    constants: dict[MessagePlace, list[Json]] = {}
    for lens in vendor.lenses_of(operation.operation_id):
        for rule in lens.rules:
            if rule.source is None and rule not in vendor.request.rules:
                constants.setdefault(rule.place, []).append(rule.const)
    schemas = {place: request_schema_at(vendor.api.document, operation, place) for place in constants}
    return len(constants) > 1 or any(
        set(map(str, schemas[place].get("enum", ()))) != set(map(str, words)) for place, words in constants.items()
    )
