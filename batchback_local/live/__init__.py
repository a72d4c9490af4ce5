"""A running service, as its callers, platform and receivers see it."""
