"""Loads, checks and compiles the OpenAPI documents: lenses, capabilities, validators."""
