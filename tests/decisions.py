"""Builds the index of the decision records from their heads.

`python -m tests.decisions` writes it; a test compares."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "decisions"
INDEX = FOLDER / "index.md"
#: Numbers that no record ever had.
NEVER = {15}
BEGIN, END = "<!-- records: begin -->", "<!-- records: end -->"
_HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    r"- Status: (?P<status>(?:proposed|accepted|rejected|superseded by .+?)(?:; .+)?)\n"
    r"- Date: (?P<date>\d{4}-\d\d-\d\d)\n\n"
)


@dataclass(frozen=True, kw_only=True)
class Record:
    name: str
    number: int
    title: str
    status: str
    date: str


def read(path: Path) -> Record:
    """Raise ValueError if the record lacks its number, title, status or date."""
    head = _HEAD.match(path.read_text("utf-8"))
    if not head:
        raise ValueError(
            f"{path.name}: begin it with '# NUMBER. TITLE', an empty line, "
            "'- Status: accepted' and '- Date: YYYY-MM-DD'"
        )
    if not path.name.startswith(f"{int(head['number']):04}-"):
        raise ValueError(f"{path.name}: its title says that it is number {head['number']}")
    return Record(
        name=path.name,
        number=int(head["number"]),
        title=head["title"],
        status=head["status"],
        date=head["date"],
    )


def records(folder: Path = FOLDER) -> list[Record]:
    return [read(path) for path in sorted(folder.glob("[0-9]*.md"))]


def index_with(found: list[Record], index: str) -> str:
    rows = [
        f"| {each.number} | [{each.title}]({each.name}) | {each.status} | {each.date} |"
        for each in found
    ]
    table = "\n".join(["| | decision | status | date |", "|---|---|---|---|", *rows])
    before, _, rest = index.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


if __name__ == "__main__":
    INDEX.write_text(index_with(records(), INDEX.read_text("utf-8")), "utf-8")
