"""From settings to a gateway that serves: checks, the sandbox beside it, the greeting."""
