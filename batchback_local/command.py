"""`batchback local`: until SIGINT or SIGTERM, then gone at once, with exit status 0."""

import argparse
import signal
import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from batchback.errors import CannotGoOn

from batchback_local.log import say

_CANNOT_START = 2
#: How often the main thread wakes to see whether it is to stop.
_WAKE_SECONDS = 0.1


def run(arguments: argparse.Namespace) -> int:
    """The exit status: 0 when told to stop, 2 with one sentence where it cannot start."""
    stop_at_signals()
    try:
        return _serve(arguments)
    except KeyboardInterrupt:
        return 0


def stop_at_signals() -> None:
    """SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, once: while everything is
    being stopped a second one changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _wait_for_the_signal() -> None:
    """Until KeyboardInterrupt. The system may hand a signal to any thread; Python's handler runs
    in the main one, once that is awake: one that waits for ever never hears of it."""
    while True:
        time.sleep(_WAKE_SECONDS)


def _interrupt(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _serve(arguments: argparse.Namespace) -> int:
    from batchback_local.service import Options, running  # slow to import: moto, boto3, chalice

    options = Options(**{field.name: getattr(arguments, field.name) for field in fields(Options)})
    if options.ready_file:
        with suppress(FileNotFoundError):
            Path(options.ready_file).unlink()
    try:
        with running(options) as service:
            say(f"The whole service is up; Ctrl-C stops it.\n\n{service.in_words()}")
            _wait_for_the_signal()
    except CannotGoOn as reason:
        say(f"batchback: {reason}")
        return _CANNOT_START
    return 0
