"""What `pip install ./client` installs, in a project that has nothing else of ours."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "client"
#: The dependencies of the wheel, and their dependencies.
BROUGHT = ["click", "requests", "certifi", "charset-normalizer", "idna", "urllib3"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = shutil.copytree(
        CLIENT, folder / "client", ignore=shutil.ignore_patterns("*.egg-info", "build")
    )
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    _run(sys.executable, "-m", "pip", "wheel", *options, str(folder), str(copy))
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Chalice project with its own `chalicelib` and what pip would have installed."""
    folder = tmp_path_factory.mktemp("project")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    for name in BROUGHT:
        _link(metadata.distribution(name), folder / "site")
    (folder / "chalicelib").mkdir()
    (folder / "chalicelib" / "__init__.py").write_text("OURS = True\n")
    return folder


def _link(package: metadata.Distribution, site: Path) -> None:
    """Link everything that the package has in site-packages, its metadata included."""
    for name in {file.parts[0] for file in package.files or () if file.parts[0] != ".."}:
        (site / name).symlink_to(Path(str(package.locate_file(name))).resolve())


def _run(*command: str, cwd: Path | None = None, **environ: str) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(  # noqa: S603 - this interpreter
        command,
        cwd=cwd,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_project(project: Path, *arguments: str) -> str:
    """What Python prints there. With -S it sees only the packages of the project."""
    path = str(project / "site")
    return _run(sys.executable, "-S", "-W", "error", *arguments, cwd=project, PYTHONPATH=path)


def test_the_wheel_contains_only_its_own_package(wheel: Path) -> None:
    """It is marked as typed."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"batchback", "batchback-0.1.0.dist-info"}
    assert "batchback/py.typed" in names


def test_a_project_keeps_its_own_chalicelib(project: Path) -> None:
    program = (
        "from batchback import CallFailed, Client, Refused, Unreachable\n"
        "import chalicelib, requests, sys\n"
        "Client('https://batch.example.com', 'key', 'secret').close()\n"
        "print(chalicelib.OURS, 'boto3' in sys.modules)"
    )
    assert in_project(project, "-c", program) == "True False\n"


def test_the_command_line_runs(project: Path) -> None:
    assert in_project(project, "-m", "batchback", "--version") == "batchback 0.1.0\n"
    listed = in_project(project, "-m", "batchback", "--help")
    assert "  run " in listed
    assert "  keys " not in listed


def test_a_command_of_the_checkout_says_that_it_needs_one(project: Path) -> None:
    """It exits with status 2 after one sentence."""
    program = (
        "from batchback.cli import main; print(main(['local'])); print(main(['keys', 'list']))"
    )
    assert in_project(project, "-c", program) == "2\n2\n"
