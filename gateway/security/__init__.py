"""Authentication of callers, and the credentials that Jobgate presents to vendors."""
