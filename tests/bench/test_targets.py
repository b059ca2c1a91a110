"""The targets, and when they are met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.results import Measurement, Results
from bench.targets import TARGETS, judge


def verdicts(results: Results, *, with_ledger: bool = False) -> dict[str, tuple[str, str]]:
    """What came of each target of Jobgate without its ledger, or with it."""
    judged = (each for each in judge(results) if each.target.with_ledger is with_ledger)
    return {each.target.what: (each.reached, each.verdict) for each in judged}


def test_all_of_them(results: Results) -> None:
    """Every target is computed from the results of a single run."""
    assert verdicts(results) == {
        "Throughput, to the floor's": ("80%", "**missed**"),
        "Throughput, to that of Connexion FlaskApp + requests": ("8.0 times", "met"),
        "Throughput, to that of FastAPI + httpx": ("10.0 times", "met"),
        "Median latency with one connection, to the floor's": ("1.25 times", "met"),
        "Errors with 1,000 requests in flight": ("0", "met"),
        "Throughput with 1,000 requests in flight, to what is possible": ("95%", "met"),
    }
    assert verdicts(results, with_ledger=True) == {
        "Throughput, to the floor's": ("60%", "**missed**"),
        "Throughput, to that of express-openapi-validator": ("1.5 times", "**missed**"),
        "Throughput, to that of Prism": ("3.0 times", "**missed**"),
        "Median latency at a vendor of 50 ms, to the floor's": ("1.67 times", "**missed**"),
        "Throughput of the native API, to that of the unified API": ("1.10 times", "met"),
    }


def slower(each: Measurement) -> Measurement:
    """Jobgate at a third of its speed, and with errors."""
    if not each.contender.startswith("jobgate"):
        return each
    load = replace(each.load, requests=each.load.requests // 3, p50=each.load.p50 * 3, timeout=2)
    return replace(each, load=load)


def test_missed(edited: Callable[..., Results]) -> None:
    """A target that is not reached counts as missed, and the text says by how much."""
    made = verdicts(edited(slower))
    assert made["Throughput, to the floor's"] == ("27%", "**missed**")
    assert made["Throughput, to that of FastAPI + httpx"] == ("3.3 times", "**missed**")
    assert made["Errors with 1,000 requests in flight"] == ("6", "**missed**")
    assert made["Median latency with one connection, to the floor's"] == ("3.75 times", "**missed**")
    assert verdicts(edited(slower), with_ledger=True)["Throughput, to the floor's"] == ("20%", "**missed**")


def test_possible_is_what_as_many_connections_reach(edited: Callable[..., Results]) -> None:
    """What Jobgate does while a thousand wait is held against what it does when nobody has to."""

    def losing(each: Measurement) -> Measurement:
        share = 0.8 if (each.section, each.contender) == ("after-100-ms", "jobgate-without-ledger") else 1
        return replace(each, load=replace(each.load, requests=int(each.load.requests * share)))

    assert verdicts(edited(losing))["Throughput with 1,000 requests in flight, to what is possible"] == (
        "76%",
        "**missed**",
    )


def test_possible_is_what_the_wait_allows(edited: Callable[..., Results]) -> None:
    """A gateway that is faster than the wait allows is not held against its own speed."""

    def fast(each: Measurement) -> Measurement:
        if each.contender != "jobgate-without-ledger":
            return each
        requests = 95_000 if each.section == "after-100-ms" else 400_000
        return replace(each, load=replace(each.load, requests=requests, seconds=10.0))

    assert verdicts(edited(fast))["Throughput with 1,000 requests in flight, to what is possible"] == ("95%", "met")


@pytest.mark.parametrize("name", ["floor", "prism"])
def test_not_measured(edited: Callable[..., Results], name: str) -> None:
    """A target that is about a contender which was left out is neither met nor missed."""
    judged = list(judge(edited(lambda each: None if each.contender == name else each)))
    assert ("not measured", "-") in [(each.reached, each.verdict) for each in judged]
    assert len(judged) == len(TARGETS)


def test_the_ledger_is_judged_for_itself(results: Results, edited: Callable[..., Results]) -> None:
    """A Jobgate that is slow with its ledger misses the targets of that, and no other."""
    made = edited(lambda each: slower(each) if each.contender == "jobgate" else each)
    assert verdicts(made, with_ledger=True)["Throughput, to the floor's"] == ("20%", "**missed**")
    assert verdicts(made) == verdicts(results)


@pytest.mark.parametrize(("target", "aim"), [(TARGETS[0], "at least 75%"), (TARGETS[3], "at most 1.15 times")])
def test_aim(target: object, aim: str) -> None:
    """A target says what is to be reached."""
    assert getattr(target, "aim") == aim  # noqa: B009
