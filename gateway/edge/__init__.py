"""What stands before any handler: canonical requests, limits, compiled validation, the rendering of problems."""
