"""The ladder: where the CPU of a request goes, by a server with one layer more on each rung."""
