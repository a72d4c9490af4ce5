"""Facts about the service, from the pure domain to whole processes."""
