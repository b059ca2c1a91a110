"""Loads, lints and compiles the OpenAPI documents: lenses, capabilities, validators."""
