"""Who may call, and the credentials that we present to vendors."""
