"""Requests carry every id and text unchanged, and no reply makes the gateway fail."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import timedelta
from hashlib import sha256
from hmac import digest
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adapters.azure_job_router import verify
from gateway.app import Catalogue
from gateway.domain.encoding import dump_form
from gateway.domain.model import HttpReply, HttpRequest, JobAction, Json
from gateway.domain.retry_after import LONGEST_RETRY_AFTER, retry_after
from gateway.edge.validation import form_texts
from gateway.engine.wire import VendorReply
from gateway.specs.operations import FormField, Operation, Parameter
from tests.support.clock import NOW
from tests.support.scripted_engine import ScriptedEngine
from tests.support.transport import reply
from tests.support.vendors import ACCESS_KEY, AZURE

HOST = AZURE.removeprefix("https://")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ids = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=256
).filter(lambda text: text not in {".", ".."})
quickly = settings(max_examples=150, deadline=None)


async def sent(catalogue: Catalogue, action: str, job_id: str, **parameters: str) -> HttpRequest:
    """The one request that a job action becomes."""
    made = ScriptedEngine(catalogue, [reply(200, {})])
    await made.actions.perform(made.request("contoso-prod", action, job_id, parameters))
    (request,) = made.sent
    return request


def segments(request: HttpRequest, verb: str) -> list[str]:
    """The decoded segments of a request's path, the verb taken off; it must be plain ASCII."""
    path = urlsplit(request.url).path
    assert request.url.isascii()
    assert path.endswith(verb)
    return [unquote(segment) for segment in path.removesuffix(verb).split("/")]


@quickly
@given(job_id=ids)
@example(job_id="a:cancel")
@example(job_id="%2e%2e")
@example(job_id="..a")
@example(job_id="a?b#c")
@example(job_id="\N{ZERO WIDTH SPACE}")
async def test_an_id_is_one_segment_and_comes_back_the_same(catalogue: Catalogue, job_id: str) -> None:
    """Every id without slashes and control characters decodes to itself, in its place, and nowhere else."""
    request = await sent(catalogue, "cancel", job_id)
    assert segments(request, ":cancel") == ["", "routing", "jobs", job_id]
    assert ":" not in urlsplit(request.url).path.removesuffix(":cancel")
    assert urlsplit(request.url).query == "api-version=2023-11-01"
    assert request.url.startswith(f"{AZURE}/")


@quickly
@given(job_id=ids, assignment_id=ids)
async def test_two_ids_do_not_run_into_each_other(catalogue: Catalogue, job_id: str, assignment_id: str) -> None:
    """Job and assignment keep to their own segments."""
    request = await sent(catalogue, "close", job_id, assignmentId=assignment_id)
    assert segments(request, ":close") == ["", "routing", "jobs", job_id, "assignments", assignment_id]


@quickly
@given(job_id=ids, note=texts.filter(bool))
async def test_the_signature_covers_exactly_what_is_sent(catalogue: Catalogue, job_id: str, note: str) -> None:
    """The signature is over the path and query as they go out and over the very bytes of the body."""
    request = await sent(catalogue, "cancel", job_id, note=note)
    target = request.url.removeprefix(AZURE)
    content_hash = b64encode(sha256(request.content).digest()).decode()
    text = f"POST\n{target}\nMon, 05 Jan 2026 10:00:00 GMT;{HOST};{content_hash}"
    signature = b64encode(digest(b64decode(ACCESS_KEY), text.encode(), "sha256")).decode()
    assert request.headers["Authorization"].endswith(f"&Signature={signature}")
    assert request.headers["x-ms-content-sha256"] == content_hash
    assert verify(request, NOW + timedelta(minutes=1), AZURE)(ACCESS_KEY)
    assert not verify(replace(request, url=f"{request.url}&x=1"), NOW, AZURE)(ACCESS_KEY)


