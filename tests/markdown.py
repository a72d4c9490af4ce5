"""Pages as GitHub shows them."""

import re
from pathlib import Path


def anchors(path: Path) -> set[str]:
    """Where links can lead within a page, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}
