"""What the check of the built site finds."""

from pathlib import Path

import pytest

from website.check import foreign, foreign_in_page, foreign_in_styles, missing


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.com/a.js"></script>',
        '<script src="//cdn.example.com/a.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example.com/css">',
        '<link rel="preconnect" href="https://fonts.example.com">',
        '<img src="HTTP://example.com/a.png">',
        '<img srcset="a.png 1x, https://example.com/a.png 2x">',
        '<iframe src="https://example.com"></iframe>',
        '<p style="background: url(https://example.com/a.png)">',
    ],
)
def test_what_a_page_loads_from_another_host_is_found(text: str) -> None:
    assert len(foreign_in_page(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.com">',
        '<link rel="canonical" href="https://example.com/index.html">',
        '<script src="assets/a.js"></script><img src="data:image/png;base64,AA==">',
        "<code>&lt;script src='https://cdn.example.com/a.js'&gt;</code>",
    ],
)
def test_links_text_and_the_sites_own_files_are_not(text: str) -> None:
    assert foreign_in_page(text) == []


def test_styles_may_load_no_font_from_elsewhere() -> None:
    text = "@font-face {src: url('https://fonts.example.com/a.woff2')} a {background: url(a.svg)}"
    assert foreign_in_styles(text) == ["https://fonts.example.com/a.woff2"]
    assert foreign_in_styles("@import '//example.com/a.css';") == ["//example.com/a.css"]


def test_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "page.html").write_text('<img src="https://example.com/a.png">')
    (tmp_path / "well.html").write_text('<img src="a.png">')
    assert [*foreign(tmp_path)] == ["a/page.html loads https://example.com/a.png"]


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "style.css").touch()
    (tmp_path / "a" / "page.html").write_text(
        '<link href="../style.css?1"><link href="/style.css"><img srcset="style.css 2x">'
        '<img src="data:image/png;base64,AA=="><a href="none.html">'
    )
    assert [*missing(tmp_path)] == ["a/page.html loads style.css, which does not exist"]
