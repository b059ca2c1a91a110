"""The settings: one tree, read from a file and the environment, validated as a whole."""
