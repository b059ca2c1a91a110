"""Simulators of the vendors, made from their documents."""
