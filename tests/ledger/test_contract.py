"""What the port `Ledger` promises, whatever keeps it: the memory, SQLite or PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from gateway.domain.errors import LedgerUnavailable
from gateway.domain.model import Outcome, StatusPair
from gateway.domain.ports import Ledger
from gateway.domain.record import Concluded, HeldKey, Holder, JobActionRecord, Overtaken, Read, Selection, Sent, Tally
from gateway.ledger import queries
from tests.ledger.fixtures import CALLER, KEY_TIME, LEASE, Ledgers, begun, concluded, done, held, new_record
from tests.support.clock import FakeClock

OTHER = "somebody-else"
RETRYABLE = "vendor-unreachable"
MANY = 30


@dataclass(frozen=True)
class Claimed:
    """What came of a claim: who held the key, by the id of the record and the fingerprint; None: nobody did."""

    record: str | None = None
    fingerprint: bytes | None = None


FREE = Claimed()


async def claim(ledger: Ledger, record: JobActionRecord, fingerprint: bytes = b"1" * 32) -> Claimed:
    """Claim a record with its key."""
    holder = await ledger.claim(record, record.requested.at + LEASE, held(record, fingerprint))
    return FREE if holder is None else Claimed(holder.record.id, holder.fingerprint)


async def test_a_record_grows_with_its_events(ledger: Ledger, clock: FakeClock) -> None:
    """Each event gives the record with it, and that is what is read back after it."""
    record = new_record(clock, "key-1", parameters={"note": "why"})
    assert await claim(ledger, record) == FREE
    assert await ledger.get(record.id, CALLER) == record
    steps: list[Sent | Read | Concluded] = [
        Sent(clock.now(), {"assignmentId": "found"}),
        concluded(clock, Outcome.UNKNOWN),
        Read(clock.now(), problem=RETRYABLE),
        Read(clock.now(), StatusPair("cancelled", "cancelled")),
        concluded(clock, Outcome.APPLIED),
    ]
    expected = record
    for event in steps:
        expected = expected.with_event(event)
        if isinstance(event, Sent):
            record = await ledger.sent(record, event)
        else:
            record = await ledger.append(record, event, None)
        assert record == expected
        assert await ledger.get(record.id, CALLER) == expected


async def test_a_record_without_a_key_is_there_with_its_next_event(ledger: Ledger, clock: FakeClock) -> None:
    """A claim without a key need not be waited for: once the next event is on the storage, so is the request."""
    record = new_record(clock)
    assert await ledger.claim(record, clock.now() + LEASE, None) is None
    sent = await ledger.sent(record, Sent(clock.now()))
    assert await ledger.get(record.id, CALLER) == sent == record.with_event(Sent(clock.now()))


async def test_two_requests_without_a_key_are_two_actions(ledger: Ledger, clock: FakeClock) -> None:
    """Without a key nothing is held: the same request again is another action."""
    first = await done(ledger, clock, new_record(clock))
    second = await done(ledger, clock, new_record(clock))
    page = await ledger.page(Selection(CALLER), 10, None)
    assert page.items == (second, first)


async def test_a_record_is_its_callers_alone(ledger: Ledger, clock: FakeClock) -> None:
    """A record is returned to its own caller only."""
    record = await done(ledger, clock, new_record(clock))
    assert await ledger.get(record.id, OTHER) is None
    assert await ledger.get(clock.new_id(clock.now()), CALLER) is None


async def test_a_held_key_gives_its_holder(ledgers: Ledgers, clock: FakeClock) -> None:
    """A claim with a key that is held gets the holder's record and fingerprint."""
    ledger, twin = ledgers.open(), ledgers.open()
    first = new_record(clock, "key-1")
    assert await claim(ledger, first, b"a" * 32) == FREE
    for asked in (ledger, twin):
        later = new_record(clock, "key-1")
        assert await claim(asked, later, b"b" * 32) == Claimed(first.id, b"a" * 32)
        assert await asked.get(later.id, CALLER) is None
    assert (await ledger.page(Selection(CALLER), 10, None)).items == (first,)


