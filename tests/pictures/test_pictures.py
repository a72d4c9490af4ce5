"""The pictures in the docs are up to date, and everyone can read them."""

import re
from itertools import pairwise, product
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pictures import charts, gallery, machines
from pictures.drawing import DARK, LIGHT, PALETTES, SIZE, WIDTH, Drawing, Palette, width_of, wrapped

DRAWN = {path.name: text for path, text in gallery.drawn().items()}
_SVG = "{http://www.w3.org/2000/svg}"


class TestGallery:
    def test_every_picture_is_drawn_anew_and_there_is_no_other(self) -> None:
        """`make pictures` writes them."""
        kept = {path.name: path.read_text("utf-8") for path in gallery.FOLDER.glob("*.svg")}
        assert kept == DRAWN

    def test_the_console_is_pictured_light_and_dark_and_nothing_else_is(self) -> None:
        """`make screenshots` takes them."""
        wanted = {f"{name}-{mode}.png" for name in gallery.SCREENSHOTS for mode in PALETTES}
        others = {path.name for path in gallery.FOLDER.iterdir() if path.suffix != ".svg"}
        assert others == wanted

    def test_no_picture_of_the_console_is_large(self) -> None:
        for path in gallery.FOLDER.glob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG"), path.name
            assert path.stat().st_size < 200_000, path.name

    @pytest.mark.parametrize("page", gallery.PAGES, ids=lambda page: page.name)
    def test_every_page_shows_its_pictures_and_says_the_same_in_words(self, page: Path) -> None:
        """`make pictures` writes the words too."""
        assert page.read_text("utf-8") == gallery.page_with_pictures(page)

    def test_every_picture_is_shown_on_a_page(self) -> None:
        shown = "\n".join(page.read_text("utf-8") for page in gallery.PAGES)
        assert {*re.findall("<!-- picture: (.*) -->", shown)} == {
            *gallery.pictures(),
            *gallery.SCREENSHOTS,
        }


class TestEveryPicture:
    @pytest.mark.parametrize("name", DRAWN)
    def test_no_text_is_cut_off(self, name: str) -> None:
        for text in ElementTree.fromstring(DRAWN[name]).iter(f"{_SVG}text"):  # noqa: S314 - ours
            left, right = _ends(text)
            assert left >= 4, text.text
            assert right <= WIDTH - 4, text.text

    @pytest.mark.parametrize("name", DRAWN)
    def test_no_text_is_too_small_for_a_phone(self, name: str) -> None:
        sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', DRAWN[name])]
        assert min(sizes) * 360 / WIDTH > 10

    @pytest.mark.parametrize("name", DRAWN)
    def test_it_loads_nothing_and_runs_nothing(self, name: str) -> None:
        assert not re.findall(r"href|url\(|<script|<style|<image", DRAWN[name])


class TestPalette:
    @pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
    def test_every_text_has_enough_contrast_with_its_background(self, palette: Palette) -> None:
        looks = (palette.page, palette.panel, palette.outside)
        colored = (palette.function, palette.queue, palette.table)
        pairs = [(look.text, look.fill) for look in (*looks, *colored)]
        pairs += product((palette.muted, *(look.text for look in colored)), [palette.page.fill])
        pairs += [(palette.muted, palette.panel.fill)]
        assert [pair for pair in pairs if _contrast(*pair) < 4.5] == []


class TestMachines:
    @pytest.mark.parametrize(
        "machine", [machines.BATCH, machines.CALLBACK], ids=["batch", "callback"]
    )
    def test_every_move_of_the_table_is_drawn_and_no_other(self, machine: machines.Machine) -> None:
        moves = {(str(before), str(after)) for (before, _), after in machine.moves.items()}
        first = {(machines.START, state) for state in machine.begins}
        assert {*machine.arrows} == moves | first

    @pytest.mark.parametrize(
        "machine", [machines.BATCH, machines.CALLBACK], ids=["batch", "callback"]
    )
    def test_the_words_for_it_name_every_move(self, machine: machines.Machine) -> None:
        assert all(str(event) in machine.alt() for _, event in machine.moves)


