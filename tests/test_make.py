"""What make does before the first line of Python runs: the environment, its progress, its failures.

A script takes Python's place. It records its calls, and installs nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from batchback_ops import project

ROOT = project.root()

MAKEFILE = (ROOT / "Makefile").read_text()
#: The variables that only the Makefile may set.
OWN = re.findall(r"^override (?:define )?(\w+)", MAKEFILE, re.MULTILINE)

PYTHON = """\
#!/bin/sh
case "$*" in
--version) echo "Python 3.11.7" ;;
"-c "*) test -z "$TOO_OLD" ;;
"-m venv --clear "*) echo "venv $4" >> calls; mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"; cp "$0" "$4/bin/batchback" ;;
"-m pip install "*)
    echo "install ${*#*--no-compile }" >> calls
    echo "Looking in indexes: a registry"
    echo "Collecting one==1.0"
    echo "  Using cached one-1.0-py3-none-any.whl (1 kB)"
    test -z "$UNREACHABLE" || { echo "ERROR: No matching distribution for one==1.0" >&2; exit 1; }
    echo "Collecting two==2.0"
    ;;
*) printf '%s' run >> calls; printf ' %s' "$@" >> calls; echo >> calls ;;
esac
"""
#: Only files with one of the hashes, and nothing that has to be built first.
PINNED = "install --require-hashes --no-deps --only-binary :all: -r"
ENVIRONMENT = [
    "venv .venv",
    f"{PINNED} .venv/requirements-pip.txt",
    f"{PINNED} requirements-run.txt",
    "install --no-deps --no-build-isolation -e ./client -e .",
]
DEVELOPMENT = f"{PINNED} requirements-dev.txt"
DEMONSTRATION = "run -m batchback_local.demo"


class Checkout:
    """A copy of what make reads, with a Python that only records its calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("requirements*.txt")):
            shutil.copy(path, folder)
        (folder / "client").mkdir()
        shutil.copy(ROOT / "client" / "pyproject.toml", folder / "client")
        (folder / "bin").mkdir()
        for name in ("python3", "python3.11", "python3.12", "python3.13"):
            (folder / "bin" / name).write_text(PYTHON)
            (folder / "bin" / name).chmod(0o755)

    def make(self, target: str, *given: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`given` is for the command line, the variables are for the environment."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(  # noqa: S603 - our own Makefile
            ["make", "--no-print-directory", "-C", str(self.folder), target, *given],  # noqa: S607
            env={"PATH": path, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        """The calls of Python since this was last read."""
        notes = self.folder / "calls"
        found = notes.read_text("utf-8").splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return found


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


class TestTheEnvironment:
    def test_make_run_installs_no_development_tools(self, checkout: Checkout) -> None:
        checkout.make("run")
        assert checkout.calls() == [*ENVIRONMENT, DEMONSTRATION]

    def test_make_test_adds_them_when_first_used(self, checkout: Checkout) -> None:
        checkout.make("run")
        checkout.calls()
        checkout.make("test")
        first, *more = checkout.calls()
        assert first == DEVELOPMENT
        assert [call.split()[:3] for call in more] == [["run", "-m", "pytest"]]

    def test_make_test_on_a_fresh_clone_installs_both(self, checkout: Checkout) -> None:
        checkout.make("test")
        assert checkout.calls()[:-1] == [*ENVIRONMENT, DEVELOPMENT]

    def test_make_dev_installs_both_and_runs_nothing(self, checkout: Checkout) -> None:
        checkout.make("dev")
        assert checkout.calls() == [*ENVIRONMENT, DEVELOPMENT]

    def test_every_target_is_phony(self) -> None:
        """Otherwise, a file with its name would keep it from running."""
        [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
        targets = re.findall(r"^([a-z0-9]+):", MAKEFILE, re.MULTILINE)
        assert sorted(phony.split()) == sorted(targets)

    @pytest.mark.parametrize("target", re.findall(r"^([a-z0-9]+):.*STAMP", MAKEFILE, re.MULTILINE))
    def test_no_target_installs_anything_without_hashes(
        self, checkout: Checkout, target: str
    ) -> None:
        """The checkout's own projects have no hashes: the pinned setuptools builds them."""
        checkout.make(target)
        installed = [call for call in checkout.calls() if call.startswith("install")]
        assert [call for call in installed if not call.startswith(f"{PINNED} ")] == ENVIRONMENT[3:]

    @pytest.mark.parametrize("target", ["run", "test"])
    def test_nothing_is_installed_twice(self, checkout: Checkout, target: str) -> None:
        checkout.make(target)
        checkout.calls()
        checkout.make(target)
        assert [call.split()[0] for call in checkout.calls()] == ["run"]

    def test_pip_is_the_pinned_one_before_it_installs_the_rest(self, checkout: Checkout) -> None:
        checkout.make("run")
        pin = (checkout.folder / ".venv" / "requirements-pip.txt").read_text("utf-8")
        assert pin.startswith("pip==")
        assert pin.count("==") == 1
        assert pin in (ROOT / "requirements-run.txt").read_text("utf-8")


#: Each creates the file `executed` if make or the shell treats it as more than text.
HOSTILE = [
    "$(shell touch executed)",
    "${shell touch executed}",
    "$(file >executed)",
    "$(error executed)",
    "$$(touch executed)",
    "$(touch executed)",
    "`touch executed`",
    "; touch executed",
    "| touch executed",
    "' ; touch executed ; '",
    "'$(shell touch executed)'",
    '"; touch executed; "',
    "prod > executed",
    "prod # --stage",
    "prod dev",
    "--out=.",
    "*",
    "\\",
    "$",
    "$@",
]


class TestWhatTheCallerSets:
    @pytest.fixture
    def checkout(self, checkout: Checkout) -> Checkout:
        """A checkout with its environment, so that only the target itself runs."""
        checkout.make("test")
        checkout.calls()
        return checkout

    @pytest.mark.parametrize(
        ("target", "name", "called"),
        [
            ("package", "STAGE", "run package --stage {}"),
            ("package", "ARCHITECTURE", "run package --stage prod --architecture {}"),
            ("simulate", "SECONDS", "run -m tests.simulation {}"),
            ("fuzz", "SECONDS", "run -m tests.fuzz {}"),
            ("bench", "FULL", "run -m benchmarks --full"),
            ("run", "ANYTHING", DEMONSTRATION),
        ],
    )
    def test_a_value_is_plain_text_that_nothing_executes(
        self, checkout: Checkout, target: str, name: str, called: str
    ) -> None:
        for text in HOSTILE:
            checkout.make(target, f"{name}={text}")
            checkout.make(target, **{name: text})
            assert checkout.calls() == [called.format(text)] * 2
        assert not (checkout.folder / "executed").exists()

    def test_a_value_of_two_lines_is_not_a_second_command(self, checkout: Checkout) -> None:
        for text in ("prod\ntouch executed", "'\ntouch executed '", "prod'\ntouch executed #"):
            checkout.make("package", f"STAGE={text}")
            checkout.make("package", STAGE=text)
        assert not (checkout.folder / "executed").exists()

    def test_the_makefiles_own_variables_stay_as_they_are(self, checkout: Checkout) -> None:
        for text in HOSTILE:
            checkout.make("package", *(f"{name}={text}" for name in OWN))
            assert checkout.calls() == ["run package --stage prod"]
        assert not (checkout.folder / "executed").exists()

    def test_every_variable_is_the_makefiles_own_or_quoted(self) -> None:
        """Otherwise, a recipe would pass it to the shell unquoted."""
        assert {*re.findall(r"^(\w+) *[:?]?=", MAKEFILE, re.MULTILINE)} == {"STAGE", "SECONDS"}
        expanded = {*re.findall(r"(?<!\$)\$[({](\w+)[)}]", MAKEFILE)}
        assert {name for name in expanded if not name.isdecimal()} - {"name"} <= {*OWN}


class TestWhatItSays:
    def test_every_installed_package_prints_a_dot(self, checkout: Checkout) -> None:
        ran = checkout.make("run")
        assert ran.stdout == ""
        assert ran.stderr == (
            "Creating .venv with Python 3.11.7 (first run only).\n"
            "Installing pip ..\n"
            "Installing the dependencies ..\n"
            "Installing Batchback ..\n"
        )

    def test_an_unreachable_registry_is_an_error_with_a_remedy(self, checkout: Checkout) -> None:
        ran = checkout.make("run", UNREACHABLE="yes")
        assert ran.returncode == 2
        assert ran.stderr.startswith(
            "Creating .venv with Python 3.11.7 (first run only).\n"
            "Installing pip .\n"
            "ERROR: No matching distribution for one==1.0\n"
            "Installing failed: fix what pip says above (is a package registry reachable?), "
            "then run make again.\n"
        )
        assert DEMONSTRATION not in checkout.calls()

    def test_make_starts_over_once_the_registry_is_reachable(self, checkout: Checkout) -> None:
        checkout.make("run", UNREACHABLE="yes")
        checkout.calls()
        checkout.make("run")
        assert checkout.calls() == [*ENVIRONMENT, DEMONSTRATION]

    def test_an_old_python_is_named(self, checkout: Checkout) -> None:
        ran = checkout.make("run", TOO_OLD="yes")
        assert ran.returncode == 2
        assert ran.stderr.startswith("Batchback needs Python 3.11 or newer")
        assert checkout.calls() == []
