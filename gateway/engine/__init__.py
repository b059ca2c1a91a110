"""The use case: check support, claim, translate, send, conclude; and reconcile unknown outcomes."""
