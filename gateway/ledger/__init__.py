"""The record of every job action: a chain of events in SQLite or PostgreSQL.

The events are the record, and the table of events is append-only. `job_actions` is a search index over them.
"""
