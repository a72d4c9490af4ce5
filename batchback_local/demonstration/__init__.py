"""The surroundings of the service on one machine: a platform, a receiver and a key."""
