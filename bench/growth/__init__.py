"""Growing ledgers: the cost of pages and of job actions in small and in large ledgers."""
