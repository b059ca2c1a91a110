"""Before any handler: canonical requests, limits, security, compiled validation, the rendering of problems."""

from gateway.edge.late_grammar import install

# First, since most modules of this package load Connexion.
install()
