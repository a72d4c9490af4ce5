"""A service that runs, as its callers, its platform and its receivers see it."""
