"""Options of commands that the API's document describes: a function gets one for each member of a query or body."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.durations import iso_duration
from gateway.cli.operations import Member

TYPES: Mapping[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}
"""The types of the values that an option can have."""

DURATION = "duration"
"""The format of durations (JSON Schema), which people write as `1h`."""

Function = Callable[..., None]


def described(members: Mapping[str, Member], placeholders: Iterable[str] = ()) -> Callable[[Function], Function]:
    """Give a function an argument for each placeholder of a path, and an option for each scalar member.

    It gets the arguments as the keyword `ids`, if there are any, and the options that are written as further keywords,
    by the names of the members. `olderThan` is the option `--older-than`; a repeated member is in the singular:
    `statuses` is `--status`.
    """
    offered = {python_name(name, each): (name, each) for name, each in members.items() if each.type in TYPES}
    arguments = [_argument(name) for name in placeholders]

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function, eval_str=True)
        own = [
            each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD and each.name != "ids"
        ]

        def run(**values: Any) -> None:
            ids = {"ids": tuple(values.pop(each.name) for each in arguments)} if arguments else {}
            written = {name: values.pop(python) for python, (name, _) in offered.items()}
            given = {name: plain(value) for name, value in written.items() if is_given(value)}
            function(**ids, **values, **given)

        options = [_option(python, each) for python, (_, each) in offered.items()]
        # What the document describes comes first: it says what the command is about.
        parameters = [*arguments, *(each for each in own if _is_argument(each)), *options]
        parameters += [each for each in own if not _is_argument(each)]
        run.__doc__, run.__name__ = function.__doc__, function.__name__
        vars(run)["__signature__"] = signature.replace(  # where `inspect` looks for it
            parameters=[each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        )
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def python_name(name: str, member: Member) -> str:
    """The name of a parameter: `older_than` for `olderThan`, `status` for the repeated `statuses`."""
    if member.repeated:
        name = name.removesuffix("es") if name.endswith("ses") else re.sub("([^su])s$", r"\1", name)
    return re.sub("([A-Z])", r"_\1", name).lower()


def plain(value: Any) -> Any:
    """A value as JSON has it: the text of a choice."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, StrEnum) else value


def is_given(value: Any) -> bool:
    """True if an option was written. A switch is written if it is on."""
    return value is not None and value is not False and value != []


def _argument(placeholder: str) -> inspect.Parameter:
    """The argument for a placeholder of a path: `BATCH` for `batchId`."""
    python = python_name(placeholder, Member("string"))
    metavar = python.removesuffix("_id").upper() if python != "id" else "ID"
    return _made(python, Annotated[str, typer.Argument(metavar=metavar, show_default=False)])


def _option(python: str, member: Member) -> inspect.Parameter:
    name = f"--{python.replace('_', '-')}"
    if member.type == "boolean":
        return _made(python, Annotated[bool, typer.Option(name, help=_help(member))], default=False)
    kind: Any = StrEnum(python, {each: each for each in member.enum}) if member.enum else TYPES[member.type]
    if member.format == DURATION:
        durations = typer.Option(name, help=_help(member), show_default=False, parser=iso_duration, metavar="TIME")
        return _made(python, Annotated[str | None, durations], default=None)
    bounds = (member.minimum, member.maximum) if kind in {int, float} else (None, None)
    option = typer.Option(name, help=_help(member), show_default=False, min=bounds[0], max=bounds[1])
    annotation = list[kind] if member.repeated else kind
    if member.required:
        return _made(python, Annotated[annotation, option])
    return _made(python, Annotated[annotation | None, option], default=None)


def _made(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _help(member: Member) -> str:
    """The first paragraph of the description, and the default that the gateway has."""
    text = member.description.partition("\n\n")[0].rstrip(":")
    default = "" if member.default in {None, False} else f"Default: {member.default}."
    return " ".join(filter(None, [text, "Can be repeated." if member.repeated else "", default]))


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(type(each).__name__ == "ArgumentInfo" for each in getattr(parameter.annotation, "__metadata__", ()))