@quickly
@given(note=texts.filter(bool), disposition=texts.filter(bool))
async def test_texts_arrive_as_they_were_given(catalogue: Catalogue, note: str, disposition: str) -> None:
    """Any text goes into the JSON body and comes out of it the same, in compact UTF-8."""
    request = await sent(catalogue, "cancel", "7", note=note, dispositionCode=disposition)
    assert json.loads(request.content) == {"note": note, "dispositionCode": disposition}
    assert request.content == json.dumps(
        {"dispositionCode": disposition, "note": note}, ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8")


@quickly
@given(job_id=ids, parameters=st.fixed_dictionaries({}, optional={"note": texts, "assignmentId": ids}))
def test_what_is_encoded_can_be_decoded(catalogue: Catalogue, job_id: str, parameters: dict[str, str]) -> None:
    """A job action that becomes a vendor's request is found in that request again."""
    job_action = JobAction("close", job_id, parameters)
    mapping = catalogue.vendors["azure-job-router"].specification.actions["close"]
    assert mapping.decode(mapping.encode(job_action).parts()) == job_action


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,5} [\d:]{1,9} [\w+-]{1,6}")))
@example(text="Mon, 05 Jan 2026 10:01:30 +9999")
@example(text="Mon, 05 Jan 99999 10:01:30 GMT")
def test_no_retry_after_is_an_error(text: str) -> None:
    """Any value of Retry-After becomes a number of seconds within bounds, or None."""
    seconds = retry_after(HttpReply(429, {"retry-after": text}), NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(st.binary(max_size=60), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
)
@example(content=b'{"a": "\\ud800"}')
@example(content=b'"\xed\xa0\x80"')
@example(content=b"[" * 100_000)
@example(content=b"9" * 10_000)
def test_no_body_is_an_error(content: bytes) -> None:
    """Any reply body becomes JSON that can be written as UTF-8, or None."""
    body = VendorReply.of(HttpReply(200, {}, content)).body
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-0", "-0.0", "1e5", "1E-400", "9007199254740993.0", "18446744073709551616", "-9223372036854775809"),
        *('{"a": 1, "b": 2, "a": 3}', " \t\r\n[true, false, null] ", '"\\/\\b\\u00e9 \x7f"', "\ufeff{}", "1" * 400),
    ],
)
def test_a_body_is_read_as_the_standard_library_reads_it(text: str) -> None:
    """Numbers of any size, repeated names, white space and a mark at the start: all values are the same."""
    body = VendorReply.of(HttpReply(200, {}, text.encode())).body
    assert repr(body) == repr(json.loads(text.removeprefix("\ufeff")))


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e400", "01", "1.", "+1", "{'a': 1}", "[1,]", '"\t"', "{} {}"])
def test_what_is_not_json_is_no_body(text: str) -> None:
    """A body that other readers would take in different ways, or not at all, is none."""
    assert VendorReply.of(HttpReply(200, {}, text.encode())).body is None


def test_half_a_character_does_not_cost_the_rest() -> None:
    """A text that was cut in the middle of a surrogate pair loses that half, and nothing else is lost."""
    content = b'{"note": "cut \\ud83d", "kept": "\\ud83d\\ude00", "escaped": "\\\\ud800"}'
    assert VendorReply.of(HttpReply(200, {}, content)).body == {
        "note": "cut ?",
        "kept": "\N{GRINNING FACE}",
        "escaped": "\\ud800",
    }


def test_operations_that_take_a_body_say_of_which_type(catalogue: Catalogue) -> None:
    """Where we send a body, its type is the first that the vendor's document names."""
    operation: Operation = catalogue.vendors["azure-job-router"].specification.actions["close"].operation
    assert operation.media_types == ("application/json",)


def test_a_form_is_read_as_it_was_written() -> None:
    """Texts, numbers, booleans and arrays of them come back the same, whatever is in them; nothing else is a form."""
    fields: dict[str, Json] = {"text": "a&b=c +%ü", "none": "", "count": -3, "share": 0.5, "sure": True}
    fields |= {"tags": ["x", "y z"], "marks": [1, 2]}
    kinds = {"count": "integer", "share": "number", "sure": "boolean", "marks": "integer"}
    declared = {
        name: FormField(
            Parameter(name, "body", required=False, type=kinds.get(name, "string"), schema={}), isinstance(value, list)
        )
        for name, value in fields.items()
    }
    texts, repeated = form_texts(dump_form(fields), ["tags", "marks"])
    assert {name: declared[name].parse(each) for name, each in texts.items()} == fields
    assert not repeated
    with pytest.raises(TypeError):
        dump_form({"nested": {"a": "b"}})
