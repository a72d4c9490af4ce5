"""The same environment for all tests, on every machine.

Variables that people set for their own work are removed and the home directory is empty, in this
process and in everything that tests start. The time zone, `PATH` and variables that start programs
(`LD_PRELOAD`) stay. Hypothesis draws the same examples every time, without a time limit."""

import os
import re
import tempfile
from collections.abc import MutableMapping

from hypothesis import HealthCheck, settings

from chalicelib.settings import VARIABLES

#: The variables that app.py reads when it is imported, and an AWS account that is nobody's.
_SET = {
    "STAGE": "local",
    "PLATFORM_ADDRESS": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "COLUMNS": "80",
}
#: Whole names, in upper or lower case.
_SOMEBODYS_OWN = re.compile(
    r"""(?ix)
    (AWS|BOTO|BATCHBACK|CHALICE|LOCAL|MOTO)_.*  # whose account, and which service
    | .*_PROXY | .*_CA_BUNDLE | SSL.* | OPENSSL_.* | NETRC  # how HTTP libraries call
    | LANG | LANGUAGE | LC_.* | NO_COLOR | (FORCE_|CLI|PY_)COLOR.*  # how results are shown
    | (GIT|NODE|PHP|PIP|XDG)_.* | PYTHON(?!HASHSEED).* | MAKE.*  # what other programs do
    """
)


def take_away(environ: MutableMapping[str, str] = os.environ) -> None:
    """Remove everything of the user's own that tests would otherwise see."""
    of_the_service = {variable.name for variable in VARIABLES}
    for name in [*environ]:
        if name in of_the_service or _SOMEBODYS_OWN.fullmatch(name):
            del environ[name]
    environ.update(_SET)


def an_empty_home() -> "tempfile.TemporaryDirectory[str]":
    """A home without configuration of AWS, git, pip or anything else, until it is cleaned up."""
    home = tempfile.TemporaryDirectory(prefix="home-")
    os.environ["HOME"] = home.name
    return home


def repeat_examples() -> None:
    settings.register_profile(
        "repeatable",
        derandomize=True,
        deadline=None,
        max_examples=100,
        suppress_health_check=[HealthCheck.too_slow],  # this check also depends on a clock
    )
    settings.load_profile("repeatable")
