"""Vendor simulators that ship with the product; each is made from its vendor's document."""
