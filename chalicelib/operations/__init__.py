"""One file, one thing the service does: ask the domain, move through the ports."""
