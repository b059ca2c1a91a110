"""Calls that can fail: the only retry loop, breaker, queue and quota."""
