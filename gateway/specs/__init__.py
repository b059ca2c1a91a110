"""Loads, lints and compiles the OpenAPI documents from which everything else is made."""