async def test_a_holder_is_given_as_it_is_now(ledger: Ledger, clock: FakeClock) -> None:
    """The holder's record has all that happened to it since it was claimed."""
    record = await done(ledger, clock, new_record(clock, "key-1"))
    again = new_record(clock, "key-1")
    holder = await ledger.claim(again, clock.now() + LEASE, held(again))
    assert holder is not None
    assert holder.record == record


async def test_of_many_at_once_one_holds_the_key(ledgers: Ledgers, clock: FakeClock) -> None:
    """Of claims that are made at the same time, by two ledgers, exactly one gets the key; the others learn of it."""
    pair = ledgers.open(), ledgers.open()
    records = [new_record(clock, "key-1") for _ in range(MANY)]
    claims = await asyncio.gather(*(claim(pair[number % 2], each) for number, each in enumerate(records)))
    (winner,) = (record for record, claimed in zip(records, claims, strict=True) if claimed == FREE)
    assert Counter(claimed.record for claimed in claims) == {winner.id: MANY - 1, None: 1}


async def test_a_key_is_its_callers_alone(ledger: Ledger, clock: FakeClock) -> None:
    """Two callers may use the same key, each for an action of its own."""
    assert await claim(ledger, new_record(clock, "key-1")) == FREE
    assert await claim(ledger, new_record(clock, "key-1", caller=OTHER)) == FREE


async def test_keys_that_differ_do_not_meet(ledger: Ledger, clock: FakeClock) -> None:
    """Keys are told apart by every character, the case of a letter and spaces included."""
    keys = ["key", "KEY", "key ", " key", "k" * 255, "k" * 254, "%key_", "'", '"', "\\"]
    assert [await claim(ledger, new_record(clock, key)) for key in keys] == [FREE] * len(keys)


async def test_an_expired_key_is_free_again(ledger: Ledger, clock: FakeClock) -> None:
    """A key is held until the very moment at which it expires, and free from then on."""
    first = new_record(clock, "key-1")
    assert await claim(ledger, first) == FREE
    clock.advance(KEY_TIME.total_seconds() - 0.001)
    assert (await claim(ledger, new_record(clock, "key-1"))).record == first.id
    clock.advance(0.001)
    second = new_record(clock, "key-1")
    assert await claim(ledger, second) == FREE
    assert (await claim(ledger, new_record(clock, "key-1"))).record == second.id


@pytest.mark.parametrize(
    ("outcome", "code", "is_let_go"),
    [
        (Outcome.NOT_SENT, RETRYABLE, True),
        (Outcome.NOT_SENT, "interrupted", True),
        (Outcome.REJECTED, "vendor-throttled", True),
        (Outcome.REJECTED, "wrong-state", False),
        (Outcome.NOT_SENT, "ambiguous-parameter", False),
        (Outcome.UNKNOWN, "vendor-timed-out", False),
        (Outcome.APPLIED, None, False),
    ],
)
async def test_a_key_is_let_go_of_where_the_request_may_be_sent_again(
    outcome: Outcome, code: str | None, is_let_go: bool, ledger: Ledger, clock: FakeClock
) -> None:
    """A failure that sending the same again may mend lets go of the key; every other end keeps it."""
    record = await begun(ledger, clock, new_record(clock, "key-1"))
    await ledger.append(record, concluded(clock, outcome, code), None)
    expected = FREE if is_let_go else Claimed(record.id, b"1" * 32)
    assert await claim(ledger, new_record(clock, "key-1")) == expected


async def test_a_key_that_is_held_anew_is_not_let_go_of(ledger: Ledger, clock: FakeClock) -> None:
    """A record whose key has expired, and is held for another one, does not take it away when it fails late."""
    old = await begun(ledger, clock, new_record(clock, "key-1"))
    clock.advance(KEY_TIME.total_seconds())
    new = new_record(clock, "key-1")
    assert await claim(ledger, new) == FREE
    await ledger.append(old, concluded(clock, Outcome.NOT_SENT, RETRYABLE), None)
    assert (await claim(ledger, new_record(clock, "key-1"))).record == new.id


