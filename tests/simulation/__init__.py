"""The real operations over adapters in memory, with a clock that the test moves. Everything that
can go wrong is made to go wrong: at every single place, at every pair of places, and at random."""
