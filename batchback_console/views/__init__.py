"""What the console shows and does: a module for each view, whose `routes` returns a blueprint."""
