"""What `batchback package` makes when a pipeline calls it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchback.cli import main
from batchback.shell import Status

from batchback_ops.package import chalice_package


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A stage's zip and template, for one architecture."""

    architecture: str
    folder: Path

    @property
    def zip(self) -> Path:
        return self.folder / chalice_package.ZIP

    def template(self) -> dict[str, Any]:
        """A new copy at each call."""
        parsed: dict[str, Any] = json.loads(
            (self.folder / chalice_package.TEMPLATE).read_text("utf-8")
        )
        return parsed


def make(stage: str, architecture: str, folder: Path) -> Package:
    options = ["--stage", stage, "--architecture", architecture, "--out", str(folder)]
    assert main(["package", *options]) == Status.OK
    return Package(architecture=architecture, folder=folder)
