"""Tests see the same environment on every machine; see surroundings.py."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import surroundings


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL_SQS",
        "BATCHBACK_KEY",
        "LOCAL_SWEEP_SECONDS",
        "MAX_OPEN_BATCHES",
        "PLATFORM_AUTH",
        "http_proxy",
        "HTTPS_PROXY",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "LC_ALL",
        "FORCE_COLOR",
        "PIP_INDEX_URL",
        "PYTHONWARNINGS",
        "MAKEFLAGS",
    ],
)
def test_variables_set_for_other_work_are_removed(name: str) -> None:
    environ = {name: "somebody's"}
    surroundings.take_away(environ)
    assert name not in environ


@pytest.mark.parametrize("name", ["PATH", "TZ", "LD_PRELOAD", "PYTHONHASHSEED", "TMPDIR"])
def test_variables_that_start_programs_stay(name: str) -> None:
    environ = {name: "as it was"}
    surroundings.take_away(environ)
    assert environ[name] == "as it was"


def test_this_process_has_this_environment() -> None:
    assert os.environ["STAGE"] == "local"
    assert Path.home().parent == Path(tempfile.gettempdir())


def test_examples_are_the_same_every_time_and_have_no_time_limit() -> None:
    assert settings.default
    assert settings.default.derandomize
    assert settings.default.deadline is None
