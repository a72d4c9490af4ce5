"""The drawings of the state machines in docs/how-it-works.md, made from the tables.

`python -m tests.machines` writes them anew; a test compares.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chalicelib.domain.states import BATCH_MOVES, CALLBACK_MOVES

PAGE = Path(__file__).parent.parent / "docs" / "how-it-works.md"
BEGIN, END = "<!-- machines: begin -->", "<!-- machines: end -->"


def drawings() -> str:
    """Both machines, in mermaid, as GitHub shows it."""
    return "\n\n".join(
        [
            "A batch:\n\n" + _drawing("[*] --> running: submitted", BATCH_MOVES),
            "Its callback:\n\n"
            + _drawing(
                "[*] --> waiting: the batch has a callback URL\n    [*] --> none: it has none",
                CALLBACK_MOVES,
            ),
        ]
    )


def _drawing(begin: str, moves: Mapping[Any, str]) -> str:
    lines = [f"    {before} --> {after}: {event}" for (before, event), after in moves.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    {begin}", *lines, "```"])


def page_with_drawings(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawings()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_drawings(PAGE.read_text("utf-8")), "utf-8")
