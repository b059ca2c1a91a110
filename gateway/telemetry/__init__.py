"""Telemetry of a running gateway: metrics, traces, and the request that a line of the log belongs to."""
