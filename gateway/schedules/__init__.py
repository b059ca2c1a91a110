"""Schedules: batches made at a time, once or again and again, and actions that a vendor cannot defer itself."""
