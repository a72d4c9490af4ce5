"""What axe-core says about a page's accessibility."""

from functools import cache
from importlib import resources
from typing import Any

from playwright.sync_api import Page

#: These keep a person from doing something, or slow them down a lot.
_GRAVE = ("serious", "critical")


def violations(page: Page) -> list[str]:
    """Every serious or critical violation on the page as it is now, in one line each."""
    page.evaluate(_script())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [
        _line(rule, node) for rule in found for node in rule["nodes"] if rule["impact"] in _GRAVE
    ]


@cache
def _script() -> str:
    """The script, from the package axe-playwright-python."""
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def _line(rule: Any, node: Any) -> str:
    return f"{rule['impact']}: {rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
