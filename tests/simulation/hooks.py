"""What a world does around each call of a port."""

from datetime import timedelta

from tests.simulation.state import State


class Hooks:
    """Nothing happens, and time passes."""

    def __init__(self, state: State) -> None:
        self.state = state

    def before(self, name: str) -> None:
        """Called before a call of a port."""

    def after(self, name: str) -> None:
        """Called after a call of a port, before its answer arrives."""

    def between(self) -> None:
        """Called between two pages of a read."""

    def wait(self, seconds: float) -> None:
        """Called while a call outside takes this long."""
        self.state.now += timedelta(seconds=seconds)
