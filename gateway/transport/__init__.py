"""The only package that talks to vendors over HTTP."""