async def test_who_comes_second_is_overtaken(ledgers: Ledgers, clock: FakeClock) -> None:
    """Of two that add to the same record, the second is told so, and given the record as the first has left it."""
    ledger, twin = ledgers.open(), ledgers.open()
    record = await begun(ledger, clock, new_record(clock))
    first = await twin.append(record, concluded(clock, Outcome.APPLIED), None)
    with pytest.raises(Overtaken) as overtaken:
        await ledger.append(record, concluded(clock, Outcome.REJECTED), None)
    assert overtaken.value.record == first == await ledger.get(record.id, CALLER)


async def test_of_many_at_once_one_adds_its_event(ledgers: Ledgers, clock: FakeClock) -> None:
    """Of events that are added to one record at the same time, by two ledgers, one is kept; all others are told."""
    pair = ledgers.open(), ledgers.open()
    record = await begun(pair[0], clock, new_record(clock))
    events = [concluded(clock, Outcome.REJECTED, detail=f"{number}") for number in range(MANY)]
    results = await asyncio.gather(
        *(pair[number % 2].append(record, event, None) for number, event in enumerate(events)), return_exceptions=True
    )
    (kept,) = (result for result in results if isinstance(result, JobActionRecord))
    assert Counter(map(type, results)) == {Overtaken: MANY - 1, JobActionRecord: 1}
    assert all(result.record == kept for result in results if isinstance(result, Overtaken))


async def test_sending_can_be_overtaken(ledgers: Ledgers, clock: FakeClock) -> None:
    """A sender whose record was given up by another process is told so before anything is sent."""
    ledger, twin = ledgers.open(), ledgers.open()
    record = new_record(clock, "key-1")
    assert await claim(ledger, record) == FREE
    given_up = await twin.append(record, concluded(clock, Outcome.NOT_SENT, "interrupted"), None)
    with pytest.raises(Overtaken) as overtaken:
        await ledger.sent(record, Sent(clock.now()))
    assert overtaken.value.record == given_up


async def test_the_same_event_again_is_no_conflict(stored: Ledgers, clock: FakeClock) -> None:
    """An event that is added twice is stored once."""
    ledger = stored.open()
    record = await begun(ledger, clock, new_record(clock, parameters={"note": "why", "list": [1, 2.5, None]}))
    event = concluded(clock, Outcome.REJECTED)
    first = await ledger.append(record, event, None)
    assert await stored.open().append(record, event, None) == first
    assert await ledger.get(record.id, CALLER) == first


async def test_the_same_event_again_is_no_conflict_after_more(stored: Ledgers, clock: FakeClock) -> None:
    """Adding the same event again is no conflict even if others were added since."""
    ledger = stored.open()
    record = await begun(ledger, clock, new_record(clock))
    event = concluded(clock, Outcome.UNKNOWN)
    unsettled = await ledger.append(record, event, None)
    settled = await ledger.append(unsettled, concluded(clock, Outcome.APPLIED), None)
    assert await ledger.append(record, event, None) == unsettled
    assert await ledger.get(record.id, CALLER) == settled


Filters = dict[str, Any]

POPULATION = [
    (connection, job_id, action, outcome, caller)
    for connection, job_id, action in product(["contoso-prod", "vonage"], ["job-1", "Job-1"], ["cancel", "close"])
    for outcome, caller in [
        (Outcome.APPLIED, CALLER),
        (Outcome.REJECTED, CALLER),
        (Outcome.NOT_SENT, OTHER),
        (Outcome.UNKNOWN, CALLER),
        (None, CALLER),
    ]
]
"""The job actions of `populated`, a minute after each other."""

FIELDS: dict[str, Callable[[JobActionRecord], object]] = {
    "caller": lambda record: record.requested.caller,
    "connection": lambda record: record.requested.connection,
    "job_id": lambda record: record.requested.job_action.job_id,
    "action": lambda record: record.requested.job_action.action,
    "status": lambda record: record.status,
    "outcome": lambda record: record.outcome,
    "label": lambda record: next(iter(record.requested.labels.items()), None),
}
"""What each filter but those of time compares."""


