"""Runs the whole suite in places that have little in common.

    python -m tests.anywhere           in each place of places.py, each in a copy of this checkout
    python -m tests.anywhere --here    once in this checkout, with this Python, at another date and
                                       in another time zone than today's, without the simulation

A place has a clock, a time zone, a locale, an environment, a user, a folder and an order of
tests."""
