"""Show progress on stderr."""

import os
from typing import Protocol, TextIO

from batchback.shell import Shell

#: For a terminal that does not report its width.
_DEFAULT_COLUMNS = 80


class Meter(Protocol):
    def show(self, percentage: int, figures: str) -> None: ...
    def close(self) -> None: ...


class Bar:
    """One line that is redrawn, for a terminal."""

    _WIDTH = 30
    _CLEAR_TO_END = "\x1b[K"

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._end = ""

    def show(self, percentage: int, figures: str) -> None:
        filled = "#" * (percentage * self._WIDTH // 100)
        line = f"[{filled:.<{self._WIDTH}}] {_line(percentage, figures)}"
        room = _columns(self._shell.stderr) - 1
        self._shell.draw(f"\r{line[:room]}{self._CLEAR_TO_END}")
        self._end = "\n"

    def close(self) -> None:
        self._shell.draw(self._end)


class Lines:
    """One line for each change, for logs."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._last = ""

    def show(self, percentage: int, figures: str) -> None:
        line = _line(percentage, figures)
        if line != self._last:
            self._shell.say(line)
        self._last = line

    def close(self) -> None:
        pass


class Nothing:
    """No output, for work that is short or that nobody watches."""

    def show(self, percentage: int, figures: str) -> None:
        pass

    def close(self) -> None:
        pass


def _line(percentage: int, figures: str) -> str:
    return f"{percentage:3}%  {figures}".rstrip()


def _columns(terminal: TextIO) -> int:
    """The width of the terminal. shutil checks only stdout, which may be a file."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS
