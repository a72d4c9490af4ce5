"""A plugin of pytest that turns the order of the tests round."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.reverse()
