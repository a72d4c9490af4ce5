"""What runs outside Lambda: the command line, the client, and the service on one machine."""
