"""Why the local service does not start."""

from batchback.errors import CannotGoOn


class CannotStart(CannotGoOn):
    """The text is one sentence that says what to do."""


class PortInUse(CannotStart):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is in use: stop the program that uses it, or name another.")
