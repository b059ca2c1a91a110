"""A demo of every action in every status of every vendor, with each answer checked."""
