"""Our own lint: properties of a document that OpenAPI leaves open, and that Jobgate relies on.

A rule checks one document and yields every fault. `RULES` lists the rules in stages. A stage runs
only if the stages before it found no fault, so a rule can rely on what they checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.specs.document import Document, SpecificationError, load
from gateway.specs.lint import (
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
from gateway.specs.lint.findings import Fault, Finding, Rule

__all__ = ["RULES", "Finding", "check", "check_all"]


def check_all(paths: Sequence[Path]) -> list[Finding]:
    """All findings in these files, file by file."""
    return [finding for path in paths for finding in check(path)]


def check(path: Path) -> list[Finding]:
    """All findings in one file, in the order of their places."""
    try:
        return sorted({Finding(path, *fault) for fault in _faults(_read(path))})
    except SpecificationError as error:
        return [_unreadable(path, error)]


def _read(path: Path) -> Document:
    try:
        return load(path)
    except (ValueError, RecursionError) as error:  # a date such as 2026-02-30; endless brackets
        raise SpecificationError(f"cannot be parsed as YAML: {error}") from error


def _unreadable(path: Path, error: SpecificationError) -> Finding:
    reason = " ".join(str(error).split()).removeprefix(f"{path}: ").rstrip(".")
    fix = "Write it as a YAML mapping of the members of OpenAPI 3.0.3." if path.is_file() else "Name a file."
    return Finding(path, "", reason, fix)


def _faults(document: Document) -> list[Fault]:
    for stage in RULES:
        if faults := [fault for rule in stage for fault in rule(document)]:
            return faults
    return []


RULES: tuple[tuple[Rule, ...], ...] = (
    (reading.endless_nesting, reading.repeated_names),
    (
        reading.values_unknown_to_json,
        reading.other_versions,
        reading.template_markers,
        reading.references_to_other_documents,
        reading.references_to_nothing,
        reading.members_beside_references,
    ),
    (shape.breaches_of_openapi,),
    (shape.breaches_of_our_extensions, shape.references_to_another_kind, shape.references_to_path_items),
    (vendor_jobs.jobs_that_tell_too_little, vendor_jobs.rules_without_an_end),
    (
        shape.breaches_of_the_specification,
        promises.operations_without_id,
        promises.repeated_operation_ids,
        promises.unbounded_schemas,
        promises.operations_without_error,
        promises.operations_open_to_anybody,
        promises.unknown_security_schemes,
        promises.schemas_that_do_not_compile,
        promises.examples_that_do_not_fit,
        vendor_promises.statuses_of_no_meaning,
        vendor_promises.statuses_shown_twice,
        vendor_promises.undocumented_statuses,
        vendor_promises.ways_out_of_final_statuses,
        vendor_promises.confirmations_that_read_nothing,
        vendor_promises.unknown_places_in_requests,
        vendor_promises.unknown_places_in_every_request,
        vendor_promises.parameters_left_empty,
        vendor_promises.finders_that_read_nothing,
        vendor_promises.parts_of_other_values,
        vendor_promises.versions_outside_headers,
        vendor_promises.versions_that_no_read_shows,
        vendor_promises.replies_that_show_no_job,
        vendor_promises.results_that_are_not_the_job,
        vendor_promises.deletions_that_end_no_job,
        vendor_bodies.bodies_of_other_media_types,
        vendor_bodies.replies_of_other_media_types,
        vendor_bodies.bodies_of_several_schemas,
        vendor_bodies.forms_with_members_in_members,
        vendor_lists.lists_that_do_not_go_on_in_one_way,
        vendor_lists.members_without_the_other,
        vendor_lists.pages_that_no_request_asks_for,
        vendor_lists.windows_that_do_not_fit,
        vendor_lists.members_that_nothing_fills,
        vendor_values.undeclared_values,
        vendor_values.values_that_nothing_uses,
        vendor_values.values_that_do_not_fit,
        vendor_values.hosts_without_pattern,
        vendor_values.constants_outside_bodies,
        vendor_values.times_where_no_number_fits,
        vendor_values.whole_numbers_for_times_with_fractions,
        vendor_values.operators_that_exclude_each_other,
        vendor_values.requests_that_are_cut,
        vendor_values.arrays_of_other_styles,
        vendor_values.codes_of_two_types,
        vendor_promises.client_requests_outside_headers,
        vendor_promises.maps_with_two_ways_back,
        vendor_promises.parameters_that_no_request_carries,
        vendor_promises.parameters_that_nobody_gives,
        vendor_promises.deferred_from_several_statuses,
        vendor_promises.assumptions_about_nothing,
        vendor_promises.unknown_actions,
        vendor_promises.repeated_actions,
        vendor_promises.actions_with_the_same_request,
        vendor_promises.envelopes_of_no_reply,
        vendor_promises.unknown_envelopes,
        vendor_jobs.statuses_told_twice,
        vendor_jobs.statuses_that_follow_from_ids,
        vendor_jobs.places_that_jobs_do_not_have,
        vendor_jobs.statuses_without_one_example,
        vendor_jobs.examples_in_undocumented_statuses,
        vendor_jobs.rows_that_show_other_jobs,
        vendor_jobs.changes_of_vague_statuses,
        vendor_jobs.statuses_that_cannot_be_written,
        vendor_security.schemes_that_nothing_can_use,
        vendor_security.regions_of_no_connection,
    ),
)
"""All rules in stages: each relies on what the stages before it checked."""
