"""Fixtures for whole stories: on moto's AWS, in memory, and in separate processes."""

from collections.abc import Iterator

import pytest
from chalice.test import Client

from tests.stories.on_moto import OnMoto


@pytest.fixture
def life(
    aws: None,  # noqa: ARG001 - moto must be up
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OnMoto]:
    """A service whose tables and queues are moto's. Fails if a function makes a call that its
    policy does not allow, even if the code ignored the denial."""
    life = OnMoto(monkeypatch)
    yield life
    assert life.iam.denied == []


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Chalice's test client for the service in memory."""
    import app

    with Client(app.app, stage_name="local") as client:
        yield client
