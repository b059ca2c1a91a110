"""The record of every job action: a chain of events in SQLite or PostgreSQL.

The events are the record, and are only ever added to. `job_actions` is an index over them, by which they are searched.
"""
