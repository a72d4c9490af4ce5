"""Servers and certificates for the tests that use HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.adapters.http_servers import Certificates, Server, Servers


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Start servers; each stops when its test is over."""
    with ExitStack() as running:
        yield lambda behave, **options: running.enter_context(Server(behave, **options))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.in_folder(tmp_path_factory.mktemp("certificates"))
