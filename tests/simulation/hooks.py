"""What a world lets happen around each call of a port."""

from datetime import timedelta

from tests.simulation.state import State


class Hooks:
    """Nothing happens, and time passes."""

    def __init__(self, state: State) -> None:
        self.state = state

    def before(self, name: str) -> None:
        """A call is about to be made."""

    def after(self, name: str) -> None:
        """A call was made, and its answer is on its way."""

    def between(self) -> None:
        """A read goes on to its next page."""

    def wait(self, seconds: float) -> None:
        """Somebody outside takes so long."""
        self.state.now += timedelta(seconds=seconds)
