"""Batches: one action on many jobs, prepared, confirmed, and carried out as job actions under a lease."""
