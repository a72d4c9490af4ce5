"""Why the local service does not start."""

import os

from batchback.errors import CannotGoOn


class CannotStart(CannotGoOn):
    """The text is one sentence that says what to do."""


class PortInUse(CannotStart):
    """The port cannot be used, usually because another program listens on it."""

    def __init__(self, port: int, error: OSError) -> None:
        why = os.strerror(error.errno or 0)
        super().__init__(
            f"Port {port} cannot be used ({why}): stop the program that uses it, or name another."
        )
