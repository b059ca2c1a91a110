"""Common parts of the commands that call a gateway over HTTP."""
