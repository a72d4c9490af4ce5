"""Charts of docs/performance.md, drawn from its own tables."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pictures.drawing import LINE, SIZE, WIDTH, Drawing, Palette, width_of, wrapped

_EDGE = 20
_NAMES = 210  # the most room for the names beside bars
_BAR = 22
_OURS = ("batchback", "batchback, signing")
_FLOORS = ("asyncio", "threads")
_SIZES = "jobs in each"
#: The columns of the table "Scale" that are drawn, with the words for them.
_LINES = {"CPU of run_jobs": "CPU", "write units": "writes", "requests": "requests"}
Row = Mapping[str, str]
Line = list[tuple[int, float]]  # the jobs of a batch, and what one takes compared to one of 200


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    length: float
    shown: str
    is_ours: bool = False
    is_floor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """A bar for each, with its name at the left and its value at the end."""

    title: str
    subtitle: str
    bars: list[Bar]

    def alt(self) -> str:
        values = "; ".join(f"{bar.name}: {bar.shown}" for bar in self.bars)
        return f"{self.title}. {self.subtitle} {values}."

    def draw(self, palette: Palette) -> str:
        pen = Drawing(palette)
        y = _headline(pen, self.title, self.subtitle)
        left = _EDGE + min(_NAMES, max(width_of(bar.name, bold=True) for bar in self.bars)) + 12
        values = max(width_of(bar.shown, bold=True) for bar in self.bars)
        scale = (WIDTH - _EDGE - left - values - 10) / max(bar.length for bar in self.bars)
        for bar in self.bars:
            y += _bar(pen, bar, y, left, max(bar.length * scale, 3))
        return pen.svg(y + 6, self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """A line for each, from the smallest batch to the largest, with its name at the end."""

    title: str
    subtitle: str
    lines: dict[str, Line]

    def alt(self) -> str:
        values = "; ".join(
            f"{name}: " + " to ".join(f"{ratio:g} at {size:,} jobs" for size, ratio in _ends(line))
            for name, line in self.lines.items()
        )
        return f"{self.title}. {self.subtitle} {values}."

    def draw(self, palette: Palette) -> str:
        pen = Drawing(palette)
        sizes, ratios = zip(*(point for line in self.lines.values() for point in line), strict=True)
        top = _headline(pen, self.title, self.subtitle)
        plot = _Plot(top=top, sizes=sorted({*sizes}), most=max(1.25, *ratios))
        _grid(pen, plot)
        looks = dict(
            zip(self.lines, (palette.function, palette.table, palette.queue), strict=False)
        )
        for name, line in self.lines.items():
            points = [plot.at(*point) for point in line]
            pen.line(points, looks[name].stroke, thick=3)
            for point in points:
                pen.dot(point, looks[name].stroke)
        for name, y in _apart({name: plot.at(*line[-1])[1] for name, line in self.lines.items()}):
            words = f"{name} {self.lines[name][-1][1]:.2f}"
            pen.text((plot.right + 14, y + SIZE * 0.35), words, looks[name].text, bold=True)
        return pen.svg(plot.bottom + 64, self.title)


def _ends(line: Line) -> Line:
    return [line[0], line[-1]]


def _apart(heights: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """The heights from top to bottom, moved apart so that a line of text fits between them."""
    above = -math.inf
    for name, height in sorted(heights.items(), key=lambda each: each[1]):
        above = max(height, above + LINE)
        yield name, above


def of_page(page: str) -> dict[str, BarChart | LineChart]:
    """All charts, from the text of docs/performance.md."""
    return {
        "cost": BarChart(
            title="Dollars per million jobs",
            subtitle="What AWS charges for Batchback, and the list prices of services that do part "
            "of its work.",
            bars=_cost(page),
        ),
        "cpu": BarChart(
            title="CPU per job",
            subtitle="1,000 jobs; the platform answers immediately. Empty bars are scripts that "
            "lose their jobs when they die.",
            bars=_cpu(page),
        ),
        "growth": LineChart(
            title="What a job takes as batches grow",
            subtitle="1 is what a job takes in a batch of 200 (for CPU: in 50 concurrent batches).",
            lines=_growth(page),
        ),
    }


def _rows(page: str, head: str) -> list[Row]:
    """The rows of the first table whose head begins like this, by the names of its columns."""
    _, found, rest = page.partition(f"\n{head}")
    if not found:
        raise ValueError(f"docs/performance.md has no table {head!r}: its chart is drawn from that")
    lines = f"{head}{rest}".partition("\n\n")[0].splitlines()
    names, _, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(names, each, strict=True)) for each in cells]


def _cost(page: str) -> list[Bar]:
    ours = _rows(page.partition("## Cost")[2], "|  |  |")[-1][""].strip("*")
    others = _rows(page, "| list price of |")
    shown = [(row["list price of"], row["per million jobs"]) for row in others]
    bars = [Bar("Batchback", _number(ours), ours, is_ours=True)]
    bars += [Bar(name, _number(dollars), dollars) for name, dollars in shown]
    return sorted(bars, key=lambda bar: bar.length)


def _cpu(page: str) -> list[Bar]:
    """The first table of the libraries, in which the platform answers immediately."""
    return [
        Bar(
            row[""],
            _number(row["CPU per job, ms"]),
            f"{row['CPU per job, ms']} ms",
            is_ours=row[""] in _OURS,
            is_floor=row[""] in _FLOORS,
        )
        for row in _rows(page, "|  | CPU per job, ms |")
    ]


def _growth(page: str) -> dict[str, Line]:
    """The lines by what is counted: the jobs of a batch, and what one takes compared to one of 200.
    What was not measured has no line."""
    scale = _rows(page.partition("## Scale")[2], "| concurrent batches |")
    table = [row for row in scale if row["concurrent batches"] == "1"]
    lines = {
        words: [(int(_number(row[_SIZES])), float(row[name])) for row in table if row[name]]
        for name, words in _LINES.items()
    }
    return {words: line for words, line in lines.items() if line}


def _number(shown: str) -> float:
    return float(shown.strip("$").replace(",", ""))


def _bar(pen: Drawing, bar: Bar, y: float, left: float, length: float) -> float:
    """Draw one bar, and return the height that it takes."""
    palette = pen.palette
    lines = wrapped(bar.name, _NAMES)
    height = max(len(lines) * LINE, _BAR) + 12
    color = palette.page.text if bar.is_ours else palette.muted
    for index, line in enumerate(lines):
        at = (left - 12, y + height / 2 + (index - (len(lines) - 1) / 2) * LINE + SIZE * 0.35)
        pen.text(at, line, color, anchor="end", bold=bar.is_ours)
    fill = palette.function.stroke if bar.is_ours else palette.rest
    corner = (left, y + (height - _BAR) / 2)
    pen.block(corner, (length, _BAR), palette.page.fill if bar.is_floor else fill, fill)
    end = (left + length + 9, y + height / 2 + SIZE * 0.35)
    pen.text(end, bar.shown, color, bold=bar.is_ours)
    return height


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plot:
    """The place of a size and a ratio. Sizes are on a logarithmic scale."""

    top: float
    sizes: list[int]
    left: float = 64
    right: float = 440
    height: float = 220
    most: float

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def at(self, size: float, ratio: float) -> tuple[float, float]:
        first, last = math.log(self.sizes[0]), math.log(self.sizes[-1])
        along = (math.log(size) - first) / ((last - first) or 1)
        x = self.left + along * (self.right - self.left)
        return x, self.bottom - self.height * ratio / self.most


def _grid(pen: Drawing, plot: _Plot) -> None:
    palette = pen.palette
    for ratio in (0, 0.5, 1):
        _, y = plot.at(plot.sizes[0], ratio)
        pen.line([(plot.left - 10, y), (plot.right, y)], palette.page.stroke)
        pen.text((plot.left - 18, y + SIZE * 0.35), f"{ratio:g}", palette.muted, anchor="end")
    for size in plot.sizes:
        x, _ = plot.at(size, 0)
        pen.text((x, plot.bottom + 26), f"{size:,}", palette.muted, anchor="middle")
    middle = (plot.left + plot.right) / 2
    pen.text((middle, plot.bottom + 48), "jobs in the batch", palette.muted, anchor="middle")


def _headline(pen: Drawing, title: str, subtitle: str) -> float:
    """Draw what a chart shows, and return where its body begins."""
    pen.text((_EDGE, 36), title, pen.palette.page.text, bold=True, size=20)
    lines = wrapped(subtitle, WIDTH - 2 * _EDGE)
    for index, line in enumerate(lines):
        pen.text((_EDGE, 62 + index * LINE), line, pen.palette.muted)
    return 62 + len(lines) * LINE
