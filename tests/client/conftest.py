"""Fixtures: a service that follows a script, and a user whose environment names it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.scripted_service import JOB, KEY, SECRET, ScriptedService, scripted_service
from tests.client.user import User


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service() as scripted:
        yield scripted


@pytest.fixture
def user(service: ScriptedService) -> User:
    return User(
        {
            "BATCHBACK_ADDRESS": service.address,
            "BATCHBACK_KEY": KEY,
            "BATCHBACK_SECRET": SECRET,
        }
    )


@pytest.fixture
def jobs_file(tmp_path: Path) -> str:
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([JOB]))
    return str(file)
