"""The use case: supported? claim, translate, send, conclude; and the reconciliation of unknown outcomes."""
