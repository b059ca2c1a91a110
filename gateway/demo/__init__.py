"""A walk through every action in every status of every vendor, each answer checked."""
