"""What the requirements files pin, and what pyproject.toml requires."""

import re
import tomllib
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from batchback_ops.project import root

#: A pin, and the hashes of all its files if it has any.
PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)((?: +--hash=sha256:[0-9a-f]{64})*)")


def hashed_pins(name: str) -> dict[str, tuple[str, int]]:
    """The pins of a requirements file, one per line, with the number of hashes of each."""
    found: dict[str, tuple[str, int]] = {}
    for line in (root() / name).read_text("utf-8").replace(" \\\n", " ").splitlines():
        text = line.split("#")[0].strip()
        if text:
            pin = PIN.fullmatch(text)
            assert pin, f"{name}: {line!r} is not a pin"
            assert canonicalize_name(pin[1]) not in found, f"{name}: {pin[1]} is pinned twice"
            found[canonicalize_name(pin[1])] = (pin[2], pin[3].count("sha256"))
    return found


def pins(name: str) -> dict[str, str]:
    return {package: version for package, (version, _) in hashed_pins(name).items()}


def project() -> dict[str, Any]:
    parsed = tomllib.loads((root() / "pyproject.toml").read_text("utf-8"))
    found: dict[str, Any] = parsed["project"]
    return found


def dependencies(*extras: str) -> dict[str, Requirement]:
    """What pyproject.toml requires, with these extras."""
    asked = project()["dependencies"] + [
        each for extra in extras for each in project()["optional-dependencies"][extra]
    ]
    found = {canonicalize_name(each.name): each for each in map(Requirement, asked)}
    return {name: each for name, each in found.items() if name != project()["name"]}
