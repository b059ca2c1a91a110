"""Figures of resilience: requests while a vendor fails, hangs or is overloaded, and while the gateway stops."""
