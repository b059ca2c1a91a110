"""The API surfaces that Jobgate serves. Each turns requests into job actions and records into replies, and no more."""
