"""Jobgate: one API to act on the jobs of many contact-center vendors."""
