"""The beginning of a new vendor: a package with an imaginary one, which passes the kit as it is."""

from __future__ import annotations

import json
import keyword
import re
from importlib.util import find_spec
from pathlib import Path

from gateway.engine.registry import installed_adapters
from gateway.specs.document import SPECIFICATIONS

TEMPLATE = Path(__file__).with_name("template")
"""The package of the imaginary vendor `new-vendor`. It works like any other."""
FILES = ("pyproject.toml", "README.md", "new_vendor.py", "new_vendor.yaml", "tests/test_new_vendor.py")
IMAGINARY = "new-vendor"


class Unusable(ValueError):
    """The name or the folder of a new vendor cannot be used. The text says why, and what to do."""


def begin(name: str, folder: Path) -> Path:
    """Write the package of a new vendor into a folder, and return its path. Raises Unusable."""
    _require_usable(name)
    package = folder / f"jobgate-{name}"
    if package.exists():
        raise Unusable(f"{package} exists. Choose another name or --folder, or delete it.")
    for file in FILES:
        path = package / renamed(file, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(renamed((TEMPLATE / file).read_text("utf-8"), name), "utf-8")
    return package


def renamed(text: str, name: str) -> str:
    """A text about the imaginary vendor, about one with another name."""
    title = name.replace("-", " ").title()
    return text.replace(IMAGINARY, name).replace(module_of(IMAGINARY), module_of(name)).replace("New Vendor", title)


def module_of(name: str) -> str:
    """The name of the Python module of a vendor."""
    return name.replace("-", "_")


def _require_usable(name: str) -> None:
    form = json.loads((SPECIFICATIONS / "x-job-action.schema.json").read_text("utf-8"))["$defs"]["name"]["pattern"]
    module = module_of(name)
    if not re.fullmatch(form, name) or keyword.iskeyword(module) or name.endswith("-") or "--" in name:
        raise Unusable(
            f"{name!r} cannot be a name. Use lower-case letters, digits and single hyphens, as in acme-desk."
        )
    if name in installed_adapters():
        raise Unusable(f"an adapter for {name} is installed already. Choose another name, or uninstall it.")
    if find_spec(module) is not None:
        raise Unusable(f"there is a Python module {module} already. Choose another name, such as {name}-desk.")
