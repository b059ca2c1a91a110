"""Requests for every operation of a document: valid ones, made from its schemas, and what may be changed in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from gateway.specs.json_schema import PROPERTY_NAMES
from tests.support.edge import LIMITS
from tests.support.stock import BASE, Header, Request, Target
from tests.support.vendors import API_KEY

Change = Callable[[Request], Request]
"""Spoils one thing of a request, or changes what ought not to matter."""

AUTHORIZATION = ("authorization", f"Bearer {API_KEY}")
JSON = "application/json"


def requests(target: Target) -> st.SearchStrategy[Request]:
    """Valid requests for an operation, to which one, two or three changes are made."""
    written_down = changes(target)
    # As several branches, so that these are not lost among the others.
    change = st.one_of(*(st.sampled_from(written_down) for _ in range(3)), *_drawn(target))
    return st.builds(changed, valid(target), st.one_of(*(st.tuples(*[change] * number) for number in (1, 2, 3))))


def changed(request: Request, made: Iterable[Change]) -> Request:
    """The request, once the changes are made to it."""
    for change in made:
        request = change(request)
    return request


def plain(target: Target) -> Request:
    """The shortest valid request for an operation."""
    examples = {each["name"]: each["example"] for each in target.parameters if each["in"] == "path"}
    needed = {name: str(_least(target.schemas("query")[name])) for name in target.needed("query")}
    return _request(
        target, examples, needed, (), None if target.body is None else json.dumps(_least(target.body)).encode()
    )


def _least(schema: Mapping[str, Any]) -> Any:
    """A short value of a schema, with nothing that can be left out."""
    if "oneOf" in schema:
        return _least(_alternatives(schema)[0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {name: _least(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [_least(schema["items"])] * schema.get("minItems", 0)
        case "integer":
            return schema["minimum"]
    texts = ["2030-01-01T00:00:00Z"] if schema.get("format") == "date-time" else ["a", "0" * 64]
    return next(text for text in texts if re.search(schema.get("pattern", ""), text))


def _alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which a value fits one. Those of an object may say no more than which members it has to have."""
    common = {name: rule for name, rule in schema.items() if name != "oneOf"}
    if "properties" not in common:
        found: list[Mapping[str, Any]] = schema["oneOf"]
        return found
    required = [{*each["required"]} for each in schema["oneOf"]]
    others = [set().union(*required) - each for each in required]
    return [
        {
            **common,
            "properties": {name: each for name, each in schema["properties"].items() if name not in left_out},
            "required": sorted({*schema.get("required", ()), *needed}),
        }
        for needed, left_out in zip(required, others, strict=True)
    ]


# Valid requests.


def valid(target: Target) -> st.SearchStrategy[Request]:
    """Valid requests for an operation, with a body where it takes one."""
    return st.builds(
        partial(_request, target),
        st.fixed_dictionaries({name: _values(schema) for name, schema in target.schemas("path").items()}),
        _queries(target),
        _fields(target),
        st.none() if target.body is None else st.builds(_written, _values(target.body), st.sampled_from([None, 1])),
        st.sampled_from(["", "!$&'()*+,;=:@~"]),
    )


def _request(
    target: Target,
    path: Mapping[str, str],
    query: Mapping[str, str | list[str]],
    fields: tuple[Header, ...],
    content: bytes | None,
    unquoted: str = "",
) -> Request:
    segments = {name: quote(value, safe=unquoted) for name, value in path.items()}
    headers = (("host", "gateway.test"), AUTHORIZATION, *fields)
    made = Request(target, target.method, target.path.format(**segments), urlencode(query, doseq=True), headers)
    return made if content is None else replace(made, content=content, headers=(*headers, ("content-type", JSON)))


def _written(value: Any, indent: int | None) -> bytes:
    return json.dumps(value, ensure_ascii=indent is None, indent=indent).encode()


def _fields(target: Target) -> st.SearchStrategy[tuple[Header, ...]]:
    named = {name.lower(): _field_of(schema) for name, schema in target.schemas("header").items()}
    return st.fixed_dictionaries({}, optional=named).map(lambda fields: tuple(fields.items()))


