"""The contenders: their descriptions, their commands, and the requests that each must refuse."""

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
"""The folder of the programs that need node."""
MODULES = NODE / "node_modules"

NOTHING: Mapping[str, str] = MappingProxyType({})
EVERYTHING = (UNKNOWN_MEMBER, WRONG_TYPE, UNKNOWN_KEY)


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    In `command` and `environment`, {port} is the port to listen on, {upstream} the vendor's URL, {bin} the folder of
    this Python, {served} that of the Python that serves Jobgate, {node} the folder of node's programs, and {folder}
    that of the files made for the run. Without a command, requests go to the vendor itself. `with_keys`: each request
    has its own idempotency key.
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
    """The environment that names Connexion's check of bearer tokens, which the document does not name."""
    return {"BEARERINFO_FUNC": f"bench.contenders.{module}.check_key"}


def jobgate(*options: str, settings: str = "jobgate.toml") -> tuple[str, ...]:
    """The command that serves Jobgate."""
    return ("{served}/jobgate", "serve", "--config", f"{{folder}}/{settings}", "--port", "{port}", *options)


CONTENDERS = (
    Contender(
        "jobgate",
        "Jobgate",
        "With everything enabled except its access log. It does more than the others: it validates the vendor's request"
        " against the vendor's document, authenticates with an OAuth token that it has requested itself, and answers"
        " with the whole record of the job action. The record is in its ledger, a SQLite file: the request is on the"
        " disk before the vendor is called, and the outcome before the client gets its answer.",
        jobgate("--no-access-log"),
    ),
    Contender(
        "jobgate-without-ledger",
        "Jobgate, without its ledger",
        "The same with its records in memory, which are lost with the process. No setting does that: it exists for"
        " the comparison with the others, which keep no records.",
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
        "Each request has its own idempotency key, so the claim of the key is a separate commit.",
        jobgate("--no-access-log"),
        with_keys=True,
    ),
    Contender(
        "jobgate-native",
        "Jobgate, native API",
        "The vendor's own request, as its clients send it, to Jobgate instead of to the vendor. Jobgate does the same"
        " work, and gives the vendor's own answer, an empty object.",
        jobgate("--no-access-log"),
        target=NATIVE_TARGET,
        answer=NOTHING,
    ),
    Contender(
        "jobgate-postgresql",
        "Jobgate, ledger in PostgreSQL",
        "PostgreSQL, with its default settings, runs on the core of vendor and load, and waits for the disk as SQLite"
        " does. Its memory is not counted.",
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
        "With the default settings. The log goes to a file.",
        jobgate(),
    ),
    Contender(
        "floor",
        "Floor: bare ASGI + aiohttp",
        "Parses JSON, translates and forwards. It checks nothing: neither key nor path nor body.",
        uvicorn("floor"),
        refuses=(),
    ),
    Contender(
        "connexion-flask",
        "Connexion FlaskApp + requests",
        "Stock, from the same document. Connexion serves Flask from ten threads, so at most ten requests wait for the"
        " vendor at the same time.",
        uvicorn("flask_requests"),
        connexion("flask_requests"),
    ),
    Contender(
        "connexion-async",
        "Connexion AsyncApp + httpx",
        "Stock, from the same document. One client with up to 1,000 connections that keeps twenty idle ones; httpx is"
        " slower with more idle ones.",
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
        "Does less than the others: it validates the vendor's request against the vendor's document and forwards it"
        " unchanged. It requires an Authorization header, and accepts any value.",
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
        " one if possible, instead of refusing it.",
        ("node", "{node}/fastify.js"),
        refuses=(UNKNOWN_MEMBER, UNKNOWN_KEY),
        needs_node=True,
    ),
    Contender(
        "straight",
        "No gateway: straight to the vendor",
        "Load generator and vendor on their core, with nothing between them.",
        (),
        target=VENDOR_TARGET,
        answer=NOTHING,
        refuses=(),
    ),
)


def node_is_missing() -> str | None:
    """The reason why the contenders that need node cannot start, None if they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not MODULES.exists():
        return "their packages are not installed; `make bench` installs them if node is present"
    return None
