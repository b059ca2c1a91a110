"""Calls that may go wrong: what is sent again, who waits, and when a vendor is left alone."""
