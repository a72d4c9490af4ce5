"""Attempts and the pauses between them."""

from chalicelib.adapters.attempts import attempts


def test_each_pause_is_followed_by_an_attempt() -> None:
    pauses: list[float] = []
    so_far = [sum(pauses) for _ in attempts((0.25, 0.5), pauses.append)]
    assert so_far == [0, 0.25, 0.75]


def test_no_pause_follows_a_success() -> None:
    pauses: list[float] = []
    for _ in attempts((0.1, 0.4), pauses.append):
        break
    assert pauses == []