def expected(records: list[JobActionRecord], selection: Selection) -> list[str]:
    """The ids of the records that are selected, newest first."""
    chosen = records
    for name, value_of in FIELDS.items():
        wanted = getattr(selection, name)
        chosen = [record for record in chosen if wanted is None or value_of(record) == wanted]
    if selection.since is not None:
        chosen = [record for record in chosen if record.requested.at >= selection.since]
    if selection.until is not None:
        chosen = [record for record in chosen if record.requested.at <= selection.until]
    return [record.id for record in reversed(chosen)]


async def populated(ledger: Ledger, clock: FakeClock) -> list[JobActionRecord]:
    """Records of every kind, oldest first."""
    records: list[JobActionRecord] = []
    for connection, job_id, action, outcome, caller in POPULATION:
        clock.advance(60)
        labels = {"incident": f"INC-{len(records) % 3}", "team": "night"} if len(records) % 4 != 3 else {}
        asked = new_record(clock, connection=connection, job_id=job_id, action=action, caller=caller, labels=labels)
        records.append(await done(ledger, clock, asked, outcome))
    return records


async def walk(ledger: Ledger, selection: Selection, limit: int) -> list[str]:
    """The ids of all records of a selection, page by page."""
    ids: list[str] = []
    before: str | None = None
    for _ in range(1_000):
        page = await ledger.page(selection, limit, before)
        assert len(page.items) <= limit
        ids += [record.id for record in page.items]
        before = page.next_cursor
        if before is None:
            return ids
    raise AssertionError("the list does not end")


