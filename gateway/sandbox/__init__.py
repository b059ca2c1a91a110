"""Vendor simulators, built from the vendors' OpenAPI documents."""
