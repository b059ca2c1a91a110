"""The table of metrics: each name, its labels and its meaning, once. The code counts with these objects.

The values are those of this process. `gathering.py` adds up processes, `exposition.py` writes Prometheus' format, and
docs/metrics.md is made from this table. A label has few values: names in the settings and words of documents. Ids,
callers and keys are never labels. HTTP durations have the names, labels and buckets of OpenTelemetry's conventions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

Labels = tuple[str, ...]
"""The values of a metric's labels, in their order."""
Sample = tuple[Labels, list[float]]
"""One series: a single number; for a histogram the sum, and then the number of observations in each bucket."""
Snapshot = dict[str, list[Sample]]
"""The series of a process by the name of their metric."""

HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the buckets for HTTP durations (OpenTelemetry's semantic conventions for HTTP metrics)."""
SHORT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the buckets for what happens inside the gateway."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric: its name for Prometheus, its meaning, and the names of its labels."""

    kind: ClassVar[str]
    name: str
    meaning: str
    labels: Labels = ()


@dataclass(frozen=True, eq=False)
class Counter(Metric):
    """A number that only grows. Series that are known beforehand begin with 0, so that their first step is seen."""

    kind = "counter"
    values: dict[Labels, float] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Begin the only series, if there is only one."""
        if not self.labels:
            self.begin()

    def begin(self, *labels: str) -> None:
        """Begin a series with 0, unless it has begun."""
        self.values.setdefault(labels, 0.0)

    def add(self, *labels: str) -> None:
        """Count one."""
        self.values[labels] = self.values.get(labels, 0.0) + 1.0

    def samples(self) -> list[Sample]:
        """All series. Called from any thread."""
        return [(labels, [value]) for labels, value in list(self.values.items())]


@dataclass(frozen=True, eq=False)
class Histogram(Metric):
    """Durations in seconds, counted in buckets with these upper bounds, and in a last one without a bound."""

    kind = "histogram"
    buckets: tuple[float, ...] = HTTP_SECONDS
    values: dict[Labels, list[float]] = field(init=False, repr=False, default_factory=dict)

    def observe(self, seconds: float, labels: Labels = ()) -> None:
        """Count one duration."""
        try:
            series = self.values[labels]
        except KeyError:
            series = self.values[labels] = [0.0] * (len(self.buckets) + 2)
        series[0] += seconds
        series[1 + bisect_left(self.buckets, seconds)] += 1.0

    def samples(self) -> list[Sample]:
        """All series. Called from any thread."""
        return [(labels, list(series)) for labels, series in list(self.values.items())]


@dataclass(frozen=True, eq=False)
class Gauge(Metric):
    """A number that rises and falls. It is read when it is asked for, from a source (`measured_by`)."""

    kind = "gauge"


Measured = Iterable[tuple[Gauge, Labels, float]]
"""Values of gauges."""
Source = Callable[[], Measured]
"""Reads the present values of gauges. Called in any thread, so it only reads."""

HTTP_SERVER_SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Time to answer a request. The route is the template of an OpenAPI document; it is empty for other pages.",
    ("http_request_method", "url_scheme", "http_route", "http_response_status_code", "error_type"),
)
REQUESTS_NOT_READ = Counter(
    "jobgate_unreadable_requests_total",
    "Requests that were refused before they were complete: not HTTP/1.1, too large, too slow.",
    ("problem",),
)
OVERHEAD_SECONDS = Histogram(
    "jobgate_overhead_seconds",
    "Time of a request of an API that the gateway needed itself: all of it but the calls to vendors.",
    buckets=SHORT_SECONDS,
)
CREDENTIALS_REFUSED = Counter(
    "jobgate_refused_credentials_total", "Credentials of callers that were refused. The log has the reasons."
)
HTTP_CLIENT_SECONDS = Histogram(
    "http_client_request_duration_seconds",
    "Time of one attempt at a vendor: from the first byte sent to the whole reply.",
    ("connection", "http_request_method", "server_address", "http_response_status_code", "error_type"),
)
REQUESTS_SENT_AGAIN = Counter(
    "jobgate_vendor_requests_resent_total", "Requests that were sent to a vendor once more.", ("connection",)
)
JOB_ACTIONS = Counter(
    "jobgate_job_actions_total",
    "Job actions by the outcome that their request ended with. Steps of a termination count too.",
    ("connection", "vendor", "action", "outcome"),
)
RECONCILED = Counter(
    "jobgate_reconciled_job_actions_total",
    "Job actions whose outcome was found out later, by reading their job.",
    ("connection", "vendor", "action", "outcome"),
)
SCHEDULES_SKIPPED = Counter(
    "jobgate_schedule_occurrences_skipped_total",
    "Occurrences of schedules that made no batch: missed (too late to begin), or overlapping (the last batch goes on).",
    ("reason",),
)
NOTICES = Counter(
    "jobgate_notices_total",
    "Attempts to send a notice of an emergency to the webhook: delivered, failed (it is sent again), or undelivered "
    "(it was given up).",
    ("event", "result"),
)
LEASES_LOST = Counter(
    "jobgate_leases_lost_total", "Job actions that another process took over from this one, and concluded."
)
BATCH_ITEMS = Counter(
    "jobgate_batch_items_total",
    "Items of batches by the outcome that they had when they were acted on. Their job actions count as such, too.",
    ("connection", "outcome"),
)
BATCH_LEASES_LOST = Counter(
    "jobgate_batch_leases_lost_total",
    "Batches that were taken from this process while it worked on them: by another one, or by a caller's command.",
)
DEPARTURES = Counter(
    "jobgate_contract_departures_total",
    "Departures of a vendor's replies from its own OpenAPI document (contract drift).",
    ("connection",),
)
LEDGER_SECONDS = Histogram(
    "jobgate_ledger_commit_seconds",
    "Time to commit a batch of events to the ledger, successfully.",
    buckets=(*SHORT_SECONDS, 5.0),
)
LEDGER_FAILURES = Counter("jobgate_ledger_failures_total", "Batches of events that the ledger's storage did not take.")
BREAKERS = Gauge(
    "jobgate_breakers",
    "Worker processes whose circuit breaker is in this state: closed, half-open or open.",
    ("connection", "state"),
)
UNDER_WAY = Gauge("jobgate_vendor_requests_active", "Requests to a vendor that are under way.", ("connection",))
WAITING = Gauge("jobgate_vendor_requests_waiting", "Requests to a vendor that wait for a slot.", ("connection",))
QUOTA = Gauge("jobgate_quota_requests", "Requests that a full quota allows at once.", ("connection",))
QUOTA_LEFT = Gauge("jobgate_quota_left_requests", "Requests that the quota allows now.", ("connection",))
UNKNOWN = Gauge(
    "jobgate_unknown_outcomes",
    "Job actions in the ledger whose outcome is unknown, those included that nobody reads any more.",
    ("connection",),
)
UNKNOWN_SECONDS = Gauge(
    "jobgate_oldest_unknown_outcome_seconds",
    "Age of the oldest job action whose outcome is unknown and still being found out; 0 without one.",
    ("connection",),
)
BATCHES = Gauge("jobgate_batches", "Batches in the ledger that have not ended, by state.", ("state",))
STOPPED_BATCHES = Gauge(
    "jobgate_stopped_batches",
    "Stopped batches by the guard rail that they hit (maxErrors, maxUnknown), or the code of another reason.",
    ("why",),
)
RUNNING_BATCH_SECONDS = Gauge(
    "jobgate_oldest_running_batch_seconds",
    "Time since the confirmation of the running batch that was confirmed first; 0 without one.",
)
APPROVALS_PENDING = Gauge("jobgate_approvals_pending", "Approvals that wait for a decision.")
REVIEWS_DUE = Gauge("jobgate_break_glass_reviews_due", "Emergencies that wait for their review, overdue or not.")
REVIEWS_OVERDUE = Gauge("jobgate_break_glass_reviews_overdue", "Emergencies that were not reviewed in time.")
LEDGER_READABLE = Gauge("jobgate_ledger_readable", "1 if the ledger could be read for this page, else 0.")
WORKERS = Gauge("jobgate_workers", "Worker processes that serve.")
INFO = Gauge("jobgate_info", "Always 1; the label has the version.", ("version",))

METRICS: tuple[Metric, ...] = (
    HTTP_SERVER_SECONDS,
    REQUESTS_NOT_READ,
    OVERHEAD_SECONDS,
    CREDENTIALS_REFUSED,
    HTTP_CLIENT_SECONDS,
    REQUESTS_SENT_AGAIN,
    BREAKERS,
    UNDER_WAY,
    WAITING,
    QUOTA,
    QUOTA_LEFT,
    DEPARTURES,
    JOB_ACTIONS,
    RECONCILED,
    SCHEDULES_SKIPPED,
    LEASES_LOST,
    UNKNOWN,
    UNKNOWN_SECONDS,
    BATCHES,
    STOPPED_BATCHES,
    RUNNING_BATCH_SECONDS,
    BATCH_ITEMS,
    BATCH_LEASES_LOST,
    APPROVALS_PENDING,
    REVIEWS_DUE,
    REVIEWS_OVERDUE,
    NOTICES,
    LEDGER_SECONDS,
    LEDGER_FAILURES,
    LEDGER_READABLE,
    WORKERS,
    INFO,
)
"""All metrics, in the order in which they are shown. What is not listed here is not served."""

_sources: list[Source] = []


@contextmanager
def measured_by(source: Source) -> Iterator[None]:
    """Read gauges from a source, too, until the block ends."""
    _sources.append(source)
    try:
        yield
    finally:
        _sources.remove(source)


def snapshot() -> Snapshot:
    """The present values of this process. Called from any thread."""
    counted = {each.name: each.samples() for each in METRICS if isinstance(each, Counter | Histogram)}
    return merged([counted, *(measured(source()) for source in list(_sources))])


def measured(values: Measured) -> Snapshot:
    """Values of gauges as a snapshot."""
    found: Snapshot = {}
    for gauge, labels, value in values:
        found.setdefault(gauge.name, []).append((labels, [value]))
    return found


def counted(of: Snapshot) -> Snapshot:
    """The part of a snapshot that stays true when its process has ended: all but the gauges."""
    lasting = {each.name for each in METRICS if not isinstance(each, Gauge)}
    return {name: samples for name, samples in of.items() if name in lasting}


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of snapshots, series by series."""
    sums: dict[str, dict[Labels, list[float]]] = {}
    for each in snapshots:
        for name, samples in each.items():
            series = sums.setdefault(name, {})
            for labels, values in samples:
                known = series.get(labels)
                series[labels] = list(values) if known is None else [a + b for a, b in zip(known, values, strict=True)]
    return {name: list(series.items()) for name, series in sums.items()}
