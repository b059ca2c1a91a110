"""What becomes of requests when a vendor fails, hangs or is asked too much, and when the gateway stops: in figures."""
