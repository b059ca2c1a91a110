"""Metrics in Prometheus' text format, written by its own library. Nothing else imports that library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from gateway.telemetry.metrics import METRICS, Counter, Histogram, Metric, Sample, Snapshot

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The media type of the text."""


class SnapshotCollector(Collector):
    """Gives the library the present sums of all processes."""

    def __init__(self, gather: Callable[[], Snapshot]) -> None:
        """Collect what `gather` returns."""
        self._gather = gather

    def collect(self) -> Iterator[Family]:
        """Yield each metric with its series. A metric without series is shown too, by its meaning."""
        gathered = self._gather()
        for metric in METRICS:
            yield _family(metric, gathered.get(metric.name, []))

    def describe(self) -> Iterable[Family]:
        """Return nothing: registering must not gather."""
        return ()


def text_of(gather: Callable[[], Snapshot]) -> Callable[[], bytes]:
    """A function that gathers, and returns the text."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(gather))
    return lambda: generate_latest(registry)


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if isinstance(metric, Histogram):
        histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        bounds = [*map(str, metric.buckets), "+Inf"]
        for labels, (total, *counts) in samples:
            histogram.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    kind = CounterMetricFamily if isinstance(metric, Counter) else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, (value,) in samples:
        family.add_metric(labels, value)
    return family
