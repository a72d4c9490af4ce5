"""What callers, receivers and the platform saw before `run` took its optional keys.

A client that knows none of those keys must see the same bytes as then. `stories` plays what such a
client does to the real app.py on adapters in memory, `recording` says what may differ from then,
tests/vectors/answers-before holds what was seen, and tests/app/test_recordings.py compares.
"""
