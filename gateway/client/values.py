"""Values of Python as JSON, and the JSON of replies as dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import UnexpectedReply

Kind = TypeVar("Kind")


def members_of(given: Mapping[str, object]) -> dict[str, object]:
    """The given values, without None, under the API's names."""
    return {camel(name): member(value) for name, value in given.items() if value is not None}


def because(reason: str | None) -> dict[str, object]:
    """The body of a command with a reason."""
    return {} if reason is None else {"reason": reason}


def member(value: object) -> object:
    """A parameter as a JSON value. Raises ValueError for a time without a time zone."""
    if isinstance(value, timedelta):
        return f"PT{round(value.total_seconds())}S"
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("A time needs a time zone, as in datetime(2030, 1, 1, tzinfo=UTC).")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def camel(name: str) -> str:
    """The API's name for one of ours."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def converted(kind: type[Kind], value: Any, status: int = 200) -> Kind:
    """Convert a JSON value to `kind`. Raises UnexpectedReply if it does not match."""
    try:
        decoded: Kind = _decode(kind, value)
    except (TypeError, ValueError) as error:
        raise UnexpectedReply(f"The reply with status {status} is not Jobgate's: {error}", status) from None
    return decoded


def _decode(kind: Any, value: Any) -> Any:
    """Convert a JSON value to the type of a member. Raises TypeError or ValueError if it does not match."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _decode(arguments[0], value)
    if origin is tuple:
        return tuple(_decode(arguments[0], each) for each in _checked(list, value))
    if origin is Mapping:
        return {name: _decode(arguments[1], each) for name, each in _checked(dict, value).items()}
    if kind is datetime:
        return datetime.fromisoformat(_checked(str, value))
    if is_dataclass(kind):
        return _decode_members(kind, _checked(dict, value))
    return _checked(kind, value)


def _decode_members(kind: Any, members: Mapping[str, Any]) -> Any:
    """Convert a JSON object to a dataclass. Unknown members are ignored, so that newer gateways work too."""
    hints = _hints(kind)
    names = {each.name: each.metadata.get("member", camel(each.name)) for each in fields(kind)}
    return kind(**{name: _decode(hints[name], members[member]) for name, member in names.items() if member in members})


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _checked(kind: Any, value: Any) -> Any:
    if kind is not Any and not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was expected")
    return value
