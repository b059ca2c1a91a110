"""The benchmark: Jobgate beside other ways to do the same work, measured in one run. `make bench` starts it."""
