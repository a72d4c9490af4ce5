"""Add what the site has besides the pages of docs/: pages made from other files, and links to them.

MkDocs calls the functions `on_...`: `hooks` in mkdocs.yml names this file.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File

from website.reference import reference

ROOT = Path(__file__).resolve().parents[1]
#: Files of the repository outside of docs/ that are pages of the site.
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
EXAMPLES = {
    f"examples/{path.name}": f"examples/{path.name}.md" for path in (ROOT / "examples").glob("*.*")
}
#: The README is the front page of the repository, docs/index.md that of the site.
TARGETS = {**PAGES, **EXAMPLES, "README.md": "index.md", "docs/decisions": "decisions/index.md"}
_LANGUAGES = {".go": "go", ".js": "js", ".php": "php", ".py": "python", ".sh": "sh"}

_CODE = r"^```.*?^```$|`[^`\n]*`"
_LINK = r"\[(?P<text>[^\]]*)\]\((?![a-z]+:|#)(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)"
_CODE_OR_LINK = re.compile(f"{_CODE}|{_LINK}", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> None:
    """Add every decision to the navigation, under its own title."""
    [decisions] = [part for part in config.nav if "Decisions" in part]
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    decisions["Decisions"] += [f"decisions/{path.name}" for path in records]


def on_files(files: Any, config: Any) -> Any:
    for source, name in PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        _add(files, config, name, text if source.endswith(".md") else f"# License\n\n{text}")
    for source, name in EXAMPLES.items():
        path = ROOT / source
        code = f"```{_LANGUAGES[path.suffix]}\n{path.read_text('utf-8')}```\n"
        _add(files, config, name, f"# {path.name}\n\n{code}")
    document = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text("utf-8"))
    _add(files, config, "reference.md", reference(document))
    _add(files, config, "style.css", (ROOT / "website" / "style.css").read_text("utf-8"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    return _CODE_OR_LINK.sub(lambda match: _link(match, page.file.src_uri), markdown)


def _add(files: Any, config: Any, name: str, content: str) -> None:
    files.append(File.generated(config, name, content=content))


def _link(match: re.Match[str], page: str) -> str:
    """Link to the page of the site. If the site has no page of the file, only name it."""
    if match["target"] is None:
        return match[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(_source(page)), match["target"]))
    found = TARGETS.get(target, target.removeprefix("docs/"))
    if found == target:
        return f"{match['text']} (`{target}`)"
    relative = posixpath.relpath(found, posixpath.dirname(page))
    return f"[{match['text']}]({relative}{match['anchor'] or ''})"


def _source(page: str) -> str:
    """The file of the repository that a page is made from."""
    return next((source for source, name in PAGES.items() if name == page), f"docs/{page}")
