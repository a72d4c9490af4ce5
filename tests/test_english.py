"""The words that make our English read like a translation stay out of what people read."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchback_ops import project
from tests.markdown import without_blocks

ROOT = project.root()
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        ROOT / "client" / "README.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
FOLDERS = (
    *("batchback_console", "batchback_local", "batchback_ops", "benchmarks", "browser"),
    *("chalicelib", "client/src", "e2e", "examples", "pictures", "tests", "website"),
)
CODE = sorted(
    [ROOT / "app.py", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
)

#: The word, and what to write instead.
INSTEAD = {
    "whoever": "name who does it",
    "mend": "fix",
    "mended": "fixed",
    "time-out": "timeout",
    "woken": "paged",
    "look whether": "check whether",
    "looks whether": "checks whether",
    "tried again": "retried",
    "side by side": "concurrently",
    "as ever": "as before",
    "be it": "even if it is",
    "unless said otherwise": "by default",
    "does to begin with": "is fine to start with",
}
BANNED = re.compile(rf"(?<![\w-])({'|'.join(INSTEAD)})(?![\w-])", re.IGNORECASE)


def prose(page: Path) -> str:
    """A page without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(page.read_text("utf-8")))


def told(source: str) -> Iterator[str]:
    """The docstrings and comments of a module."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def faults(text: str) -> list[str]:
    return [f"'{word}': write '{INSTEAD[word.lower()]}'" for word in BANNED.findall(text)]


def count(word: str, text: str) -> int:
    return len(re.findall(rf"\b{word}\b", text, re.IGNORECASE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_none_of_the_worst_words(page: Path) -> None:
    assert faults(prose(page)) == []


def test_docstrings_and_comments_have_none_of_the_worst_words() -> None:
    sources = {path: path.read_text("utf-8") for path in CODE}
    found = {
        str(path.relative_to(ROOT)): wrong
        for path, source in sources.items()
        if faults(source) and (wrong := faults("\n".join(told(source))))
    }
    assert found == {}


def test_the_docs_say_if_more_often_than_where() -> None:
    text = "\n".join(map(prose, PAGES))
    assert 4 * count("where", text) < count("if", text)


def test_a_bad_word_is_found() -> None:
    assert faults("Whoever reads this, pays for the time-out") == [
        "'Whoever': write 'name who does it'",
        "'time-out': write 'timeout'",
    ]
