"""The use case: is it supported? claim, translate, send, normalise, settle."""
