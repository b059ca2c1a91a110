"""`python -m gateway.cli`: the same as `jobgate`."""

from gateway.cli import main

main()
