"""The pen: shapes and text in SVG, in a light and a dark palette.

A picture is 600 wide, because a phone then shows its text at 10 px and more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

WIDTH = 600
SIZE = 17  #: of all text except titles
LINE = 21  #: from one line of text to the next
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_HEAD = 9  # the length of an arrow's head
_NARROW, _SLIM, _WIDE = "ijl.,:;|'!", "tfrI()[]/- 1", "mwMW%"


@dataclass(frozen=True, slots=True)
class Look:
    """The colors of a shape: its area, its outline, the text in it."""

    fill: str
    stroke: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """All colors of a picture. A test checks that text has a contrast of 4.5 to its background."""

    page: Look
    panel: Look
    outside: Look
    function: Look
    queue: Look
    table: Look
    muted: str  #: text that explains
    line: str
    rest: str  #: bars that are not ours


LIGHT = Palette(
    page=Look("#ffffff", "#d8dee4", "#1f2328"),
    panel=Look("#f6f8fa", "#d0d7de", "#1f2328"),
    outside=Look("#ffffff", "#8c959f", "#1f2328"),
    function=Look("#ddf4ff", "#0969da", "#0a3069"),
    queue=Look("#fff4d1", "#bf8700", "#633c01"),
    table=Look("#dafbe1", "#1a7f37", "#0b4a1f"),
    muted="#57606a",
    line="#6e7781",
    rest="#afb8c1",
)
DARK = Palette(
    page=Look("#0d1117", "#30363d", "#e6edf3"),
    panel=Look("#161b22", "#30363d", "#e6edf3"),
    outside=Look("#0d1117", "#6e7681", "#e6edf3"),
    function=Look("#12294a", "#58a6ff", "#cae8ff"),
    queue=Look("#332608", "#d29922", "#f8e3a1"),
    table=Look("#0f2d1a", "#3fb950", "#aff5b4"),
    muted="#9ea7b3",
    line="#8b949e",
    rest="#545d68",
)
PALETTES = {"light": LIGHT, "dark": DARK}


@dataclass(slots=True)
class Drawing:
    """The shapes so far. Later ones lie on top."""

    palette: Palette
    shapes: list[str] = field(default_factory=list)

    def box(
        self, corner: Point, size: Point, look: Look, *lines: str, radius: float = 8, dash: str = ""
    ) -> None:
        """A rectangle with lines of text in its middle, the first one bold."""
        (x, y), (width, height) = corner, size
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
            f' fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.5"{dashes}/>'
        )
        top = y + height / 2 - (len(lines) - 1) * LINE / 2 + SIZE * 0.35
        for index, line in enumerate(lines):
            at = (x + width / 2, top + index * LINE)
            self.text(at, line, look.text, anchor="middle", bold=index == 0)

    def pill(self, corner: Point, size: Point, look: Look, name: str) -> None:
        """A queue."""
        self.box(corner, size, look, name, radius=size[1] / 2)

    def text(
        self,
        at: Point,
        words: str,
        color: str,
        *,
        anchor: str = "start",
        bold: bool = False,
        size: float = SIZE,
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self.shapes.append(
            f'<text x="{at[0]:g}" y="{at[1]:g}" fill="{color}" font-size="{size:g}"'
            f' text-anchor="{anchor}"{weight}>{escape(words, quote=False)}</text>'
        )

    def block(self, corner: Point, size: Point, fill: str, stroke: str) -> None:
        """A bar."""
        self.box(corner, size, Look(fill, stroke, ""), radius=3)

    def dot(self, middle: Point, color: str) -> None:
        self.box((middle[0] - 5, middle[1] - 5), (10, 10), Look(color, color, ""), radius=5)

    def line(
        self, points: Sequence[Point], color: str, *, thick: float = 1.5, dash: str = ""
    ) -> None:
        self._stroke("M" + " L".join(map(_at, points)), color, thick, dash)

    def arrow(self, *points: Point, color: str = "", both: bool = False) -> None:
        """A line with a head at its end, or at both."""
        color = color or self.palette.line
        self.line(points, color)
        self._head(points[-2], points[-1], color)
        if both:
            self._head(points[1], points[0], color)

    def curve(self, start: Point, first: Point, second: Point, end: Point) -> None:
        """An arrow that leaves towards the first point and arrives from the second."""
        color = self.palette.line
        self._stroke(f"M{_at(start)} C{_at(first)} {_at(second)} {_at(end)}", color, 1.5, "")
        self._head(second, end, color)

    def _stroke(self, path: str, color: str, thick: float, dash: str) -> None:
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.shapes.append(
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{thick:g}"'
            f' stroke-linejoin="round"{dashes}/>'
        )

    def _head(self, before: Point, tip: Point, color: str) -> None:
        across, down = tip[0] - before[0], tip[1] - before[1]
        length = (across**2 + down**2) ** 0.5
        along = (across / length * _HEAD, down / length * _HEAD)
        back = (tip[0] - along[0], tip[1] - along[1])
        sides = [(back[0] + turn * along[1] / 2, back[1] - turn * along[0] / 2) for turn in (1, -1)]
        corners = " ".join(map(_at, [tip, *sides]))
        self.shapes.append(f'<polygon points="{corners}" fill="{color}"/>')

    def svg(self, height: float, title: str) -> str:
        """The whole picture, with a background of its own, so that it is readable on any page."""
        ground = self.palette.page
        size = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
        edge = f'width="{WIDTH - 1}" height="{height - 1:g}" rx="10"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{_FONT}">',
            f"<title>{escape(title, quote=False)}</title>",
            f'<rect x="0.5" y="0.5" {edge} fill="{ground.fill}" stroke="{ground.stroke}"/>',
            *self.shapes,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


def _at(point: Point) -> str:
    return f"{round(point[0], 1):g},{round(point[1], 1):g}"


def width_of(words: str, size: float = SIZE, *, bold: bool = False) -> float:
    """The approximate width of a text in the widest font that a reader's system may have."""
    return size * sum(map(_em, words)) * (1.12 if bold else 1)


def _em(letter: str) -> float:
    if letter in _NARROW:
        return 0.32
    if letter in _SLIM:
        return 0.42
    return 0.95 if letter in _WIDE else 0.72 if letter.isupper() else 0.62


def wrapped(words: str, width: float) -> list[str]:
    """The text in lines of at most this width."""
    return [" ".join(line) for line in _lines(words.split(), width)]


def _lines(words: Iterable[str], width: float) -> Iterator[list[str]]:
    line: list[str] = []
    for word in words:
        if line and width_of(" ".join([*line, word])) > width:
            yield line
            line = []
        line = [*line, word]
    yield line
