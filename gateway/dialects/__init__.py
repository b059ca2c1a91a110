"""The API surfaces: the unified one, and the vendors' own. Requests become job actions, records become replies."""
