"""Calls that may go wrong: the one retry loop, breaker, queue and quota."""
