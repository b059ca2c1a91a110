"""Telemetry as the settings want it: the log, the gathering of metrics and the port that shows them, the traces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing.util import Finalize
from pathlib import Path

from gateway.app.gauges import ledger_gauges
from gateway.edge.admin_port import open_metrics
from gateway.serving.listening import in_background
from gateway.serving.logs import LogOptions
from gateway.serving.temporary import temporary_folder
from gateway.settings.settings import Settings
from gateway.telemetry.gathering import Gatherer
from gateway.telemetry.tracing import record_with

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables, which name a collector as `traces.endpoint` does."""
REMEDY = "install the extra: pip install 'jobgate[otel]'"


def log_options(settings: Settings) -> LogOptions:
    """The level and the form of the log."""
    return LogOptions(settings.server.log_level, settings.server.log_format)


@contextmanager
def metrics_of(settings: Settings) -> Iterator[Gatherer | None]:
    """The collector of the metrics of all processes; None if nobody can see them. Raises ConfigurationError."""
    if settings.server.admin_port is None and not settings.server.metrics:
        yield None
        return
    with ledger_gauges(settings) as ledger:
        yield Gatherer(ledger)


@contextmanager
def admin_port(settings: Settings, metrics: Gatherer | None) -> Iterator[str | None]:
    """Serve the port for administration in a thread, and yield its URL; None without such a port. Raises OSError."""
    server = settings.server
    if metrics is None or server.admin_port is None:
        yield None
        return
    page = open_metrics(metrics.scrape, metrics.media_type)
    with in_background(page, server.admin_port, settings.limits, host=server.admin_host) as url:
        yield url


@contextmanager
def gathered_at_socket(metrics: Gatherer | None) -> Iterator[Path | None]:
    """Gather from workers at a Unix socket that only this user can reach; None without `metrics`."""
    if metrics is None:
        yield None
        return
    with temporary_folder("jobgate-metrics-") as folder, metrics.listening(folder / "socket"):
        yield folder / "socket"


def record_traces(settings: Settings) -> None:
    """Send the traces of this process to the collector, if there is one. Raises ConfigurationError."""
    if not wants_traces(settings):
        return
    from gateway.telemetry.otel import recorded_spans

    recording = recorded_spans(settings.traces.endpoint)
    record_with(recording)
    Finalize(None, recording.close, exitpriority=0)  # a forked worker runs no functions of atexit


def wants_traces(settings: Settings) -> bool:
    """True if there is a collector, and the libraries that send to it."""
    return is_asked(settings) and is_installed()


def is_asked(settings: Settings) -> bool:
    """True if the settings or the environment name a collector."""
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not is_off and (settings.traces.endpoint is not None or any(os.environ.get(each) for each in VARIABLES))


def is_installed() -> bool:
    """True if the libraries of the extra are there."""
    return all(_is_there(each) for each in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it is missing
        return False
