"""Before any handler: canonical requests, limits, security, compiled validation, the rendering of problems."""

from gateway.edge.late_grammar import install

# Before anything else of this package, since most of it loads Connexion.
install()
