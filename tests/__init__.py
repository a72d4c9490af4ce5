"""Facts about the service, from the pure domain outwards to whole processes."""
