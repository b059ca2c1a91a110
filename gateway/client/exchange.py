"""The exchange with a gateway: requests, pages of lists, and what a reply means."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from .errors import ProblemError, UnexpectedReply
from .sending import Adapter, is_sent, trusted, unreachable
from .values import Kind, converted

SUCCESSES = (requests.codes.ok, requests.codes.accepted)

ANY_SUCCESS = (*SUCCESSES, requests.codes.created)
"""The statuses of success of all operations. Those with a method here do not answer 201."""

PIECE = 65_536
"""Bytes of a download that are read at a time."""

NUMBERS = {"retryAfter": "Retry-After", "leftOut": "Jobgate-Left-Out"}
"""The members that are in header fields."""
LARGEST_PAGE = 200
"""Largest page of the gateway's lists, in items."""


class Exchange:
    """The calls of a client, whatever they are about."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
        verify: bool | str | Path | None = None,
    ) -> None:
        """Call the gateway at `url`, such as `http://127.0.0.1:8080`. Raises ValueError for an unusable argument.

        `connect_seconds` and `read_seconds` are the time limits for a connection and for an answer, in addition to the
        `wait` of a call.

        `verify` is a PEM file with the certificate of the authority that signed the gateway's, or with the gateway's
        own; or a folder of such files, as `openssl rehash` prepares it. True trusts the authorities of requests. False
        trusts any server, which can then read the key. If it is left out, the file named by REQUESTS_CA_BUNDLE,
        CURL_CA_BUNDLE or SSL_CERT_FILE is used, otherwise True.
        """
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("Write the gateway's URL like http://127.0.0.1:8080, without user, query and fragment.")
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise ValueError("An API key can have visible ASCII characters only.")
        self.url = url.rstrip("/")
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._session = requests.Session()
        # A proxy from the environment must not see the key, and a .netrc file must not replace it.
        self._session.trust_env = False
        self._session.verify = trusted(verify)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter())
        self._session.headers.update({"Accept": "application/json", "Authorization": f"Bearer {api_key}"})

    def __repr__(self) -> str:
        """The URL, without the key."""
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        """Use the client in a block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close its connections."""
        self.disconnect()

    def disconnect(self) -> None:
        """Close the connections to the gateway. The next call opens a new one."""
        self._session.close()

    def call(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        segments: Sequence[str],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        idempotency_key: str | None = None,
        wait: int | None = None,
    ) -> dict[str, Any]:
        """Call an operation for which there is no method here; return the JSON of the reply.

        The path is that of the `segments` below `/v1`. Raises ValueError for a segment that no URL can keep.
        """
        headers = prefer_header(strict=False, wait=wait) | key_header(idempotency_key)
        content = {"params": query, "json": body or None, "headers": headers}
        return _json(self._successful(method, path_of(*segments), wait, ANY_SUCCESS, **content))

    def pages(self, segments: Sequence[str], *, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """The pages of a list for which there is no method here, as JSON. Raises as `call`.

        Each page is requested when you come to it. Its `leftOut` is that of the header field `Jobgate-Left-Out`.
        """
        cursor: Mapping[str, str] = {}
        while True:
            reply = self._successful("GET", path_of(*segments), None, params={**(query or {}), **cursor})
            page = _json(reply)
            yield {"leftOut": 0, **page, **_numbers_in(reply)}
            if page.get("nextCursor") is None:
                return
            cursor = {"cursor": page["nextCursor"]}

    def download(self, segments: Sequence[str], *, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The body of a reply that is not JSON, such as a report, in pieces as they come. Raises as `call`."""
        headers = {"Accept": "*/*"}
        return self._pieces(
            self._successful("GET", path_of(*segments), None, params=query, headers=headers, stream=True)
        )

    def _pieces(self, reply: requests.Response) -> Iterator[bytes]:
        with reply:
            try:
                yield from reply.iter_content(PIECE)
            except (requests.RequestException, HTTPError, OSError) as error:
                raise unreachable(self.url, error) from None

    def _get(self, kind: type[Kind], path: str, **query: Any) -> Kind:
        return converted(kind, self._call("GET", path, params=query))

    def _command(
        self,
        kind: type[Kind],
        *segments: str,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Kind:
        """Post a command, without an empty body. Return what it was given to, as it is then."""
        return converted(kind, self._call("POST", path_of(*segments), json=body or None, headers=headers))

    def _list(self, kind: type[Kind], path: str, limit: int | None = None, **query: Any) -> Iterator[Kind]:
        size = None if limit is None else str(min(limit, LARGEST_PAGE))
        return islice(self._items(kind, path, {**query, "limit": size}), limit)

    def _items(self, kind: type[Kind], path: str, query: Mapping[str, Any]) -> Iterator[Kind]:
        more = True
        while more:
            page = converted(_Page, self._call("GET", path, params=query))
            yield from (converted(kind, each) for each in page.items)
            more = page.next_cursor is not None
            query = {**query, "cursor": page.next_cursor}

    def _call(self, method: str, path: str, *, wait: int | None = None, **content: Any) -> Any:
        """The JSON of a successful reply, with members from its headers. Raises ClientError."""
        reply = self._successful(method, path, wait, **content)
        return _json(reply) | _from_headers(reply)

    def _successful(
        self, method: str, path: str, wait: int | None, successes: Collection[int | None] = SUCCESSES, **content: Any
    ) -> requests.Response:
        """A reply with one of the statuses of success. Raises ClientError."""
        reply = self._send(method, f"{self.url}/v1{path}", wait or 0, content)
        if reply.status_code in successes or (method == "POST" and reply.status_code == requests.codes.created):
            return reply
        raise converted(ProblemError, _json(reply) | _from_headers(reply), reply.status_code)

    def _send(self, method: str, url: str, wait: int, content: Mapping[str, Any]) -> requests.Response:
        timeout = self._connect_seconds, self._read_seconds + wait
        is_sent.set(False)
        try:
            return self._session.request(method, url, timeout=timeout, allow_redirects=False, **content)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Without a cause: a traceback with local variables would show the headers of the request.
            raise unreachable(self.url, error) from None


@dataclass(frozen=True)
class _Page:
    items: tuple[Any, ...]
    next_cursor: str | None = None


def path_of(*segments: str) -> str:
    """A path of percent-encoded segments. Raises ValueError for empty and dot segments, which URLs do not keep."""
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise ValueError(f"{segment!r} is not a valid id or name.")
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def prefer_header(*, strict: bool, wait: int | None) -> dict[str, str]:
    """The Prefer header (RFC 7240); empty without preferences."""
    preferences = ["handling=strict"] * strict + ([f"wait={wait}"] if wait else [])
    return {"Prefer": ", ".join(preferences)} if preferences else {}


def key_header(key: str | None) -> dict[str, str]:
    """The Idempotency-Key header, a string of RFC 8941. Raises ValueError if a string cannot have such characters."""
    if key is None:
        return {}
    if not re.fullmatch("[ -~]{1,255}", key):
        raise ValueError("An idempotency key has 1 to 255 ASCII characters, without control characters.")
    return {"Idempotency-Key": '"' + re.sub(r'(["\\])', r"\\\1", key) + '"'}


def version_header(tag: str | None) -> dict[str, str]:
    """The If-Match header. Raises ValueError if it is not the version of a job."""
    if tag is None:
        return {}
    if not re.fullmatch(r'(?:W/)?"[!#-~]*"', tag):
        raise ValueError("if_match takes the version of a job as it was read, an entity tag with its quotes.")
    return {"If-Match": tag}


def _json(reply: requests.Response) -> dict[str, Any]:
    """The JSON object of a reply. Raises UnexpectedReply if there is none."""
    try:
        return converted(dict, reply.json(), reply.status_code)
    except (requests.JSONDecodeError, RecursionError):
        raise UnexpectedReply(f"The reply with status {reply.status_code} is not JSON.", reply.status_code) from None


def _from_headers(reply: requests.Response) -> dict[str, int | bool]:
    return {**_numbers_in(reply), "replayed": reply.headers.get("Idempotent-Replayed") == "true"}


def _numbers_in(reply: requests.Response) -> dict[str, int]:
    """The header fields with numbers, as members. One that holds anything else, such as a date, is left out."""
    written = {member: reply.headers.get(name, "") for member, name in NUMBERS.items()}
    return {member: int(value) for member, value in written.items() if re.fullmatch("[0-9]{1,9}", value)}
