"""Hypothesis as the tests of the domain use it: the same examples every time, against no clock."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],  # a clock too
)
settings.load_profile("repeatable")
