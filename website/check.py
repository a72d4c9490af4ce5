"""Check that the built site loads nothing from another host, and nothing that is missing.

`make docs` runs it.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

SITE = Path(__file__).resolve().parents[1] / "build" / "site"
#: What a browser loads by itself to show a page. `a` is not here: a link waits for a click.
_LOADED = {
    "href": {"link"},
    "src": {"audio", "embed", "iframe", "img", "script", "source", "video"},
}
_SETS = {"img", "source"}
#: Links that only say where a page is: nothing is loaded.
_SAID = {"canonical", "next", "prev"}
_FOREIGN = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:[a-z]+:)?//[^\"')\s]+)", re.IGNORECASE)


def foreign_in_page(text: str) -> list[str]:
    """Return the addresses that a page loads from other hosts."""
    return [*filter(_FOREIGN.match, _loaded(text)), *foreign_in_styles(text)]


def foreign_in_styles(text: str) -> list[str]:
    return _IN_STYLES.findall(text)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "link" and {*said.get("rel", "").split()} & _SAID:
            return
        loaded = [said[name] for name, tags in _LOADED.items() if tag in tags and name in said]
        if tag in _SETS:
            loaded += re.split(r",\s*", said.get("srcset", ""))
        self.loaded += [address.split(" ")[0] for address in loaded]


def _loaded(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    return page.loaded


def foreign(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*")):
        look = {".html": foreign_in_page, ".css": foreign_in_styles, ".svg": foreign_in_page}
        if path.suffix in look:
            for address in look[path.suffix](path.read_text("utf-8")):
                yield f"{path.relative_to(site)} loads {address}"


def missing(site: Path) -> Iterator[str]:
    """Say which files of the site itself its pages load, although they do not exist."""
    for path in sorted(site.rglob("*.html")):
        for address in _loaded(path.read_text("utf-8")):
            folder = site if address.startswith("/") else path.parent
            file = folder / re.sub(r"[?#].*", "", address).lstrip("/")
            if not re.match(r"[a-z]+:|//", address) and not file.exists():
                yield f"{path.relative_to(site)} loads {address}, which does not exist"


if __name__ == "__main__":
    found = [*foreign(SITE), *missing(SITE)]
    sys.exit("\n".join(found) or None)
