"""The operator's console: pages of HTML, made by a client of the unified API in the same process."""
