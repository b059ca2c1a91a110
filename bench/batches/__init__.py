"""Batches: one of 20,000 items beside a bare client and beside single actions, on the same vendor."""
