"""Jobgate: one API to act on the jobs of many contact-center vendors."""

import warnings

# Connexion imports Starlette's test client, which complains about httpx whatever one does.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
