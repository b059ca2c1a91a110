"""The documentation is true: its commands and code blocks run, its links lead somewhere, its tables are fresh."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.app import Catalogue
from gateway.documentation import pages as documentation
from gateway.domain.errors import catalogue as problem_kinds
from gateway.edge.limits import Limits
from gateway.serving.tls import self_signed
from gateway.settings import settings as config
from gateway.startup.checks import SANDBOX_ACCESS_KEY
from gateway.startup.serve import Running, running
from tests.support.documents import installed

ROOT = Path(__file__).parents[2]
GENERATED = documentation.pages(installed()).keys()
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if str(path.relative_to(ROOT / "docs" if "docs" in path.parts else ROOT)) not in GENERATED
]
KEY = "only-for-trying-out"
BASH = shutil.which("bash") or "bash"
SERVERS = re.compile(r"^(make run|\S*jobgate (serve|sandbox)\b.*)$", re.MULTILINE)
NEW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
"""An id that Jobgate makes: version 7 of UUID."""
ELSEWHERE = {"make test": "it is the command that runs this test"}


def blocks(language: str) -> Iterator[object]:
    """Every code block of a language, in every page."""
    for page in PAGES:
        fences = [token for token in MarkdownIt().parse(page.read_text("utf-8")) if token.type == "fence"]
        for number, token in enumerate(fences, 1):
            if token.info.strip() == language:
                yield pytest.param(token, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.fixture(scope="module")
def served(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway with its sandbox and the key of the examples. Its ledger is where the commands of the pages look."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOBGATE_STATE_FOLDER", str(folder))
        with running(KEY, catalogue=catalogue, state_folder=folder) as started:
            yield started


@pytest.fixture
def documented(served: Running) -> Running:
    """The gateway as a block assumes it: the jobs as at the start."""
    for vendor in served.gateway.directory.vendors:
        served.sandbox.vendor(vendor).reset()
    return served


@pytest.fixture
def secure(documented: Running, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The same with https, and a certificate that clients trust."""
    with (
        self_signed("127.0.0.1") as made,
        running(KEY, access_key=SANDBOX_ACCESS_KEY, certificate=made, catalogue=catalogue) as started,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.certificate))
        yield started


def at(started: Running, text: str) -> str:
    """The text of a page with the addresses of the running servers in it."""
    text = (
        text.replace("http://127.0.0.1:8080", started.url)
        .replace("https://127.0.0.1:8443", started.url)
        .replace("http://127.0.0.1:8090", started.sandbox.url)
    )
    return re.sub(r"\bcurl ", "curl --fail-with-body --silent --show-error --max-time 20 ", text)


@pytest.mark.parametrize("block", list(blocks("sh")))
def test_shell_blocks_run(block: Token, documented: Running) -> None:
    """Every command of the pages succeeds; those that serve start, say that they are ready, and stop when told."""
    if block.content.strip() in ELSEWHERE:
        return
    if SERVERS.search(block.content):
        serves_and_stops(block.content)
        return
    result = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", at(documented, block.content)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("block", list(blocks("console")))
