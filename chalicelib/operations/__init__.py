"""The operations: each file does one thing that the service offers, asks the domain how, and
reaches the world only through the ports."""
