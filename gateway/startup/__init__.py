"""From settings to a gateway that serves: checks before the start, the sandbox beside it, the greeting."""