def test_sessions_happen_as_shown(block: Token, documented: Running) -> None:
    """The commands of a session succeed, and print the lines below them, in that order.

    Blanks count as one, lines between may be left out, and an id of today stands for the one that is shown.
    """
    ids: dict[str, str] = {}
    exports = ""
    session = f"\n{block.content.strip()}".replace("\\\n", "")
    for command, *shown in (each.split("\n") for each in session.split("\n$ ")[1:]):
        for before, now in ids.items():
            command = command.replace(before, now)  # noqa: PLW2901 - the command as it has to be today
        if command.startswith("export "):
            exports += at(documented, command) + "\n"
            continue
        done = subprocess.run(
            [BASH, "-euc", exports + command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        printed = iter([" ".join(line.split()) for line in done.stdout.splitlines()])
        for line in shown:
            assert any(is_as_shown(" ".join(line.split()), each, ids) for each in printed), (line, done.stdout)


def is_as_shown(shown: str, line: str, ids: dict[str, str]) -> bool:
    """True if a line is the one that a page shows. Notes the ids that are other ones today."""
    parts = NEW_ID.split(shown)
    found = re.fullmatch(f"({NEW_ID.pattern})".join(map(re.escape, parts)), line)
    if found is None:
        return False
    today = dict(zip(NEW_ID.findall(shown), found.groups(), strict=True))
    if any(ids.get(before, now) != now for before, now in today.items()):
        return False
    ids |= today
    return True


def serves_and_stops(command: str) -> None:
    """Start what a page says, on a free port, wait until it is ready, and interrupt it."""
    command = re.sub(r"--port \d+", "--port 0", command)
    command = re.sub(r"^make run$", "make run PORT=0", command, flags=re.MULTILINE)
    command = re.sub(r"^(\.venv/bin/)?jobgate", ".venv/bin/jobgate", command, flags=re.MULTILINE)
    process = subprocess.Popen(
        [BASH, "-euc", command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "Ctrl+C" in line:
                break
        assert "Ctrl+C" in said, said
    finally:
        os.killpg(process.pid, 2)
        process.communicate(timeout=30)


@pytest.mark.parametrize("block", list(blocks("python")))
def test_python_blocks_run(block: Token, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the pages runs to its end, and prints what a comment beside a `print` says."""
    monkeypatch.chdir(ROOT)
    started = request.getfixturevalue("secure" if "https://127.0.0.1:8443" in block.content else "documented")
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(at(started, block.content), "page", "exec"), {"__file__": str(ROOT / "page.py")})  # noqa: S102 - our own pages
    for told in re.findall(r"print\(.*\)  # (.*)", block.content):
        assert told in printed.getvalue()


@pytest.mark.parametrize("block", list(blocks("toml")))
def test_toml_blocks_are_valid(block: Token, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TOML block is a configuration that loads, or part of a pyproject.toml."""
    for name in re.findall(r"\benv:(\w+)", block.content):
        monkeypatch.setenv(name, "c2VjcmV0")
    file = tmp_path / "jobgate.toml"
    file.write_text(block.content, encoding="utf-8")
    if "entry-points" in block.content:
        assert "jobgate.adapters" in tomllib.loads(block.content)["project"]["entry-points"]
        return
    loaded = config.load(file)
    assert loaded.connections or loaded.approvals or loaded.windows or loaded.openid or loaded.server.console


@pytest.mark.parametrize("block", list(blocks("yaml")))
def test_yaml_blocks_are_in_a_document(block: Token) -> None:
    """A YAML block that explains an extension says nothing that the documents do not have."""
    shown = yaml.safe_load(block.content)
    paths = [path for folder in ("specs/vendors", "tests/newvendor") for path in (ROOT / folder).glob("*.yaml")]
    assert any(is_part_of(shown, yaml.safe_load(path.read_text("utf-8"))) for path in paths)


def is_part_of(shown: dict[str, Any], document: dict[str, Any]) -> bool:
    """True if each extension that a block shows is in the document, with these members and perhaps more."""
    operations = [each for item in document["paths"].values() for each in item.values() if isinstance(each, dict)]
    places = [document, *operations]
    return all(any(holds(extension, place.get(name)) for place in places) for name, extension in shown.items())


def holds(shown: object, written: object) -> bool:
    """True if a value of a document says all that is shown of it; of a list, some elements are shown."""
    if isinstance(shown, dict) and isinstance(written, dict):
        return all(name in written and holds(value, written[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(written, list) and any(isinstance(each, dict) for each in shown):
        return all(any(holds(each, other) for other in written) for each in shown)
    return shown == written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of the pages leads to a file or folder."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_generated_pages_are_fresh() -> None:
    """The generated pages match the specs and the code."""
    assert documentation.stale_pages(ROOT / "docs", installed()) == {}


def test_every_problem_has_its_page() -> None:
    """Each kind of problem, and no other, has a page under docs/problems."""
    pages = {path.stem for path in (ROOT / "docs/problems").glob("*.md")} - {"README"}
    assert pages == {kind.code for kind in problem_kinds()}


def test_every_limit_is_documented() -> None:
    """A limit without a line in docs/limits.md is not there for its users."""
    text = (ROOT / "docs/limits.md").read_text("utf-8")
    assert [name for name in Limits.model_fields if f"`{name}`" not in text] == []


def test_every_dependency_says_why() -> None:
    """Each direct dependency has its row in docs/dependencies.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["development"]]
    names = {re.split(r"[\[=<>; ]", each)[0] for each in declared if isinstance(each, str)}
    rows = set(re.findall(r"^\| ([\w.-]+) \|", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.MULTILINE))
    assert names - rows == set()


def test_no_page_names_a_machine() -> None:
    """The pages speak of the project alone: no home folder, no absolute path of a checkout."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert not re.search(r"(/home/|/root/|/work/|/Users/)", text)
