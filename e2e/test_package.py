"""The zip is small and complete: our files and the locked dependencies, for the right architecture,
with byte code."""

import csv
import importlib.util
import json
import marshal
import re
import struct
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from batchback_ops import project
from batchback_ops.package.chalice_package import TEMPLATE
from e2e import packages
from e2e.conftest import HERE
from e2e.packages import Package

ROOT = project.root()
MAX_BYTES = 10_000_000
#: From an ELF header. https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINES = {"x86_64": 62, "arm64": 183}
#: In the tags of wheels.
PLATFORMS = {"x86_64": "x86_64", "arm64": "aarch64"}
#: The most modules of a worker before its first jobs. When this was written there were 379, nearly
#: all of them of the standard library and botocore.
MAX_MODULES = 430
#: The flags of byte code whose source is never checked (PEP 552).
UNCHECKED_HASH = 0b01


@pytest.fixture
def names(package: Package) -> list[str]:
    with zipfile.ZipFile(package.zip) as archive:
        return archive.namelist()


def content(package: Package, name: str) -> bytes:
    with zipfile.ZipFile(package.zip) as archive:
        return archive.read(name)


def ours() -> set[str]:
    """The files of the checkout that ship: those that git knows, without stray files."""
    listed = subprocess.run(
        ["git", "ls-files", "app.py", "chalicelib"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {*listed.stdout.split()}


def installed_by(package: Package, names: list[str]) -> set[str]:
    """Every file that a wheel in the zip has installed, by the wheel's own list."""
    return {
        path
        for name in names
        if name.endswith(".dist-info/RECORD")
        for path, *_ in csv.reader(content(package, name).decode().splitlines())
    }


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    pins = re.findall(r"^([\w.-]+)==([^ \\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


class TestContents:
    def test_it_holds_our_code_its_dependencies_and_nothing_else(
        self, package: Package, names: list[str]
    ) -> None:
        sources = {name for name in names if not name.endswith(".pyc")}
        chalice = {"chalice/__init__.py", "chalice/app.py"}  # all that Chalice ships of itself
        assert ours() | chalice <= sources
        assert sources - ours() - chalice - installed_by(package, names) == set()

    def test_the_dependencies_are_the_locked_ones(self, names: list[str]) -> None:
        found = [re.fullmatch(r"([^/]+)-([^/-]+)\.dist-info/RECORD", name) for name in names]
        versions = {canonicalize_name(each[1]): each[2] for each in found if each}
        assert versions == locked()

    def test_every_file_of_a_dependency_is_in_the_zip(
        self, package: Package, names: list[str]
    ) -> None:
        """Except the commands that wheels install beside Python, which Lambda does not need."""
        promised = {name for name in installed_by(package, names) if not name.startswith("..")}
        assert promised - {*names} == set()

    def test_every_wheel_is_for_this_architecture_or_for_all(
        self, package: Package, names: list[str]
    ) -> None:
        tags = [
            tag
            for name in names
            if name.endswith(".dist-info/WHEEL")
            for tag in re.findall(r"^Tag: (\S+)$", content(package, name).decode(), re.MULTILINE)
        ]
        here = f"cp{sys.version_info.major}{sys.version_info.minor}"
        machine = PLATFORMS[package.architecture]
        fitting = re.compile(rf"({here}|py3|py2)-({here}|none)-(any|manylinux\w*_{machine})")
        assert [tag for tag in tags if not fitting.fullmatch(tag)] == []
        assert [tag for tag in tags if tag.endswith(machine)]

    def test_every_library_is_for_this_architecture(
        self, package: Package, names: list[str]
    ) -> None:
        libraries = [name for name in names if name.endswith(".so")]
        machines = {
            struct.unpack_from("<H", content(package, name), offset=18)[0] for name in libraries
        }
        assert machines == {MACHINES[package.architecture]}

    def test_it_is_small(self, package: Package) -> None:
        assert package.zip.stat().st_size < MAX_BYTES

    def test_the_same_checkout_gives_the_same_bytes(
        self, made: dict[str, Package], tmp_path: Path
    ) -> None:
        """At any time and for any stage: the stage is only in the template."""
        again = packages.make("dev", HERE, tmp_path)
        assert again.zip.read_bytes() == made[HERE].zip.read_bytes()


class TestTemplate:
    def test_the_linter_finds_nothing(self, package: Package) -> None:
        linter = Path(sys.executable).with_name("cfn-lint")
        ran = subprocess.run(  # noqa: S603 - installed next to this interpreter
            [linter, package.folder / TEMPLATE], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")

    def test_its_functions_are_for_this_architecture(self, package: Package) -> None:
        assert {
            architecture
            for resource in package.template()["Resources"].values()
            for architecture in resource["Properties"].get("Architectures", [])
        } == {package.architecture}


class TestByteCode:
    def test_every_source_has_byte_code(self, names: list[str]) -> None:
        tag = sys.implementation.cache_tag
        sources = {Path(name) for name in names if name.endswith(".py")}
        compiled = {Path(name) for name in names if name.endswith(".pyc")}
        assert compiled == {
            source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc" for source in sources
        }

    def test_it_is_for_the_python_that_runs_it(self, package: Package, names: list[str]) -> None:
        magic = {content(package, name)[:4] for name in names if name.endswith(".pyc")}
        assert magic == {importlib.util.MAGIC_NUMBER}
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        assert {
            resource["Properties"]["Runtime"]
            for resource in package.template()["Resources"].values()
            if resource["Type"] == "AWS::Serverless::Function"
        } == {version}

    def test_no_source_has_to_be_checked(self, package: Package, names: list[str]) -> None:
        flags = {
            struct.unpack_from("<I", content(package, name), offset=4)[0]
            for name in names
            if name.endswith(".pyc")
        }
        assert flags == {UNCHECKED_HASH}

    def test_tracebacks_name_files_as_on_lambda(self, package: Package) -> None:
        name = f"__pycache__/app.{sys.implementation.cache_tag}.pyc"
        code = marshal.loads(content(package, name)[16:])  # noqa: S302 - we have just made it
        assert code.co_filename == "/var/task/app.py"


LOADED = """
import sys
sys.path.append(sys.argv[1])  # where boto3 is, as it is on Lambda: after what is in the zip
import app
from chalicelib import wiring
wiring.service().runner
import json
print(json.dumps({name: getattr(module, "__cached__", None) or getattr(module, "__file__", None)
                  for name, module in sys.modules.items()}))
"""


@pytest.fixture(scope="module")
def loaded(made: dict[str, Package], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The modules of a worker of `run_jobs`, with their origin, in the unpacked zip."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(made[HERE].zip) as archive:
        archive.extractall(folder)
    ran = subprocess.run(  # noqa: S603 - this very interpreter, without its own packages
        [sys.executable, "-S", "-c", LOADED, sysconfig.get_paths()["purelib"]],
        cwd=folder,
        env={
            "STAGE": "prod",
            "PLATFORM_ADDRESS": "https://api.example.com",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return {name: (origin or "").removeprefix(f"{folder}/") for name, origin in found.items()}


class TestWorker:
    def test_it_starts_from_byte_code(self, loaded: dict[str, str]) -> None:
        of_the_zip = [
            origin
            for name, origin in loaded.items()
            if name.partition(".")[0] in {"app", "chalice", "chalicelib"}
        ]
        assert len(of_the_zip) > 20
        assert [origin for origin in of_the_zip if not origin.endswith(".pyc")] == []
        assert not any(origin.startswith("/") for origin in of_the_zip)

    @pytest.mark.parametrize(
        "heavy",
        ["pydantic", "pydantic_core", "chalicelib.api", "chalice.cli", "boto3", "requests"],
    )
    def test_it_starts_without_modules_it_does_not_use(
        self, loaded: dict[str, str], heavy: str
    ) -> None:
        assert not [name for name in loaded if f"{name}.".startswith(f"{heavy}.")]

    def test_it_starts_with_few_modules(self, loaded: dict[str, str]) -> None:
        assert len(loaded) <= MAX_MODULES
