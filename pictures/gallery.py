"""All pictures, and how pages show them.

A page shows a picture after the comment `<!-- picture: NAME -->`. This module writes what follows
the comment: the picture in light and in dark, and its content in words. Pictures of the console
come from a browser: `make screenshots` takes them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pictures import architecture, charts, life, machines
from pictures.drawing import PALETTES, WIDTH, Palette

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "console.md",
    ROOT / "docs" / "how-it-works.md",
    ROOT / "docs" / "performance.md",
    ROOT / "docs" / "tutorial.md",
)
#: The pictures of the console, and what they show.
SCREENSHOTS = {
    "console-batches": (
        "The console's list of batches. One needs attention, because its callback fails and is "
        "retried; one is running, with a bar that shows how far it is; five have ended."
    ),
    "console-batch": (
        "A batch in the console: how many of its 800 jobs succeeded, failed or got no answer, a "
        "grid with a cell for each job, the most frequent errors, and a table with the failed jobs "
        "first."
    ),
    "console-callback": (
        "The callback of a batch in the console: the first attempt failed with 500, the second was "
        "delivered. Beside them is what is sent, with the secret header hidden."
    ),
    "console-local": (
        "The console's page Simulate: switches that make the platform or the receiver fail, and "
        "the service's clock, with buttons that move it ahead."
    ),
}
_SCREENSHOT_WIDTH = 800
_PLACE = re.compile(r"<!-- picture: (?P<name>\S+) -->\n(?:<picture>.*?</picture>\n)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Picture:
    draw: Callable[[Palette], str]
    alt: str  #: its content in words


def redraw() -> None:
    """Write every picture, and every page that shows one."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in drawn().items():
        path.write_text(text, "utf-8")
    for page in PAGES:
        page.write_text(page_with_pictures(page), "utf-8")


def drawn() -> dict[Path, str]:
    """Every picture, light and dark."""
    return {
        FOLDER / f"{name}-{mode}.svg": picture.draw(palette)
        for name, picture in pictures().items()
        for mode, palette in PALETTES.items()
    }


def page_with_pictures(page: Path) -> str:
    """The text of a page, with its pictures up to date."""
    folder, known = FOLDER.relative_to(page.parent).as_posix(), pictures()

    def shown(place: re.Match[str]) -> str:
        name = place["name"]
        if name in SCREENSHOTS:
            return _shown(name, SCREENSHOTS[name], folder, "png", _SCREENSHOT_WIDTH)
        return _shown(name, known[name].alt, folder, "svg", WIDTH)

    return _PLACE.sub(shown, page.read_text("utf-8"))


def _shown(name: str, alt: str, folder: str, kind: str, width: int) -> str:
    words = escape(alt, quote=False).replace('"', "&quot;")
    return (
        f"<!-- picture: {name} -->\n"
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{name}-dark.{kind}">\n'
        f'  <img src="{folder}/{name}-light.{kind}" width="{width}" alt="{words}">\n'
        "</picture>\n"
    )


def pictures() -> Mapping[str, Picture]:
    performance = (ROOT / "docs" / "performance.md").read_text("utf-8")
    return {
        "architecture": Picture(architecture.draw, architecture.ALT),
        "life-of-a-batch": Picture(life.draw, life.ALT),
        "states-of-a-batch": Picture(machines.BATCH.draw, machines.BATCH.alt()),
        "states-of-a-callback": Picture(machines.CALLBACK.draw, machines.CALLBACK.alt()),
        **{
            name: Picture(chart.draw, chart.alt())
            for name, chart in charts.of_page(performance).items()
        },
    }
