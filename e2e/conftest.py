"""The packages, and the service deployed from one of them. All tests share them."""

import platform
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from batchback_ops.package.command import ARCHITECTURES
from e2e import packages
from e2e.on_emulator import STAGE, OnEmulator
from e2e.packages import Package

#: The architecture that this machine can run.
HERE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """The package of the stage for each architecture."""
    folder = tmp_path_factory.mktemp("packages")

    def make(architecture: str) -> Package:
        return packages.make(STAGE, architecture, folder / architecture)

    with ThreadPoolExecutor() as threads:
        return dict(zip(ARCHITECTURES, threads.map(make, ARCHITECTURES), strict=True))


@pytest.fixture(params=ARCHITECTURES)
def package(request: pytest.FixtureRequest, made: dict[str, Package]) -> Package:
    return made[request.param]


@pytest.fixture(scope="session")
def service(made: dict[str, Package]) -> Iterator[OnEmulator]:
    with OnEmulator(made[HERE]) as service:
        yield service
