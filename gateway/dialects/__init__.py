"""The API surfaces: the unified API, and the vendors' own. Requests become job actions, records become replies."""
