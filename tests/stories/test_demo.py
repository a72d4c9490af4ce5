"""`make run` and every command of a checkout work with only the packages in
requirements-run.txt."""

import json
import os
import subprocess
import sys
from importlib import metadata

from packaging.utils import canonicalize_name

from batchback_ops.project import root
from tests.markdown import page
from tests.pins import pins

#: Hide every other installed package.
WITHOUT = """
import importlib, json, pkgutil, runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in unlisted:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

unlisted = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Missing())
"""
IMPORTS = """
for package in ("batchback", "batchback_console", "batchback_local", "batchback_ops", "chalicelib"):
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
importlib.import_module("chalice.cli")
"""
DEMONSTRATION = "runpy.run_module('batchback_local.demo', run_name='__main__', alter_sys=True)"


def unlisted() -> list[str]:
    """The modules that the development tools install and `make run` does not."""
    listed = {*pins("requirements-run.txt"), "batchback", "batchback-service"}
    return [
        module
        for module, packages in metadata.packages_distributions().items()
        if not {canonicalize_name(package) for package in packages} & listed
    ]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this very interpreter
        [sys.executable, "-c", WITHOUT + code, json.dumps(unlisted())],
        cwd=root(),
        env={name: value for name, value in os.environ.items() if name != "PLATFORM_ADDRESS"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_there_are_modules_to_do_without() -> None:
    assert {"pytest", "cfnlint", "openapi_spec_validator", "hypothesis"} <= {*unlisted()}


def test_every_command_is_there() -> None:
    ran = run(IMPORTS)
    assert ran.returncode == 0, ran.stderr


def test_the_demonstration_shows_the_callback_and_what_to_do_next() -> None:
    ran = run(DEMONSTRATION)
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout)["results"]) == 2
    shown, _, after = ran.stderr.partition("its signature verifies:")
    assert "100%  2 of 2 jobs" in shown
    assert f"    {shown.splitlines()[-1]}its signature verifies:\n" in page("README.md")
    for command in ("make serve", "make test", "docs/calling.md", "docs/deploying.md"):
        assert command in after
