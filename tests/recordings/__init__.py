"""What callers, receivers and the platform saw before `run` took its optional keys.

A client that knows none of those keys must still see the same bytes. `stories` does what such a
client does, with the real app.py on adapters in memory. `recording` says what may have changed
since then, tests/vectors/answers-before contains the recordings, and tests/app/test_recordings.py
compares them with today's answers.
"""
