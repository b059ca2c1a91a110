"""The benchmark: Jobgate compared with other ways to do the same work, in one run. `make bench` starts it."""