PAGE = """
## Cost

|  |  |
| --- | --- |
| DynamoDB writes | $0.20 |
| **in all** | **$0.40** |

| list price of | per million jobs | counted |
| --- | --- | --- |
| A service | $1,026.40 | a message |
| Another | $0.10 | the same |

## Beside queue libraries

|  | CPU per job, ms | memory |
| --- | --- | --- |
| asyncio | 0.26 | 45 MB |
| batchback | 0.62 | 98 MB |

## CPU and memory

| concurrent batches | jobs in each |
| --- | --- |
| 1 | 200 |

## Scale

| concurrent batches | jobs in each | write units | requests | CPU of run_jobs |
| --- | --- | --- | --- | --- |
| 1 | 200 | 1.00 | 1.00 | 1.11 |
| 50 | 200 | 0.99 | 1.00 | 1.00 |
| 1 | 10,000 | 0.77 |  | 1.14 |
"""


class TestCharts:
    def test_costs_are_those_of_the_page_the_cheapest_first(self) -> None:
        chart = charts.of_page(PAGE)["cost"]
        assert chart.alt().endswith(" Another: $0.10; Batchback: $0.40; A service: $1,026.40.")

    def test_cpu_is_that_of_the_page_and_ours_stands_out(self) -> None:
        chart = charts.of_page(PAGE)["cpu"]
        assert isinstance(chart, charts.BarChart)
        assert [(bar.length, bar.is_ours, bar.is_floor) for bar in chart.bars] == [
            (0.26, False, True),
            (0.62, True, False),
        ]

    def test_growth_is_that_of_one_batch_and_what_was_not_measured_is_left_out(self) -> None:
        chart = charts.of_page(PAGE)["growth"]
        assert isinstance(chart, charts.LineChart)
        assert chart.lines == {
            "CPU": [(200, 1.11), (10_000, 1.14)],
            "writes": [(200, 1.0), (10_000, 0.77)],
            "requests": [(200, 1.0)],
        }

    def test_names_at_the_ends_of_lines_do_not_overlap(self) -> None:
        lines = {"a": [(1, 1.0), (9, 1.0)], "b": [(1, 1.0), (9, 1.01)], "c": [(1, 1.0), (9, 1.0)]}
        svg = charts.LineChart(title="T", subtitle="S", lines=lines).draw(LIGHT)
        at = sorted(float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>[abc] 1\.', svg))
        assert len(at) == 3
        assert min(low - high for high, low in pairwise(at)) >= SIZE

    def test_a_line_that_rises_stays_within_the_chart(self) -> None:
        lines = {"a": [(1, 1.0), (9, 6.0)]}
        svg = charts.LineChart(title="T", subtitle="S", lines=lines).draw(LIGHT)
        assert min(float(y) for y in re.findall(r' y="([-\d.]+)"', svg)) >= 0

    def test_the_longest_bar_fills_the_width_and_the_others_are_in_proportion(self) -> None:
        bars = [charts.Bar("a", 1, "1"), charts.Bar("b", 4, "4")]
        svg = charts.BarChart(title="T", subtitle="S", bars=bars).draw(LIGHT)
        short, long = (float(width) for width in re.findall(r'width="([\d.]+)" height="22"', svg))
        assert long == pytest.approx(4 * short, abs=0.01)

    def test_a_page_without_the_table_is_refused(self) -> None:
        with pytest.raises(ValueError, match="has no table"):
            charts.of_page(PAGE.replace("list price of", "prices of"))


class TestDrawing:
    def test_text_is_text_whatever_is_in_it(self) -> None:
        pen = Drawing(PALETTES["light"])
        pen.text((0, 0), "<&>", "#000000")
        assert "&lt;&amp;&gt;" in pen.svg(10, "a < b")

    def test_lines_are_as_wide_as_they_may_be_at_most(self) -> None:
        lines = wrapped("one two three four five six", 120)
        assert len(lines) > 1
        assert max(map(width_of, lines)) <= 120


def _ends(text: ElementTree.Element) -> tuple[float, float]:
    bold = "font-weight" in text.attrib
    width = width_of(text.text or "", float(text.get("font-size", SIZE)), bold=bold)
    before = {"start": 0.0, "middle": width / 2, "end": width}[text.attrib["text-anchor"]]
    left = float(text.attrib["x"]) - before
    return left, left + width


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 computes it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
