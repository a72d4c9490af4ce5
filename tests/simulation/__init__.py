"""The real operations over adapters in memory, a clock that is turned by hand, and everything that
can go wrong made to go wrong: at every single place, at every pair of places, and at random."""
