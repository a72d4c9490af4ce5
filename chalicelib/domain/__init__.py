"""Pure code: no I/O, no clock, no randomness, no environment. Functions that need the time get it
as an argument."""
