"""From settings to a running gateway: checks, the sandbox, the start banner."""
