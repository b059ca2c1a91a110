"""The parts of docs/ that are made from the specs and the code, so that they cannot be wrong for long."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gateway.app import Catalogue
from gateway.documentation.crossing import action_rows, read_rows, status_rows
from gateway.documentation.hooks import hook_rows
from gateway.domain.errors import catalogue as problem_kinds
from gateway.domain.model import Effect
from gateway.edge.html_pages import problem_page
from gateway.edge.limits import Limits
from gateway.engine.connections import Vendor
from gateway.resilience.policy import RULES, AttemptResult, Policy
from gateway.settings.settings import (
    CheckpointSettings,
    ConnectionSettings,
    LedgerSettings,
    OpenIdSettings,
    QuotaSettings,
    ServerSettings,
    Settings,
)
from gateway.specs.capabilities import Capability

CONNECTION_ROWS = ("`require_idempotency_key`", "`plain_http`", "`quota`")
"""The settings of a connection that have a row of their own. docs/going-live.md shows the others by example."""

Part = Callable[[Catalogue], str]
"""Makes a part of a page."""

PACKAGE = Path(__file__).parents[1]
"""The folder of the package `gateway`."""

NOTICE = "<!-- Made by `make docs`; edit what it is made from. -->\n"


def pages(catalogue: Catalogue) -> dict[str, str]:
    """Every generated page by its path below docs/."""
    problems = {f"problems/{kind.code}.md": problem_page(kind) for kind in problem_kinds()}
    made = problems | {
        "problems/README.md": problem_index(),
        "capabilities.md": capability_page(catalogue.vendors.values()),
        "limits.md": limits_page(),
    }
    return {path: f"{NOTICE}\n{text}" for path, text in made.items()} | {"settings.schema.json": settings_schema()}


def settings_schema() -> str:
    """The JSON Schema of the settings, with which editors complete and check `jobgate.toml`."""
    schema = Settings.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "The settings of Jobgate"}
    return f"{json.dumps(schema, indent=2)}\n"


def write(folder: Path, catalogue: Catalogue) -> list[Path]:
    """Write every page below `folder`; gives those that changed."""
    stale = stale_pages(folder, catalogue)
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(stale)


def stale_pages(folder: Path, catalogue: Catalogue) -> Mapping[Path, str]:
    """The pages below `folder` that are missing or differ from what would be made now."""
    made = {folder / path: text for path, text in pages(catalogue).items()}
    for path, parts in PARTS.items():
        made[folder / path] = with_parts((folder / path).read_text("utf-8"), parts, catalogue)
    return {path: text for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text}


def with_parts(text: str, parts: Mapping[str, Part], catalogue: Catalogue) -> str:
    """A page with its generated parts made anew. Raises ValueError where it has no place for one."""
    for name, make in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place between {begin.strip()} and {end.strip()}")
        text = f"{before}{begin}\n{make(catalogue)}\n{end}{after}"
    return text


def problem_index() -> str:
    """All kinds of problems."""
    rows = [(f"[{kind.code}]({kind.code}.md)", kind.status, kind.title, kind.outcome) for kind in problem_kinds()]
    return (
        "# Problems\n\n"
        "Every error of the API is a problem (RFC 9457) whose `type` leads to one of these pages. `outcome` is what\n"
        "is known of a job action that failed so; a problem that is not about a job action has none.\n\n"
        + table(("code", "HTTP status", "title", "outcome"), rows)
    )


def capability_page(vendors: Iterable[Vendor]) -> str:
    """What each vendor makes of each action, read from the documents."""
    known = list(vendors)
    actions = list(known[0].capabilities)
    matrix = [(action, *(_support(each.capabilities[action]) for each in known)) for action in actions]
    parts = [
        "# Capabilities\n\nThe same matrix is served as data at `GET /v1/vendors`.\n\n",
        table(("action", *(each.name for each in known)), matrix),
        *(_vendor_section(each) for each in known),
    ]
    return "".join(parts)


def limits_page() -> str:
    """The limits of a request and how the gateway is served, with the defaults."""
    return (
        "# Limits of a request\n\n"
        "Settings below `[limits]`, or `JOBGATE_LIMITS__BODY_BYTES` and so on in the environment. A request beyond\n"
        "one of them is refused with the problem that the last column names.\n\n"
        + table(("setting", "default", "meaning", "problem"), _limit_rows())
        + "\n# The server\n\n"
        "Settings below `[server]`, or `JOBGATE_SERVER__WORKERS` and so on in the environment; `jobgate serve --help`\n"
        "lists those that are options too.\n\n"
        + table(("setting", "default", "meaning"), _rows(ServerSettings))
        + "\n# The ledger\n\n"
        "`state_folder` and `database_url` are settings of their own, the others stand below `[ledger]`:\n"
        "`JOBGATE_DATABASE_URL` or `JOBGATE_LEDGER__RETENTION_DAYS` in the environment.\n\n"
        + table(("setting", "default", "meaning"), _ledger_rows())
        + "\n# Checkpoints\n\n"
        "Settings below `[checkpoints]`: [ledger.md](ledger.md).\n\n"
        + table(("setting", "default", "meaning"), _rows(CheckpointSettings))
        + "\n# Callers\n\n"
        "Beside these, callers with a key in the settings: `[callers.desk]` with `key` and `scopes`; other keys are\n"
        "made by `jobgate keys create`. The settings of the issuer stand below `[openid]`.\n\n"
        + table(("setting", "default", "meaning"), _caller_rows())
        + "\n# Vendors\n\n"
        "`vendor_seconds` is a setting of its own, the others are of each connection.\n\n"
        + table(("setting", "default", "meaning"), _vendor_rows())
    )


def package_tree(_: Catalogue) -> str:
    """Every package of the code, with the first line of its own docstring."""
    modules = [*PACKAGE.glob("*/__init__.py"), *PACKAGE.parent.glob("adapters/__init__.py")]
    named = {_name_of(each): _first_line(each) for each in modules}
    width = max(map(len, named))
    lines = "".join(f"{name:{width}}  {line}\n" for name, line in sorted(named.items()))
    return f"```\n{lines}```\n"


def _name_of(module: Path) -> str:
    """The folder of a package: `gateway/edge/`."""
    return f"{module.parent.relative_to(PACKAGE.parent).as_posix()}/"


def _first_line(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    return str(docstring).partition("\n")[0]


def rule_table(_: Catalogue) -> str:
    """What is sent again, from the policy."""
    return table(("observed", "read", "repeatable", "once", "an action is then", "counts as failure"), _rule_rows())


def figure_table(_: Catalogue) -> str:
    """The policy's figures."""
    return table(("setting", "default", "meaning"), _rows(Policy))


