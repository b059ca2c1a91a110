"""Validation of requests by compiled schemas, behind routing and security.

The compiled schema of an operation checks parameters and body in one pass, so that all errors of a request are reported
together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from gateway.domain.encoding import FORM
from gateway.domain.errors import Explanation, FieldError, MalformedRequest, UnsupportedMediaType
from gateway.domain.model import Json
from gateway.edge.canonical import Fields, malformed
from gateway.edge.content import is_json
from gateway.edge.exchange import RequestContext, Scope
from gateway.specs.document import pointer
from gateway.specs.operations import Operation

NO_QUERY: tuple[dict[str, Json], tuple[FieldError, ...]] = ({}, ())


def validate(operation: Operation, scope: Scope, context: RequestContext, *, is_lenient: bool) -> None:
    """Validate a request for an operation, and keep its typed values. If lenient, an empty body is ignored.

    Raises MalformedRequest or UnsupportedMediaType.
    """
    if is_lenient:
        ignore_empty_body(operation, context)
    check_media_type(operation, context)
    context.operation = operation
    context.parts = operation.with_defaults(check_parts(operation, scope, context))


def ignore_empty_body(operation: Operation, context: RequestContext) -> None:
    """Ignore `null` and `{}` where the document has no body: clients that are generated from it send them."""
    if operation.media_types or context.media_type is None:
        return
    if is_json(context.media_type) and context.body in (None, {}):
        context.media_type = None


def check_media_type(operation: Operation, context: RequestContext) -> None:
    """Raise UnsupportedMediaType if the operation does not accept the media type of the body."""
    if context.media_type is None or context.media_type in operation.media_types:
        return
    taken = f"accepts {', '.join(operation.media_types)}" if operation.media_types else "accepts no body"
    raise UnsupportedMediaType(f"This operation {taken}.")


def check_parts(operation: Operation, scope: Scope, context: RequestContext) -> dict[str, Any]:
    """Return the typed values of a request. Raises MalformedRequest, which lists every error."""
    query, repeated = query_values(operation, scope["query_string"])
    parts: dict[str, Json] = {
        "path": path_values(operation, scope["path_params"]),
        "query": query,
        "header": header_values(operation, context.fields),
    }
    if context.media_type == FORM:
        parts["body"], twice = typed_form(operation, context.content)
        repeated += twice
    elif context.media_type is not None:
        parts["body"] = context.body
    errors = repeated + operation.check(parts)
    if errors:
        first, others = errors[0], len(errors) - 1
        more = f", and {others} more" if others else ""
        raise MalformedRequest(
            f"The request is not valid: {first.pointer} {first.detail}{more}.", Explanation(errors=errors)
        )
    return parts


def path_values(operation: Operation, path_params: Mapping[str, str]) -> dict[str, Json]:
    """The typed path parameters. Connexion writes `-` in their names as `_`."""
    return {name: parse(path_params[routed_name]) for name, routed_name, parse in operation.routed}


def query_values(operation: Operation, raw: bytes) -> tuple[dict[str, Json], tuple[FieldError, ...]]:
    """The typed query parameters, and an error for each that is repeated and not an array."""
    if not raw:
        return NO_QUERY
    values, repeated = operation.parse_query(query_pairs(raw))
    return values, tuple(FieldError(pointer("query", name), "is given more than once") for name in repeated)


@lru_cache(maxsize=256)
def query_pairs(raw: bytes) -> tuple[tuple[str, str], ...]:
    """The names and values of a query, from a cache: vendors' clients send the same API version with each request."""
    return tuple(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=None))


def typed_form(operation: Operation, content: bytes) -> tuple[dict[str, Json], tuple[FieldError, ...]]:
    """The fields of an operation's form with the types of its document, and errors for the repeated ones.

    Only the name of an array comes more than once. Raises MalformedRequest.
    """
    declared = operation.form_fields
    texts, repeated = form_texts(content, [name for name, each in declared.items() if each.is_repeated])
    return {name: declared[name].parse(each) if name in declared else each[0] for name, each in texts.items()}, repeated


def form_values(content: bytes) -> tuple[dict[str, Json], tuple[FieldError, ...]]:
    """The fields of a form as texts, and errors for the repeated ones. Raises MalformedRequest."""
    texts, repeated = form_texts(content)
    return {name: each[-1] for name, each in texts.items()}, repeated


def form_texts(content: bytes, arrays: Collection[str] = ()) -> tuple[dict[str, list[str]], tuple[FieldError, ...]]:
    """The texts of a form by name, and errors for names that are repeated and not in `arrays`.

    Raises MalformedRequest.
    """
    try:
        pairs = parse_qsl(content.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=None)
    except UnicodeDecodeError:
        raise malformed("/body", "is not a form of percent-encoded UTF-8") from None
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    repeated = sorted(name for name, each in texts.items() if len(each) > 1 and name not in arrays)
    return texts, tuple(FieldError(pointer("body", name), "is given more than once") for name in repeated)


def header_values(operation: Operation, fields: Fields) -> dict[str, Json]:
    """The typed header parameters that the operation declares and the request has."""
    if fields.keys().isdisjoint(operation.header_fields):
        return {}
    return {
        name: each.parse(fields[each.field_name].decode("latin-1"))
        for name, each in operation.declared["header"].items()
        if each.field_name in fields
    }
