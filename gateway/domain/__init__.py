"""The vocabulary: model, error tree, what an adapter is, ports. Imports nothing of ours."""
