"""The contenders: what each is, how it is started, and what it must refuse before it is measured."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from bench.work import (
    CLIENT_TARGET,
    JOB_ACTION,
    NATIVE_TARGET,
    UNKNOWN_KEY,
    UNKNOWN_MEMBER,
    VENDOR_TARGET,
    WRONG_TYPE,
    Ask,
)

NODE = Path(__file__).parent / "node"
"""Where the programs that need node are."""
MODULES = NODE / "node_modules"

NOTHING: Mapping[str, str] = MappingProxyType({})
EVERYTHING = (UNKNOWN_MEMBER, WRONG_TYPE, UNKNOWN_KEY)


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    In `command` and `environment`, {port} is where to listen, {upstream} the vendor's URL, {bin} the folder of this
    Python, {node} the folder of node's programs, and {folder} that of the files made for the run. Without a command,
    the vendor itself is asked. `with_keys`: each request has an idempotency key of its own.
    """

    name: str
    title: str
    what: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    target: str = CLIENT_TARGET
    answer: Mapping[str, str] = field(default_factory=lambda: JOB_ACTION)
    refuses: tuple[Ask, ...] = EVERYTHING
    needs_node: bool = False
    needs_postgresql: bool = False
    with_keys: bool = False


def uvicorn(module: str) -> tuple[str, ...]:
    """The command that serves a Python contender."""
    options = "--port {port} --workers 1 --loop uvloop --http httptools --no-access-log --log-level critical"
    return ("{bin}/python", "-W", "ignore", "-m", "uvicorn", f"bench.contenders.{module}:app", *options.split())


def connexion(module: str) -> dict[str, str]:
    """How Connexion is told who checks bearer tokens, where the document does not say it."""
    return {"BEARERINFO_FUNC": f"bench.contenders.{module}.check_key"}


def jobgate(*options: str, settings: str = "jobgate.toml") -> tuple[str, ...]:
    """The command that serves Jobgate."""
    return ("{bin}/jobgate", "serve", "--config", f"{{folder}}/{settings}", "--port", "{port}", *options)


CONTENDERS = (
    Contender(
        "jobgate",
        "Jobgate",
        "With everything on but its access log. Does more than the others: it holds the vendor's request against the"
        " vendor's document, proves who it is with an OAuth token that it has got for itself, and answers with the"
        " whole record of the job action. That is in its ledger, a SQLite file: what is asked for is on the disk before"
        " the vendor is asked, and what came of it before the client is answered.",
        jobgate("--no-access-log"),
    ),
    Contender(
        "jobgate-without-ledger",
        "Jobgate, without its ledger",
        "The same with its records in memory, where they end with the process. No setting does that: it is there to be"
        " measured beside the others, none of which keeps anything.",
        (
            "{bin}/python",
            "-m",
            "bench.contenders.without_ledger",
            "--config",
            "{folder}/jobgate.toml",
            "--port",
            "{port}",
        ),
    ),
    Contender(
        "jobgate-keys",
        "Jobgate, idempotency keys",
        "Each request has an idempotency key of its own, so the claim of the key is a commit of its own too.",
        jobgate("--no-access-log"),
        with_keys=True,
    ),
    Contender(
        "jobgate-native",
        "Jobgate, asked as the vendor is",
        "The vendor's own request, as its clients send it, at Jobgate instead of at the vendor: all that Jobgate does,"
        " and the vendor's own answer, which is an empty object.",
        jobgate("--no-access-log"),
        target=NATIVE_TARGET,
        answer=NOTHING,
    ),
    Contender(
        "jobgate-postgresql",
        "Jobgate, ledger in PostgreSQL",
        "PostgreSQL, with its own settings, runs on the core of vendor and load, and waits for its disk as SQLite does."
        " Its memory is not counted.",
        jobgate("--no-access-log"),
        needs_postgresql=True,
    ),
    Contender(
        "jobgate-signing",
        "Jobgate, signing each request",
        "With the vendor's access key instead of a token: each request is signed with HMAC-SHA256.",
        jobgate("--no-access-log", settings="jobgate-signing.toml"),
    ),
    Contender(
        "jobgate-access-log",
        "Jobgate, access log on",
        "As it starts by itself. The log goes to a file.",
        jobgate(),
    ),
    Contender(
        "jobgate-2-workers",
        "Jobgate, 2 workers",
        "Two processes that share the port.",
        jobgate("--no-access-log", "--workers", "2"),
    ),
    Contender(
        "floor",
        "Floor: bare ASGI + aiohttp",
        "Parses JSON, translates and forwards, and checks nothing at all: neither key nor path nor body.",
        uvicorn("floor"),
        refuses=(),
    ),
    Contender(
        "connexion-flask",
        "Connexion FlaskApp + requests",
        "Stock, from the same document. Connexion serves Flask from ten threads, so ten requests at most wait for the"
        " vendor at once.",
        uvicorn("flask_requests"),
        connexion("flask_requests"),
    ),
    Contender(
        "connexion-async",
        "Connexion AsyncApp + httpx",
        "Stock, from the same document. One client of up to 1,000 connections that keeps twenty idle ones; with more of"
        " them, httpx is slower.",
        uvicorn("async_httpx"),
        connexion("async_httpx"),
    ),
    Contender(
        "fastapi",
        "FastAPI + httpx",
        "The constraints of the document as types. The same client.",
        uvicorn("fastapi_httpx"),
    ),
    Contender(
        "prism",
        "Prism proxy",
        "Does less than the others: it validates the vendor's request against the vendor's document and passes it on"
        " unchanged. It wants an Authorization header, and takes any.",
        (
            *("{node}/node_modules/.bin/prism", "proxy", "specs/vendors/azure-job-router.yaml", "{upstream}"),
            *("--errors", "--port", "{port}", "--verboseLevel", "error"),
        ),
        target=VENDOR_TARGET,
        answer=NOTHING,
        refuses=(WRONG_TYPE,),
        needs_node=True,
    ),
    Contender(
        "express",
        "express-openapi-validator + undici",
        "From the same document, in JSON and without its responses.",
        ("node", "{node}/express.js"),
        needs_node=True,
    ),
    Contender(
        "fastify",
        "fastify-openapi-glue + undici",
        "From the same document, in JSON and without its responses. It converts a member of the wrong type to the right"
        " one where that can be done, instead of refusing it.",
        ("node", "{node}/fastify.js"),
        refuses=(UNKNOWN_MEMBER, UNKNOWN_KEY),
        needs_node=True,
    ),
    Contender(
        "straight",
        "No gateway: straight to the vendor",
        "What load generator and vendor do on their core when nothing is between them.",
        (),
        target=VENDOR_TARGET,
        answer=NOTHING,
        refuses=(),
    ),
)


def node_is_missing() -> str | None:
    """Why the contenders that need node cannot start, None where they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not MODULES.exists():
        return "their packages are not installed; where node is present, `make bench` installs them"
    return None
