"""Reading metrics: what a block has counted, and what a page of text says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import Labels, Metric, Snapshot, snapshot

Page = Mapping[str, Mapping[Labels, float]]
"""The values of a page by name, and by the values of the labels in the order of their names."""


class Difference:
    """What was counted meanwhile. For a histogram that is the number of observations."""

    def __init__(self) -> None:
        """Begin to count."""
        self._before = snapshot()

    def of(self, metric: Metric) -> dict[Labels, float]:
        """The growth of each series of a metric that has grown."""
        before, now = _totals(self._before, metric), _totals(snapshot(), metric)
        grown = {labels: value - before.get(labels, 0.0) for labels, value in now.items()}
        return {labels: value for labels, value in grown.items() if value}


@contextmanager
def counting() -> Iterator[Difference]:
    """Count from here on."""
    yield Difference()


def _totals(values: Snapshot, metric: Metric) -> dict[Labels, float]:
    return {labels: sum(each[1:]) if len(each) > 1 else each[0] for labels, each in values.get(metric.name, [])}


def page_of(text: bytes) -> Page:
    """The values in Prometheus' text format."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for name, labels, value, *_ in family.samples:
            found.setdefault(name, {})[tuple(labels[each] for each in sorted(labels))] = value
    return found
