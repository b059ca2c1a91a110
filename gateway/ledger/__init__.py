"""The ledger: every job action in a database, as a chain of events that is only ever added to.

The events are the record. `job_actions` is an index over them, by which records are searched.
"""
