"""Pure: no I/O, no clock, no randomness, no environment. What needs the time is handed the time."""
