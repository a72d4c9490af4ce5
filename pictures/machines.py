"""The state machines of a batch and of its callback, drawn from their tables.

The places of states and arrows are here, and their words come from the tables. An arrow without a
place is an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.states import BATCH_MOVES, CALLBACK_MOVES
from pictures.drawing import LINE, Drawing, Palette, Point, wrapped

START = "start"
_SIZE = (116, 46)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrow:
    """The four points of a curve, and the place and the width of its words."""

    points: tuple[Point, Point, Point, Point]
    words: Point
    width: float
    anchor: str = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    title: str
    moves: Mapping[Any, Any]
    begins: Mapping[str, str]  #: the states that it can begin in, and why
    places: Mapping[str, Point]  #: the middle of each state
    arrows: Mapping[tuple[str, str], _Arrow]
    height: float

    def words(self) -> dict[tuple[str, str], list[str]]:
        """The words of every arrow."""
        found = {(START, state): [why] for state, why in self.begins.items()}
        for (before, event), after in self.moves.items():
            found.setdefault((str(before), str(after)), []).append(str(event))
        return found

    def alt(self) -> str:
        """The machine in words."""
        first = [f"It begins as {state}: {why}." for state, why in self.begins.items()]
        moves = [
            f"From {before} to {after}: {', '.join(events)}."
            for (before, after), events in self.words().items()
            if before != START
        ]
        return " ".join([f"{self.title}.", *first, *moves])

    def draw(self, palette: Palette) -> str:
        pen = Drawing(palette)
        pen.text((20, 34), self.title, palette.page.text, bold=True, size=19)
        for ends, events in self.words().items():
            self._arrow(pen, self.arrows[ends], events)
        for name, middle in self.places.items():
            self._state(pen, name, middle)
        return pen.svg(self.height, self.title)

    def _arrow(self, pen: Drawing, arrow: _Arrow, events: list[str]) -> None:
        pen.curve(*arrow.points)
        for index, line in enumerate(wrapped(", ".join(events), arrow.width)):
            at = (arrow.words[0], arrow.words[1] + index * LINE)
            pen.text(at, line, pen.palette.muted, anchor=arrow.anchor)

    def _state(self, pen: Drawing, name: str, middle: Point) -> None:
        if name == START:
            pen.dot(middle, pen.palette.line)
        else:
            corner = (middle[0] - _SIZE[0] / 2, middle[1] - _SIZE[1] / 2)
            pen.box(corner, _SIZE, pen.palette.function, name, radius=_SIZE[1] / 2)


BATCH = Machine(
    title="The states of a batch",
    moves=BATCH_MOVES,
    begins={"running": "submitted"},
    places={START: (34, 106), "running": (212, 106), "completed": (516, 106)},
    arrows={
        (START, "running"): _Arrow(
            points=((41, 106), (80, 106), (120, 106), (154, 106)), words=(96, 96), width=110
        ),
        ("running", "completed"): _Arrow(
            points=((270, 98), (324, 78), (404, 78), (458, 98)), words=(364, 74), width=190
        ),
        ("completed", "running"): _Arrow(
            points=((458, 114), (404, 134), (324, 134), (270, 114)), words=(364, 152), width=190
        ),
    },
    height=176,
)
CALLBACK = Machine(
    title="The states of a callback",
    moves=CALLBACK_MOVES,
    begins={"waiting": "the batch has a callback URL", "none": "it has none"},
    places={
        START: (286, 78),
        "waiting": (286, 186),
        "none": (516, 78),
        "delivered": (110, 410),
        "failed": (462, 410),
    },
    arrows={
        (START, "waiting"): _Arrow(
            points=((286, 85), (286, 110), (286, 140), (286, 163)),
            words=(274, 106),
            width=180,
            anchor="end",
        ),
        (START, "none"): _Arrow(
            points=((293, 78), (340, 78), (400, 78), (458, 78)), words=(372, 68), width=130
        ),
        ("waiting", "waiting"): _Arrow(
            points=((228, 178), (170, 150), (170, 222), (228, 194)),
            words=(176, 178),
            width=166,
            anchor="end",
        ),
        ("none", "none"): _Arrow(
            points=((500, 101), (480, 152), (552, 152), (532, 101)), words=(516, 162), width=120
        ),
        ("waiting", "delivered"): _Arrow(
            points=((252, 209), (240, 300), (84, 290), (84, 387)),
            words=(152, 258),
            width=130,
            anchor="end",
        ),
        ("delivered", "waiting"): _Arrow(
            points=((136, 387), (140, 320), (272, 330), (276, 209)),
            words=(166, 364),
            width=120,
            anchor="start",
        ),
        ("waiting", "failed"): _Arrow(
            points=((320, 209), (332, 300), (488, 290), (488, 387)),
            words=(436, 264),
            width=160,
            anchor="start",
        ),
        ("failed", "waiting"): _Arrow(
            points=((436, 387), (432, 320), (300, 330), (296, 209)),
            words=(406, 364),
            width=120,
            anchor="end",
        ),
    },
    height=450,
)
