"""The console of a service in memory."""

import pytest

from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.operations.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def local(world: World) -> Page:
    """The console of the service on this machine, which knows the account acme."""
    return Page(console_of(world, local=local_tools()))


@pytest.fixture
def stage(world: World) -> Page:
    """The console of a stage in AWS."""
    return Page(console_of(world))
