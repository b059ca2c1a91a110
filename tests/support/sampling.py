"""A sample of the tests that have very many cases, for `pytest --sample`; without the option every case runs.

`@pytest.mark.sampled(share, kind=...)` says how large a share of a test's cases is enough, and what kind a case is of:
`kind` is called with those parameters of the test that it names. At least one case of each kind stays. The seed decides
which, so all processes of a run agree on it, and whoever runs the same sample again meets the same cases.
"""

from __future__ import annotations

import inspect
import math
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import pytest

SEED = 1
_whole = True


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this module."""
    group = parser.getgroup("sampling")
    group.addoption("--sample", action="store_true", help="run a sample of the tests that have very many cases")
    group.addoption("--sample-seed", type=int, default=SEED, metavar="SEED", help=f"another sample than that of {SEED}")


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker, and remember which of the two amounts is asked for."""
    global _whole  # noqa: PLW0603 - test files ask while they are imported, where there is no configuration at hand
    config.addinivalue_line(
        "markers", "sampled(share, kind): run only a share of the cases where a sample is asked for"
    )
    _whole = not config.option.sample


def pytest_report_header(config: pytest.Config) -> str | None:
    """The line that says how to repeat the run."""
    if not config.option.sample:
        return None
    return f"sample: --sample --sample-seed {config.option.sample_seed} (`make test-all` runs every case)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample."""
    if config.option.sample:
        kept = {item.nodeid for item in sample(items, config.option.sample_seed)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
        items[:] = [item for item in items if item.nodeid in kept]


def sample(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """The share of each kind of case that its test is content with, and every test that is not marked."""
    groups: defaultdict[Hashable, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[kind_of(item)].append(item)
    return [item for group in groups.values() for item in drawn(group, share_of(group[0]), seed)]


def kind_of(item: pytest.Item) -> Hashable:
    """The test that a case belongs to, and its kind."""
    test = item.nodeid.partition("[")[0]
    marker = item.get_closest_marker("sampled")
    kind: Callable[..., object] | None = marker.kwargs.get("kind") if marker else None
    if kind is None or not isinstance(item, pytest.Function):
        return test
    return test, repr(kind(*(item.callspec.params[name] for name in inspect.signature(kind).parameters)))


def share_of(item: pytest.Item) -> float:
    """The share that is enough of a case's kind."""
    marker = item.get_closest_marker("sampled")
    return float(marker.args[0]) if marker else 1.0


def drawn(group: Sequence[pytest.Item], share: float, seed: int) -> Sequence[pytest.Item]:
    """A share of the cases of one kind, at least one of them."""
    if share >= 1:
        return group
    # The kind is part of the seed, so a case that is added to one kind changes the sample of no other.
    chance = random.Random(f"{seed} {kind_of(group[0])}")  # noqa: S311 - no secret is made of it
    return chance.sample(group, max(1, math.ceil(share * len(group))))


def amount(*, whole: int, sample: int) -> int:
    """How many examples or rounds a test makes by itself: fewer where a sample is asked for."""
    return whole if _whole else sample