def crossing_actions(catalogue: Catalogue) -> str:
    """What becomes of each dialect's actions at each vendor."""
    return table(
        ("dialect", "action", "asked for by", *(f"at {name}" for name in catalogue.vendors)),
        action_rows(catalogue.vendors.values()),
    )


def crossing_statuses(catalogue: Catalogue) -> str:
    """The words of each dialect for each vendor's statuses."""
    dialects = (f"in {name}'s words" for name in catalogue.vendors)
    return table(("vendor", "its status", "Jobgate's word", *dialects), status_rows(catalogue.vendors.values()))


def crossing_reads(catalogue: Catalogue) -> str:
    """What jobs can be chosen by in each dialect."""
    return table(
        ("dialect", "read", "of its own vendor by", "of another vendor by"), read_rows(catalogue.vendors.values())
    )


def hook_table(catalogue: Catalogue) -> str:
    """Every function of every adapter that Jobgate calls, with its reason."""
    return table(("vendor", "used for", "function", "reason"), hook_rows(catalogue.vendors.values()))


def _rule_rows() -> Iterable[Iterable[object]]:
    for seen, rule in RULES.items():
        again = ("sent again" if effect in rule.sent_again else "-" for effect in Effect)
        outcome = "what the answer says" if seen is AttemptResult.ANSWER else f"`{rule.outcome}`"
        yield rule.seen, *again, outcome, "yes" if rule.is_failure else ""


def _limit_rows() -> Iterable[Iterable[object]]:
    for (name, default, meaning), field in zip(_rows(Limits), Limits.model_fields.values(), strict=True):
        code = field.json_schema_extra["problem"] if isinstance(field.json_schema_extra, dict) else None
        yield name, default, meaning, f"[{code}](problems/{code}.md)" if code else ""


def _rows(section: type[BaseModel]) -> Iterable[tuple[str, str, str]]:
    for name, field in section.model_fields.items():
        yield f"`{name}`", _default(field.default), field.description or ""


def _ledger_rows() -> Iterable[tuple[str, str, str]]:
    yield from (row for row in _rows(Settings) if row[0] in {"`state_folder`", "`database_url`"})
    yield from _rows(LedgerSettings)


def _caller_rows() -> Iterable[tuple[str, str, str]]:
    yield from (row for row in _rows(Settings) if row[0] in {"`api_key`", "`access_key`", "`rate_limit`"})
    yield from ((f"`openid.{name[1:]}", default, meaning) for name, default, meaning in _rows(OpenIdSettings))


def _vendor_rows() -> Iterable[tuple[str, str, str]]:
    yield from (row for row in _rows(Settings) if row[0] == "`vendor_seconds`")
    yield from (row for row in _rows(ConnectionSettings) if row[0] in CONNECTION_ROWS)


def _default(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, QuotaSettings):
        return f"{value.requests} in {value.seconds:g} s"
    if value is PydanticUndefined:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(_default, value))
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _support(capability: Capability) -> str:
    if capability.mapping is None:
        return "-"
    return f"{', '.join(capability.mapping.from_statuses)} → {capability.mapping.to_status}"


def _vendor_section(vendor: Vendor) -> str:
    native = [each for each in vendor.capabilities.values() if each.mapping is not None]
    parameters = [
        (each.definition.name, each.mapping.effect if each.mapping else "", name, support)
        for each in native
        for name, support in each.parameters.items()
    ]
    statuses = [
        (name, each.pair.status, "yes" if each.final else "") for name, each in vendor.specification.statuses.items()
    ]
    return (
        f"\n## {vendor.name}\n\n{vendor.specification.api.info['title']}, version "
        f"{vendor.specification.api.info['version']}.\n\n"
        + table(("action", "effect", "parameter", "support"), parameters)
        + "\n"
        + table(("vendor's status", "status", "final"), statuses)
    )


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    columns = list(head)
    lines: list[Iterable[object]] = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


PARTS: Mapping[str, Mapping[str, Part]] = {
    "architecture.md": {"packages": package_tree},
    "mapping.md": {"hooks": hook_table},
    "resilience.md": {"rules": rule_table, "figures": figure_table},
    "dialects.md": {"actions": crossing_actions, "statuses": crossing_statuses, "reads": crossing_reads},
}
"""The generated parts of pages that people write, by path and name; `<!-- name -->` and its end enclose each."""