def _field_of(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    return _strings(schema) if "pattern" in schema else _field_values(schema["maxLength"])


def _field_values(longest: int) -> st.SearchStrategy[str]:
    """What can be in a header field, from whose ends a server takes spaces away."""
    printable = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
    return st.text(printable, max_size=20).map(lambda text: text.strip(" ")) | st.just("é" * longest)


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """The values of a schema, as text."""
    return _values(schema).map(lambda value: value if isinstance(value, str) else json.dumps(value))


def _queries(target: Target) -> st.SearchStrategy[dict[str, Any]]:
    values = {name: _written_as(schema) for name, schema in target.schemas("query").items()}
    needed = {name: values.pop(name) for name in target.needed("query")}
    return st.fixed_dictionaries(needed, optional=values)


def _written_as(schema: Mapping[str, Any]) -> st.SearchStrategy[str | list[str]]:
    """The values of a query parameter: a text or, of an array, several. Connexion separates them at commas too."""
    if schema["type"] != "array":
        return _texts(schema)
    return st.lists(_texts(schema["items"]).filter(lambda text: "," not in text), min_size=1, max_size=3)


def of_one(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of one value of a parameter: of an array, that of its elements."""
    found: Mapping[str, Any] = schema.get("items", schema)
    return found


def _values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "oneOf" in schema:
        return st.one_of(*map(_values, _alternatives(schema)))
    return st.sampled_from(schema["enum"]) if "enum" in schema else VALUES[schema["type"]](schema)


def _objects(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in schema:
        members = {name: _values(each) for name, each in schema["properties"].items()}
        required = {name: members.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(required, optional=members)
    names = st.from_regex(schema.get(PROPERTY_NAMES, {}).get("pattern", "[a-z]+"), fullmatch=True)
    return st.dictionaries(names, _values(schema["additionalProperties"]), max_size=3)


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    shortest, longest = schema.get("minLength", 0), schema["maxLength"]
    if schema.get("format") == "date-time":
        return st.builds(_moment, st.datetimes(), st.sampled_from(FRACTIONS), st.sampled_from(OFFSETS))
    if "pattern" not in schema:
        return st.text(min_size=shortest, max_size=20) | st.just("\N{GRINNING FACE}" * longest)
    fitting = st.from_regex(schema["pattern"], fullmatch=True)
    return fitting.filter(lambda text: shortest <= len(text) <= longest and text not in {".", ".."})


def _moment(moment: datetime, fraction: str, offset: str) -> str:
    return moment.isoformat(timespec="seconds") + fraction + offset


FRACTIONS = ["", ".5", ".123456789"]
OFFSETS = ["Z", "z", "+00:00", "-00:00", "+23:59", "-12:30"]

VALUES: Mapping[str, Callable[[Mapping[str, Any]], st.SearchStrategy[Any]]] = {
    "boolean": lambda _: st.booleans(),
    "integer": lambda schema: st.integers(schema["minimum"], schema["maximum"]),
    "number": lambda schema: st.floats(schema["minimum"], schema["maximum"]),
    "array": lambda schema: st.lists(_values(schema["items"]), min_size=schema.get("minItems", 0), max_size=3),
    "string": _strings,
    "object": _objects,
}
"""Valid values by type."""


# What may be changed.


def segment(request: Request, name: str, text: str) -> Request:
    """Put a text in the place of a path parameter."""
    template, sent = request.target.path.split("/"), request.path.split("/")
    if len(template) != len(sent):
        return request
    sent[template.index(f"{{{name}}}")] = text
    return replace(request, path="/".join(sent))


def path(request: Request, where: str, text: str) -> Request:
    """Put a text in the place of the first part of the path that has a form."""
    return replace(request, path=re.sub(where, lambda _: text, request.path, count=1))


def query(request: Request, name: str, text: str) -> Request:
    """Set a query parameter."""
    others = [pair for pair in request.query.split("&") if pair and pair.split("=")[0] != name]
    return replace(request, query="&".join([*others, f"{name}={text}"]))


def also_query(request: Request, text: str) -> Request:
    """Add to the query."""
    return replace(request, query=f"{request.query}&{text}" if request.query else text)


def repeated(request: Request, name: str, text: str) -> Request:
    """Add a query parameter, which may be there already."""
    return also_query(request, urlencode({name: text}))


def field(request: Request, name: str, value: str) -> Request:
    """Set a header field."""
    return also_field(without(request, name), name, value)


def also_field(request: Request, name: str, value: str) -> Request:
    """Add a header field, which may be there already."""
    return replace(request, headers=(*request.headers, (name, value)))


def without(request: Request, name: str) -> Request:
    """Leave a header field out."""
    return replace(request, headers=tuple(each for each in request.headers if each[0] != name))


def filler(request: Request, count: int, size: int) -> Request:
    """Add header fields that mean nothing."""
    more = tuple((f"x-filler-{number}", "x" * size) for number in range(count))
    return replace(request, headers=(*request.headers, *more))


def content(request: Request, body: bytes) -> Request:
    """Send another body, as JSON where there is no content type."""
    typed = request if request.value("content-type") is not None else field(request, "content-type", JSON)
    return replace(typed, content=body)


def member(request: Request, name: str, value: Any) -> Request:
    """Set a member of the body."""
    others = request.json if isinstance(request.json, dict) else {}
    return content(request, json.dumps({**others, name: value}).encode())


def no_content(request: Request) -> Request:
    """Send no body."""
    return replace(request, content=b"")


def padded(request: Request, size: int) -> Request:
    """Fill the body up with spaces."""
    return replace(request, content=request.content.ljust(size))


def chunked(request: Request, pieces: int) -> Request:
    """Send the body in pieces, without its length."""
    return replace(request, pieces=pieces)


def method(request: Request, name: str) -> Request:
    """Use another method."""
    return replace(request, method=name)


def changes(target: Target) -> list[Change]:
    """Every change that is written down here, as far as an operation has a place for it."""
    return [
        *(partial(segment, name=name, text=text) for name in target.schemas("path") for text in RAW + SEGMENTS),
        *(partial(path, where=where, text=text) for where, texts in PATHS.items() for text in texts),
        *(partial(query, name=name, text=text) for name in target.schemas("query") for text in RAW),
        *(
            partial(query, name=name, text=quote(text))
            for name, schema in target.schemas("query").items()
            for text in _almost(of_one(schema))
        ),
        *(partial(also_query, text=text) for text in QUERIES),
        *(partial(field, name="authorization", value=value) for value in CREDENTIALS),
        *(partial(field, name="content-type", value=value) for value in TYPES),
        *(
            partial(how, name=name.lower(), value=value)
            for name, schema in target.schemas("header").items()
            for value in ("", "a", "a" * schema["maxLength"], "a" * (schema["maxLength"] + 1))
            for how in (field, also_field)
        ),
        *FIELDS,
        *(
            partial(member, name=name, value=text)
            for name, schema in target.members.items()
            for text in _almost(schema)
        ),
        *(partial(content, body=body) for body in BODIES),
        *SHAPES,
    ]


def first_changes(targets: Iterable[Target]) -> dict[str, list[Change]]:
    """For each operation, the changes that no earlier operation of its kind has with the same schema.

    Operations are of one kind if they have the same method, as many path parameters in the same places, and a body or
    none. How many there are of a kind makes no difference to who serves them.
    """
    tried = set[Hashable]()
    found: dict[str, list[Change]] = {}
    for target in targets:
        described = {(_kind(target), _description(target, change)): change for change in changes(target)}
        found[target.operation_id] = [change for each, change in described.items() if each not in tried]
        tried |= described.keys()
    return found


def _kind(target: Target) -> Hashable:
    places = [segment.startswith("{") for segment in target.path.split("/")]
    return target.method, target.body is None, *places


def _description(target: Target, change: Change) -> str:
    """All that a change depends on: its values, and the schemas that the operation has for its name."""
    if not isinstance(change, partial):
        return repr(change)
    members = [target.members, *(target.schemas(location) for location in ("path", "query", "header"))]
    name = change.keywords.get("name")
    schemas = [schema for each in members for key, schema in each.items() if name in {key, key.lower()}]
    return repr((change.func, change.keywords, schemas))


def _almost(schema: Mapping[str, Any]) -> list[str]:
    """Texts that are almost values of a schema, and some that are."""
    longest = schema.get("maxLength", 20)
    return ["a" * longest, "a" * (longest + 1), *WORDS, *FORMS.get(schema.get("format", schema.get("type")), [])]


def _drawn(target: Target) -> Iterator[st.SearchStrategy[Change]]:
    """The changes that are too many to be written down."""
    for name in target.schemas("path"):
        yield _change(segment, name=st.just(name), text=SHORT.map(lambda text: quote(text, safe="")))
    for name, whole in target.schemas("query").items():
        schema = of_one(whole)
        yield _change(query, name=st.just(name), text=_near(schema).map(quote))
        yield _change(repeated, name=st.just(name), text=_texts(schema) | _near(schema))
    for name, schema in target.schemas("header").items():
        for how in (field, also_field):
            yield _change(how, name=st.just(name.lower()), value=_field_values(schema["maxLength"] + 1))
    yield _change(field, name=st.just("content-type"), value=_mistyped(st.sampled_from(TYPES)).map(str.strip))
    for name, schema in target.members.items():
        yield _change(member, name=st.just(name), value=_near(schema))
        yield _change(member, name=st.just(name), value=ANYTHING)
    yield _change(member, name=SHORT, value=ANYTHING)
    yield _change(content, body=st.binary(max_size=20))


def _change(how: Callable[..., Request], **drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[Change]:
    return st.fixed_dictionaries(drawn).map(lambda values: partial(how, **values))


def _near(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Texts of almost the form of a schema's values."""
    values = _texts(schema)
    forms = NEAR.get(schema.get("format", schema.get("type")), [])
    return st.one_of(values.map(lambda text: f"{text}\n"), values.map(str.upper), _mistyped(values), SHORT, *forms)


def _mistyped(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with one character in the place of another, of none or of several."""
    places, characters = st.integers(0, 63), st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    return st.builds(_put, texts, places, characters, st.integers(0, 2))


def _put(text: str, place: int, character: str, instead_of: int) -> str:
    place %= len(text) + 1
    return text[:place] + character + text[place + instead_of :]


SHORT = st.text(max_size=5)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SHORT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SHORT, inner, max_size=2),
    max_leaves=3,
)
"""Any JSON, and NaN and infinities."""

NEAR = {
    "integer": [
        st.from_regex(r"\s?[+-]?\d{1,3}(_\d)?\s?", fullmatch=True),
        st.integers(-1, 201).map(str),
        st.integers().map(str),
    ],
    "date-time": [
        st.from_regex(
            r"(\d{4}|0000)-\d{2}-\d{2}[Tt _]\d{2}:\d{2}:(\d{2}|60)([.,]\d{0,3})?([Zz]|[+-]\d{2}:?\d{2})?",
            fullmatch=True,
        ),
        st.from_regex(
            r"(19|00)[0-9][0-9]-(02-(2[89]|30)|1[0-3]-3[01])[Tt](23:59|2[34]:[56][09]):(60|59)(\.[0-9]{0,3})?"
            r"([Zz]|[+-](00:00|12:[56][09]|2[34]:59))\n?",
            fullmatch=True,
        ),
    ],
}
"""Texts that look like values of a type or a format, and now and then are some. `\\d` is a digit of any script."""

WORDS = [
    "", " ", ".", "..", "null", "None", "true", "True", "TRUE", " true", "false", "fAlse", "1", "0", "yes", "NaN",
    "Infinity", "[5]", "{}", "5,6", "queued", "Queued", "queued\n", "vendor", "VENDOR", "a\n", "\n", "a/b", "a\\b",
    "a\x00", "é", "\N{GRINNING FACE}",
]  # fmt: skip
"""Texts that are values of something, but hardly of what they are given for."""

FORMS = {
    "integer": [
        "5", "200", "201", "-1", "-0", "+5", "05", " 5", "5 ", "5\n", "5_0", "5.0", "5.5", "5e0", "0x5", "5L",
        "1" * 21, "9" * 5_000, "\N{ARABIC-INDIC DIGIT FIVE}", "\N{FULLWIDTH DIGIT FIVE}", "\N{SUPERSCRIPT TWO}",
        "\N{MINUS SIGN}5",
    ],
    "date-time": [
        "2030-01-01T00:00:00Z", "2030-01-01t00:00:00z", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z",
        "2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00.Z", "2030-01-01T00:00:00,5Z", "2030-01-01T00:00Z",
        "2030-01-01T00:00:00.12345678901234567890123456789012345678901Z", "2030-01-01T00:00:00+00",
        "2030-01-01T00:00:00+23:59", "2030-01-01T00:00:00+24:00", "2030-01-01T00:00:00-00:00",
        "2030-01-01T00:00:00+0000", "2030-01-01T00:00:00\N{MINUS SIGN}01:00", "2030-01-01T24:00:00Z",
        "2030-01-01T23:60:00Z", "2030-01-01T00:00:61Z", "2016-12-31T23:59:60Z", "2016-12-31T18:59:60-05:00",
        "2016-12-31T23:59:60-05:00", "2016-12-31T23:58:60Z", "2028-02-29T00:00:00Z", "2030-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z", "2030-02-30T00:00:00Z", "2030-04-31T00:00:00Z", "2030-13-01T00:00:00Z",
        "2030-00-01T00:00:00Z", "2030-01-00T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "+2030-01-01T00:00:00Z", "-2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00Z\n", " 2030-01-01T00:00:00Z", "2030-1-1T00:00:00Z", "2030-W01-1T00:00:00Z",
        "20300101T000000Z", "2030-01-01", "1893456000", "\N{ARABIC-INDIC DIGIT TWO}030-01-01T00:00:00Z",
        "203.-01-01T00:00:00Z", "2030-0+-01T00:00:00Z", "2030-01-0/T00:00:00Z", "2030-01-01T00:00:00+00:0*",
    ],
}  # fmt: skip
"""More such texts, by the format or the type that they are given for."""

RAW = [
    "%", "%zz", "%4", "%ff", "%c0%af", "%ed%a0%80", "%00", "%0A", "a%0A", "%7F", "+5", "5+", "%2B5", "%35", "%D9%A5",
    "a=b", "5;6",
]  # fmt: skip
"""Texts whose percent-encoding is broken, odd or matters."""

SEGMENTS = [
    "", ".", "..", "%2e%2E", ".%2e", "...", "..a", "a%2Fb", "a%2fcancel", "%2F", "a%5Cb", "a%00", "%20", "a+b",
    "~._-!$&'()*,;=@", "a:cancel", "a%3Acancel", "a%3Fb%23c", "a%252Fb", "%252e%252e", "%C2%85", "%E2%80%A8", "null",
    "7", "A", "a-", "-a", "a" * 63, "a" * 64, "a" * 256, "a" * 257, "%F0%9F%98%80" * 256, "%F0%9F%98%80" * 257,
    "019A9B3C-5E0E-7C4B-9F5A-3D8F0E1C2B4A", "019a9b3c5e0e7c4b9f5a3d8f0e1c2b4a", "019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4g",
    "019a9b3c-5e0e-7c4b-9f5a-3d8f0e1c2b4a%0A",
]  # fmt: skip
"""What may be found in the place of a path parameter."""

PATHS = {
    "$": ["/", "//", "%2F", "/.", "/..", "/%2e%2e", "%0A", "/again", ";a=b", "%20", "%", "%ff"],
    f"^{BASE}": [
        "", f"/{BASE}", f"{BASE}/", f"{BASE}/.", f"/.{BASE}", f"{BASE}/..{BASE}", BASE.upper(), "/v2", "/%76%31",
        "/v%31", "/%76%31/%2e", "%2Fv1", f"{BASE}%0A", f"{BASE}%00", f"{BASE}%2F",
    ],
    "/(?=[^/]+$)": ["%2F", "%5C", "//", "/./", "/%2e/"],
    "/(?=[^/]+/[^/]+$)": ["%2f", "\\"],
    "[a-z]$": ["%61"],
}  # fmt: skip
"""What to put where in a path: two readers could take it differently, or it is only written differently."""

QUERIES = [
    "unheardOf=1", "Limit=5", "limit[]=5", "limit[a]=5", "%6cimit=5", "limit", "dryRun", "=", "=5", "&", "&&", "%",
    "%ff=1", "limit%00=5", "access_token=x", "api_key=x", "limit=5;cursor=a", "limit=5&limit=6", "limit=5&limit=5",
    "dryRun=true&dryRun=false", "x" * 17_000, "cursor=" + "%61" * 6_000,
]  # fmt: skip

CREDENTIALS = [
    "", "Bearer", "Bearer x", f"bearer {API_KEY}", f"BEARER   {API_KEY}", f"Bearer {API_KEY}x", f"Bearer {API_KEY} x",
    f"Bearer {API_KEY},", f"Bearer {API_KEY.upper()}", f"Basic {API_KEY}", API_KEY, f"Bearer\t{API_KEY}",
    f"Bearer\xa0{API_KEY}", f"\x85Bearer {API_KEY}", f"Bearer {API_KEY}\xa0", f"Bearer {API_KEY}\t\x85",
    f"Bearer \xa0{API_KEY}", f"Bearer \t{API_KEY}",
]  # fmt: skip

TYPES = [
    JSON, "application/json;charset=utf-8", "application/json; charset=utf-8", "application/json; charset=UTF-8",
    "application/json;", 'application/json;charset="utf-8"', "application/json ; charset=utf-8",
    "application/json;x=y", 'application/json; profile="a/b"', "Application/JSON", "APPLICATION/JSON; charset=utf-8",
    "application/json;charset=latin-1", "application/json; charset=latin-1", "application/json; Charset=latin-1",
    "application/json;charset=utf-16", "application/json;charset=bogus", "application/json; charset=bogus",
    'application/json;charset="utf-8"0', "application/problem+json", "application/jsonx", "application/*", "*/*",
    "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data",
    "multipart/form-data; boundary=x", "Multipart/Form-Data", "application/json, text/plain", "application/json/x",
    "application/", "json", "", ";", "é/é", "Application/JSON ; charset=utf-8", "application/json\xa0",
    "application/json;charset", "application/json; x=y z", 'application/json; x="; charset=latin-1"',
]  # fmt: skip

FIELDS: list[Change] = [
    partial(without, name="authorization"),
    partial(also_field, name="authorization", value=AUTHORIZATION[1]),
    partial(also_field, name="authorization", value="Bearer x"),
    partial(without, name="content-type"),
    partial(also_field, name="content-type", value=JSON),
    partial(also_field, name="content-type", value="text/plain"),
    *(partial(field, name="content-encoding", value=each) for each in ("identity", "Identity", "gzip", "x", "")),
    partial(also_field, name="content-encoding", value="identity"),
    partial(also_field, name="host", value="gateway.test"),
    partial(also_field, name="idempotency-key", value="x"),
    partial(also_field, name="accept", value="text/html"),
    partial(also_field, name="expect", value="100-continue"),
    partial(filler, count=LIMITS.header_count, size=1),
    partial(filler, count=1, size=LIMITS.header_bytes),
    partial(filler, count=40, size=10),
]
"""The other header fields of which it matters who reads them, and how."""

BODIES = [
    b"{}", b" {} ", b"[]", b"null", b"7", b'"a"', b"true", b"", b" ", b"{", b"{}{}", b"\x00{}", b"\xef\xbb\xbf{}",
    b"{'a':1}", b"note=a", b"--x\r\n\r\n--x--\r\n", b"<a/>",
    b'{"note":"a","note":"b"}', b'{"note":7,"no\\u0074e":"b"}', b'{"note":"a","note":7}', b'{"x":1,"x":2}',
    b'{"note":"\\ud800"}', b'{"note":"\\ud83d\\ude00"}', b'{"\\udc00":1}', b'{"note":"\xed\xa0\x80"}',
    b'{"note":"\xff"}', b'{"note":"\xe9"}', '{"note":"é"}'.encode(), '{"note":"é"}'.encode("utf-16"),
    b'{"note":"a\nb"}', b'{"note":"a\\nb"}', b'{"note":NaN}', b'{"note":-Infinity}', b"NaN", b'{"note":1e400}',
    b'{"note":+1}', b'{"note":01}', b'{"note":1,}',
    *(b'{"note":' + b"1" * digits + b"}" for digits in (20, 21, 5_000)),
    *(b"[" * depth + b"]" * depth for depth in (32, 33, 100, 30_000)),
    *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (33, 9_000)),
]  # fmt: skip

SHAPES: list[Change] = [
    no_content,
    *(partial(chunked, pieces=pieces) for pieces in (1, 2, 5)),
    *(partial(padded, size=LIMITS.body_bytes + more) for more in (0, 1)),
    *(partial(method, name=name) for name in ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "get")),
]
"""The same request, sent otherwise."""
