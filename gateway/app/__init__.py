"""The composition root: the only package that knows all packages below it."""

from gateway.app.databases import database_of, key_store_of, ledger_of
from gateway.app.gateway import Catalogue, Gateway, caller_of

__all__ = ["Catalogue", "Gateway", "caller_of", "database_of", "key_store_of", "ledger_of"]
