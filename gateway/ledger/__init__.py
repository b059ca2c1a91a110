"""The record of every job action."""
