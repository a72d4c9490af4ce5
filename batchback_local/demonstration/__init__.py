"""What stands around the service on one machine: a platform, a receiver, a key."""