async def test_each_filter_and_all_together(ledger: Ledger, clock: FakeClock) -> None:
    """A page has exactly the records that fit every filter given, newest first, for each combination of filters."""
    records = await populated(ledger, clock)
    target = records[len(records) // 2]
    values: Filters = {name: value_of(target) for name, value_of in FIELDS.items()}
    values |= {"since": records[3].requested.at, "until": records[-3].requested.at}
    for chosen in product([False, True], repeat=len(values)):
        given = {name: value for (name, value), use in zip(values.items(), chosen, strict=True) if use}
        selection = Selection(**given)
        page = await ledger.page(selection, 200, None)
        assert [record.id for record in page.items] == expected(records, selection), given
        assert page.next_cursor is None
    assert target.requested.labels
    assert set(Selection.__struct_fields__) == set(values), "a filter is not tested"


@pytest.mark.parametrize("name", list(FIELDS))
async def test_each_value_of_a_filter(name: str, ledger: Ledger, clock: FakeClock) -> None:
    """Each filter finds the records of each of its values, and none for a value that no record has."""
    records = await populated(ledger, clock)
    values = {FIELDS[name](record) for record in records} - {None}
    assert len(values) > 1
    for value in values:
        selection = Selection(**{name: value})  # type: ignore[arg-type]
        assert await walk(ledger, selection, 200) == expected(records, selection) != []
    if name not in {"status", "outcome", "label"}:
        assert await walk(ledger, Selection(**{name: "%"}), 200) == []  # type: ignore[arg-type]


async def test_a_label_is_found_by_its_name_and_value(ledger: Ledger, clock: FakeClock) -> None:
    """Every label of a record finds it, page by page; its name with another value, or its value by itself, does not."""
    records = await populated(ledger, clock)
    labelled = [record.id for record in reversed(records) if record.requested.labels]
    assert len(labelled) > 2
    assert await walk(ledger, Selection(label=("team", "night")), 2) == labelled
    for label in (("team", "nigh"), ("team", "night "), ("incident", "night"), ("Team", "night"), ("team", "%")):
        assert await walk(ledger, Selection(label=label), 200) == []


async def test_records_are_given_whole(ledger: Ledger, clock: FakeClock) -> None:
    """A page has the records with all their events."""
    records = await populated(ledger, clock)
    page = await ledger.page(Selection(), 200, None)
    assert list(page.items) == records[::-1]


async def test_since_and_until_are_included(ledger: Ledger, clock: FakeClock) -> None:
    """A record of the very millisecond of `since` or `until` is in, one of a millisecond before or after is out."""
    millisecond = timedelta(milliseconds=1)
    start = clock.now()
    records = [await done(ledger, clock, new_record(clock, at=start + number * millisecond)) for number in range(5)]
    for first, last in product(range(5), range(5)):
        selection = Selection(CALLER, since=start + first * millisecond, until=start + last * millisecond)
        assert await walk(ledger, selection, 200) == [each.id for each in records[first : last + 1][::-1]]


@pytest.mark.parametrize("moment", [datetime.min, datetime(1969, 12, 31), datetime.max])  # noqa: DTZ001, DTZ901
async def test_times_may_be_as_far_away_as_there_are(moment: datetime, ledger: Ledger, clock: FakeClock) -> None:
    """A time that no id can have is before or after all of them."""
    at = moment.replace(tzinfo=clock.now().tzinfo)
    record = await done(ledger, clock, new_record(clock))
    is_past = at < clock.now()
    assert await walk(ledger, Selection(since=at), 10) == ([record.id] if is_past else [])
    assert await walk(ledger, Selection(until=at), 10) == ([] if is_past else [record.id])


@pytest.mark.parametrize("limit", [1, 2, 7, 39, 40, 41])
async def test_a_walk_meets_each_record_once(limit: int, ledger: Ledger, clock: FakeClock) -> None:
    """From page to page each record is met once, newest first, and new ones do not disturb who walks."""
    records = await populated(ledger, clock)
    first = await ledger.page(Selection(), limit, None)
    await done(ledger, clock, new_record(clock))
    rest: list[str] = []
    before = first.next_cursor
    while before is not None:
        page = await ledger.page(Selection(), limit, before)
        rest += [record.id for record in page.items]
        before = page.next_cursor
    assert [*(record.id for record in first.items), *rest] == expected(records, Selection())


async def test_records_of_one_moment_keep_their_order(ledger: Ledger, clock: FakeClock) -> None:
    """Records of the same millisecond are met once each, too."""
    ids = [(await done(ledger, clock, new_record(clock))).id for _ in range(10)]
    assert await walk(ledger, Selection(CALLER), 3) == ids[::-1]


@pytest.mark.parametrize("most", [1, 3, 10])
@pytest.mark.parametrize("name", [*FIELDS, "nothing"])
async def test_a_page_that_ends_early_goes_on(
    most: int, name: str, stored: Ledgers, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that ends early at the limit of rows is continued by the next one without gaps."""
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", most)
    ledger = stored.open()
    records = await populated(ledger, clock)
    oldest = {field: value_of(records[0]) for field, value_of in FIELDS.items() if field == name}
    selection = Selection(**{"caller": CALLER, **oldest})  # type: ignore[arg-type]
    assert await walk(ledger, selection, 4) == expected(records, selection) != []


async def test_what_is_due_is_given_once(ledgers: Ledgers, clock: FakeClock) -> None:
    """What is due is given to one ledger alone until its time has passed, and then to one again."""
    pair = ledgers.open(), ledgers.open()
    records = [await begun(pair[0], clock, new_record(clock)) for _ in range(MANY)]
    assert await pair[1].take_due(clock.now(), clock.now() + LEASE, MANY) == ()
    clock.advance(LEASE.total_seconds())
    for _ in range(2):
        until = clock.now() + LEASE
        taken = await asyncio.gather(*(pair[number % 2].take_due(clock.now(), until, 4) for number in range(MANY)))
        met = [record for each in taken for record in each]
        assert sorted(record.id for record in met) == [record.id for record in records]
        assert {record.id: record for record in met} == {record.id: record for record in records}
        clock.advance(LEASE.total_seconds() - 0.001)
        assert await pair[0].take_due(clock.now(), until, MANY) == ()
        clock.advance(0.001)


async def test_as_many_as_wanted_are_due_first_come_first(ledger: Ledger, clock: FakeClock) -> None:
    """No more than wanted are given, those first that are due for longest."""
    ids = []
    for _ in range(6):
        ids.append((await begun(ledger, clock, new_record(clock))).id)
        clock.advance(1)
    clock.advance(LEASE.total_seconds())
    until = clock.now() + LEASE
    taken = [{record.id for record in await ledger.take_due(clock.now(), until, 2)} for _ in range(4)]
    assert taken == [set(ids[:2]), set(ids[2:4]), set(ids[4:]), set()]


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_conclusion_says_when_it_is_due(outcome: Outcome, ledger: Ledger, clock: FakeClock) -> None:
    """What is added with a time is due then, what is added without one never again."""
    records = [await begun(ledger, clock, new_record(clock)) for _ in range(2)]
    later = clock.now() + 2 * LEASE
    waiting = await ledger.append(records[0], concluded(clock, outcome), later)
    await ledger.append(records[1], concluded(clock, outcome), None)
    assert await ledger.take_due(later - timedelta(milliseconds=1), later, 10) == ()
    assert await ledger.take_due(later, later + LEASE, 10) == (waiting,)


async def test_what_a_clock_that_was_ahead_has_put_far_away_is_due(ledger: Ledger, clock: FakeClock) -> None:
    """A record is due beyond the latest time that a clock that is right would give it, and after the others."""
    record = await begun(ledger, clock, new_record(clock))
    clock.jump(timedelta(hours=-1))
    beyond, until = clock.now() + 2 * LEASE, clock.now() + LEASE
    usual = await begun(ledger, clock, new_record(clock))
    assert await ledger.take_due(clock.now(), until, 10) == ()
    assert await ledger.take_due(clock.now(), until, 10, clock.now() + timedelta(hours=2)) == ()
    assert await ledger.take_due(clock.now(), until, 10, beyond) == (record,)
    assert await ledger.take_due(clock.now(), until, 10, beyond) == ()
    clock.advance(LEASE.total_seconds())
    assert {each.id for each in await ledger.take_due(clock.now(), until, 10, beyond)} == {record.id, usual.id}


async def test_sending_leaves_the_lease_as_it_is(ledger: Ledger, clock: FakeClock) -> None:
    """A record that is sent is still looked after when its claim said."""
    record = new_record(clock, "key-1")
    assert await claim(ledger, record) == FREE
    sent = await ledger.sent(record, Sent(clock.now()))
    assert await ledger.take_due(clock.now() + LEASE, clock.now() + 2 * LEASE, 10) == (sent,)


async def test_tidying_keeps_keys_that_are_held(ledger: Ledger, clock: FakeClock) -> None:
    """Tidying forgets keys that have expired, and no other."""
    old = new_record(clock, "old")
    assert await claim(ledger, old) == FREE
    clock.advance(60)
    young = new_record(clock, "young")
    assert await claim(ledger, young) == FREE
    clock.advance(KEY_TIME.total_seconds() - 60)
    await ledger.tidy(clock.now())
    assert await claim(ledger, new_record(clock, "old")) == FREE
    assert (await claim(ledger, new_record(clock, "young"))).record == young.id
    assert await ledger.get(old.id, CALLER) == old


async def test_without_a_retention_nothing_is_deleted(ledger: Ledger, clock: FakeClock) -> None:
    """Where no retention is set, tidying deletes no record however old it is."""
    record = await done(ledger, clock, new_record(clock))
    clock.advance(1e9)
    await ledger.tidy(clock.now())
    assert await ledger.get(record.id, CALLER) == record


RETENTION = timedelta(days=30)


async def test_settled_records_are_deleted_in_time(stored: Ledgers, clock: FakeClock) -> None:
    """What is settled is deleted after the retention, as a whole, and not before."""
    ledger = stored.open(RETENTION)
    old = await done(ledger, clock, new_record(clock))
    clock.advance(RETENTION.total_seconds())
    young = await done(ledger, clock, new_record(clock))
    await ledger.tidy(clock.now())
    assert await walk(ledger, Selection(), 10) == [young.id, old.id]
    clock.advance(1)
    await ledger.tidy(clock.now())
    assert await walk(ledger, Selection(), 10) == [young.id]
    assert await ledger.get(old.id, CALLER) is None
    assert await ledger.get(young.id, CALLER) == young


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
async def test_what_is_unsettled_is_never_deleted(outcome: Outcome | None, stored: Ledgers, clock: FakeClock) -> None:
    """However old it is, what is not settled stays until it is settled."""
    ledger = stored.open(RETENTION)
    record = await done(ledger, clock, new_record(clock), outcome)
    clock.advance(10 * RETENTION.total_seconds())
    await ledger.tidy(clock.now())
    assert await ledger.get(record.id, CALLER) == record
    await ledger.append(record, concluded(clock, Outcome.APPLIED), None)
    clock.advance(10 * RETENTION.total_seconds())
    await ledger.tidy(clock.now())
    assert await ledger.get(record.id, CALLER) is None


async def test_a_record_of_two_writers_is_deleted_whole(stored: Ledgers, clock: FakeClock) -> None:
    """A record that one gateway began and another has settled is there whole or not at all, whenever it is tidied."""
    ledger, twin = stored.open(RETENTION), stored.open(RETENTION)
    begun_record = await begun(ledger, clock, new_record(clock, "key-1"))
    clock.advance(60)
    record = await twin.append(begun_record, concluded(clock, Outcome.APPLIED), None)
    clock.advance(RETENTION.total_seconds() - 30)
    await twin.tidy(clock.now())
    assert await ledger.get(record.id, CALLER) in (None, record)
    clock.advance(60)
    await twin.tidy(clock.now())
    assert await ledger.get(record.id, CALLER) is None


async def test_a_key_whose_record_is_deleted_says_so(stored: Ledgers, clock: FakeClock) -> None:
    """A key that outlives its record is refused without being carried out again."""
    ledger = stored.open(timedelta(days=1))
    await done(ledger, clock, new_record(clock, "key-1"))
    clock.advance(timedelta(days=2).total_seconds())
    await ledger.tidy(clock.now())
    with pytest.raises(LedgerUnavailable) as unavailable:
        await claim(ledger, new_record(clock, "key-1"))
    assert unavailable.value.explanation.outcome is Outcome.NOT_SENT


async def test_a_key_whose_record_was_settled_elsewhere_and_is_deleted_says_so(
    stored: Ledgers, clock: FakeClock
) -> None:
    """A key whose record was settled elsewhere and deleted is refused in the same way."""
    ledger, twin = stored.open(timedelta(days=1)), stored.open(timedelta(days=1))
    record = await begun(ledger, clock, new_record(clock, "key-1"))
    clock.advance(60)
    await twin.append(record, concluded(clock, Outcome.APPLIED), None)
    clock.advance(timedelta(days=1).total_seconds() - 30)
    await ledger.tidy(clock.now())
    with pytest.raises(LedgerUnavailable):
        await claim(ledger, new_record(clock, "key-1"))


async def test_another_ledger_reads_what_was_written(stored: Ledgers, clock: FakeClock) -> None:
    """What one gateway was told is kept, another one reads at once, and so does the same one after a restart."""
    ledger = stored.open()
    record = await done(ledger, clock, new_record(clock))
    assert await stored.open().get(record.id, CALLER) == record
    await ledger.close()
    assert await stored.open().get(record.id, CALLER) == record


def by_signature(record: JobActionRecord, name: str = "signature\t1", fingerprint: bytes = b"1" * 32) -> HeldKey:
    """What a signature holds for a record, for ten minutes."""
    return HeldKey(record.requested.caller, name, fingerprint, record.requested.at + timedelta(minutes=10))


async def claim_signed(ledger: Ledger, record: JobActionRecord, name: str = "signature\t1") -> str | None:
    """Claim a record that is signed, with its key where it has one; gives the record that holds a name of it."""
    key = held(record) if record.requested.idempotency_key else None
    holder = await ledger.claim(record, record.requested.at + LEASE, key, by_signature(record, name))
    return None if holder is None else holder.record.id


def signed_record(clock: FakeClock, key: str | None = None) -> JobActionRecord:
    """The record of a signed request."""
    return new_record(clock, key, signature="signature\t1")


async def test_a_signature_is_never_let_go(ledger: Ledger, clock: FakeClock) -> None:
    """A signature stays held even if the key beside it is released."""
    first = signed_record(clock, "key-1")
    assert await claim_signed(ledger, first) is None
    await ledger.append(first, concluded(clock, Outcome.NOT_SENT, RETRYABLE), None)
    for key in (None, "key-1", "key-2"):
        assert await claim_signed(ledger, signed_record(clock, key)) == first.id
    clock.advance(1)
    second = signed_record(clock, "key-1")
    assert await claim_signed(ledger, second, "signature\t2") is None
    assert await claim_signed(ledger, signed_record(clock)) == first.id
    clock.advance(600)
    assert await claim_signed(ledger, signed_record(clock)) is None


async def test_a_signature_stands_for_what_its_key_stands_for(ledgers: Ledgers, clock: FakeClock) -> None:
    """A signature that came with a held key stands for the same record without it, and takes no later key."""
    ledger, twin = ledgers.open(), ledgers.open()
    first = signed_record(clock, "key-1")
    assert await claim_signed(ledger, first) is None
    assert await claim_signed(twin, signed_record(clock, "key-1"), "signature\t2") == first.id
    for asked in (ledger, twin):
        assert await claim_signed(asked, signed_record(clock), "signature\t2") == first.id
        assert await claim_signed(asked, signed_record(clock, "key-2"), "signature\t2") == first.id
    assert await claim_signed(twin, signed_record(clock, "key-2"), "signature\t3") is None


async def test_a_signature_refuses_as_its_key_does(ledger: Ledger, clock: FakeClock) -> None:
    """A signature whose key was used for another request is refused with that key's fingerprint."""
    first = new_record(clock, "key-1")
    assert await claim(ledger, first, b"a" * 32) == FREE
    for key in ("key-1", None):
        again = signed_record(clock, key)
        holder = await ledger.claim(again, clock.now() + LEASE, held(again) if key else None, by_signature(again))
        assert holder == Holder(first, b"a" * 32)


@pytest.mark.parametrize("same", [("signature\t1", "key-{}"), ("signature\t{}", "key-1"), ("signature\t1", "key-1")])
async def test_of_many_at_once_one_holds_the_names(ledgers: Ledgers, clock: FakeClock, same: tuple[str, str]) -> None:
    """Concurrent claims that share a key or a signature all get the same holder."""
    pair = ledgers.open(), ledgers.open()
    signature, key = same
    records = [new_record(clock, key.format(number), signature=signature.format(number)) for number in range(MANY)]
    claims = [
        claim_signed(pair[number % 2], each, str(each.requested.signature)) for number, each in enumerate(records)
    ]
    given = await asyncio.gather(*claims)
    (winner,) = (record for record, holder in zip(records, given, strict=True) if holder is None)
    assert Counter(given) == {winner.id: MANY - 1, None: 1}


async def test_whoever_holds_the_key_of_the_first_is_given_to_all(ledger: Ledger, clock: FakeClock) -> None:
    """Concurrent claims of one signature get the record that holds a key of any of them."""
    before = await done(ledger, clock, new_record(clock, "key-1"))
    records = [signed_record(clock, "key-1"), *(signed_record(clock, f"key-{number}") for number in range(2, MANY))]
    assert {*await asyncio.gather(*(claim_signed(ledger, each) for each in records))} == {before.id}


async def test_what_has_not_ended_is_counted(ledger: Ledger, clock: FakeClock) -> None:
    """The unknown outcomes are counted, of all callers and of one, with the oldest."""
    assert await ledger.tally(None) == Tally()
    await done(ledger, clock, new_record(clock))
    first = await done(ledger, clock, new_record(clock), Outcome.UNKNOWN)
    await done(ledger, clock, new_record(clock, caller=OTHER), Outcome.UNKNOWN)
    assert await ledger.tally(None) == Tally(2, first.id)
    assert await ledger.tally(CALLER) == Tally(1, first.id)
