"""The ledger as it grows: what its pages and its job actions cost when it has few rows, and when it has many."""
