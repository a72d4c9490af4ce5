"""Fixtures that many tests need: a batch to start from, and moto's AWS."""

import gc
import logging
import os
from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from botocore.loaders import create_loader

from tests import surroundings
from tests.leaks import Guard

# What botocore knows about each service is read once, not by each of a thousand sessions.
vars(botocore.session)["create_loader"] = cache(create_loader)

# Before app.py is imported: its decorators read the stage, as in a deployment.
surroundings.take_away()
surroundings.repeat_examples()


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(surroundings.an_empty_home().cleanup)
    if config.getoption("capture") != "no":
        config.pluginmanager.register(Guard(), "leaks")


def pytest_collection() -> None:
    """Search for no garbage while 11,000 tests are collected, and never search among them later:
    that would take longer than to run many of them."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use one more worker than there are cores, because some tests wait for processes."""
    return (os.cpu_count() or 1) + 1


def pytest_report_header(config: pytest.Config) -> str | None:
    is_guarded = config.pluginmanager.has_plugin("leaks")
    return None if is_guarded else "leaks: not checked, because output is not captured (-s)"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Capture what libraries log. As on Lambda, a handler is on the root logger and takes
    everything; the libraries are not silenced yet."""
    heard: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "handle", lambda record: heard.append(record.getMessage()))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [handler])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    logging.disable(logging.NOTSET)
    logging.getLogger("botocore").debug("before")
    yield heard
    logging.disable()


@pytest.fixture(scope="session")
def aws() -> Iterator[None]:
    """moto's AWS in this process, with the stage's tables and queues from the real template."""
    from moto import mock_aws

    from batchback_local.aws.moto_patches import import_cloudformation, make_moto_atomic
    from batchback_local.aws.resources import create_resources

    make_moto_atomic()
    import_cloudformation()
    with mock_aws():
        create_resources("local")
        yield
