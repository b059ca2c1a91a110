"""The settings: one tree, read from a file and the environment, and validated as a whole."""
