"""Mistakes in the code that the tests must detect, as data: mutants.toml.

    python -m tests.mutants           tries all of them, each in a copy of this checkout
    python -m tests.mutants WORDS     tries those whose mistake contains the words

A library that generates mutants breaks thousands of places that do not matter, and cannot make most
of these, such as a call moved behind another one or a database condition left out."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("mutants.toml")


class CannotTell(Exception):
    """Whether the tests detect a mutant cannot be determined; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A mistake that at least one of the tests in `seen_by` must detect."""

    mistake: str
    file: str
    text: str
    becomes: str
    seen_by: list[str]

    def broken(self, code: str) -> str:
        """The code with the mistake in it."""
        found = code.count(self.text)
        if found != 1:
            raise CannotTell(f"{self.mistake}: its text occurs {found} times in {self.file}")
        return code.replace(self.text, self.becomes)

    def break_in(self, checkout: Path) -> None:
        path = checkout / self.file
        path.write_text(self.broken(path.read_text("utf-8")), "utf-8")


def mutants() -> list[Mutant]:
    return [Mutant(**row) for row in tomllib.loads(TABLE.read_text("utf-8"))["mutant"]]
