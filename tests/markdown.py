"""Pages as GitHub shows them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment right before it."""

    language: str
    text: str
    comment: str
    line: int


_BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^>]*) -->\n\n?)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks(name: str) -> list[Block]:
    text = page(name)
    return [
        Block(
            match["language"],
            match["text"],
            match["comment"] or "",
            text.count("\n", 0, match.start("text")),
        )
        for match in _BLOCK.finditer(text)
    ]


def anchors(path: Path) -> set[str]:
    """The targets of links within a page, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}
