"""Who may call, and the credentials that Jobgate presents to vendors."""
