"""The console's page, as far as it can be checked without a browser."""

import re
from hashlib import sha256
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "batchback_console" / "page"
VENDOR = PAGE / "vendor"
MODULES = sorted(PAGE.glob("*.js"))
VENDORED = sorted(VENDOR.glob("*.js"))
OWN = [*MODULES, PAGE / "index.html", PAGE / "console.css", PAGE / "icon.svg"]

#: What would parse a caller's text as HTML or as a program, or needs a weaker policy.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment"
    r"|DOMParser|\beval\b|new Function|style=|javascript:"
)
ADDRESS = re.compile(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}", re.IGNORECASE)
IMPORT = re.compile(r'(?:from|import) ?"([^"]+)"')
NAMESPACE = "http://www.w3.org/2000/svg"


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", [*MODULES, PAGE / "index.html"], ids=name)
def test_nothing_from_a_caller_can_become_html(path: Path) -> None:
    assert not FORBIDDEN.findall(path.read_text())


@pytest.mark.parametrize("path", OWN, ids=name)
def test_the_page_loads_nothing_from_other_hosts(path: Path) -> None:
    assert not ADDRESS.findall(path.read_text().replace(NAMESPACE, ""))


def test_every_module_is_loaded_by_the_page() -> None:
    assert reached(PAGE / "app.js") == {*MODULES, *VENDORED}


def reached(start: Path) -> set[Path]:
    """`start` and all modules that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += [(module.parent / each).resolve() for each in imports(module)]
    return found


def imports(module: Path) -> list[str]:
    return IMPORT.findall(module.read_text())


@pytest.mark.parametrize("path", [*MODULES, *VENDORED], ids=name)
def test_modules_import_each_other_by_relative_paths(path: Path) -> None:
    """There is no build step that would know where `preact` is."""
    assert all(each.startswith(("./", "../")) for each in imports(path))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_each_name_that_a_module_imports_is_used(path: Path) -> None:
    text = path.read_text()
    for names in re.findall(r"^import \{([^}]+)\}", text, re.MULTILINE):
        for each in names.replace("\n", " ").split(","):
            if word := each.strip():
                assert len(re.findall(rf"\b{word}\b", text)) > 1, word


def test_the_page_refers_to_files_that_exist() -> None:
    names = re.findall(r'(?:href|src)="/page/([^"]+)"', (PAGE / "index.html").read_text())
    assert sorted(names) == ["app.js", "console.css", "icon.svg"]
    assert all((PAGE / each).is_file() for each in names)


@pytest.mark.parametrize("path", VENDORED, ids=name)
def test_vendored_modules_are_those_that_their_readme_names(path: Path) -> None:
    assert f"| `{sha256(path.read_bytes()).hexdigest()}` |" in row_of(path.name)


@pytest.mark.parametrize("package", ["preact", "htm"])
def test_vendored_packages_come_with_their_license(package: str) -> None:
    assert "Copyright" in (VENDOR / f"LICENSE-{package}.txt").read_text()


def row_of(file: str) -> str:
    rows = (VENDOR / "README.md").read_text().splitlines()
    return next(row for row in rows if row.startswith(f"| `{file}` "))


COLOR = re.compile(r"^\s+--([\w-]+): (#[0-9a-f]{6});$", re.MULTILINE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_on_every_ground(scheme: str) -> None:
    """WCAG AA requires 4.5 to 1."""
    colors = palette(scheme)
    on_plain = ["text", "muted", "accent", "good", "bad", "warn", "info"]
    pairs = [(text, ground) for text in on_plain for ground in ("ground", "surface", "sunken")]
    pairs += [(tone, f"{tone}-soft") for tone in ("good", "bad", "warn", "info", "idle", "accent")]
    pairs += [("button-text", "button"), ("muted", "hover"), ("muted", "idle-soft")]
    pairs += [("text", "accent-soft"), ("muted", "accent-soft"), ("surface", "bad")]
    low = {pair: round(contrast(*(colors[each] for each in pair)), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


def palette(scheme: str) -> dict[str, str]:
    light, _, rest = (PAGE / "console.css").read_text().partition("@media (prefers-color-scheme")
    colors = dict(COLOR.findall(light))
    return colors if scheme == "light" else {**colors, **dict(COLOR.findall(rest))}


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    red, green, blue = (linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
