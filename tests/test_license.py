"""The license is named where people look for it, and is the same everywhere."""

import tomllib

import pytest

from batchback_ops import project

TEXT = (project.root() / "LICENSE").read_text("utf-8")


@pytest.mark.parametrize("folder", [".", "client"])
def test_both_projects_name_it_and_carry_its_text(folder: str) -> None:
    path = project.root() / folder
    metadata = tomllib.loads((path / "pyproject.toml").read_text("utf-8"))["project"]
    assert TEXT.startswith(f"{metadata['license']} License\n")
    assert metadata["license-files"] == ["LICENSE"]
    assert (path / "LICENSE").read_text("utf-8") == TEXT


def test_the_readme_names_it() -> None:
    assert "[MIT](LICENSE)" in (project.root() / "README.md").read_text("utf-8")
