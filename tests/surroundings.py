"""The same surroundings for all tests, whoever runs them, and where.

What people have in their environment for their own work is taken out of it, and the home directory
is empty, in this process and in all that tests start. Time zone, `PATH` and what starts programs
(`LD_PRELOAD`) stay. Hypothesis draws the same examples every time, and holds no clock against them.
"""

import os
import re
import tempfile
from collections.abc import MutableMapping

from hypothesis import HealthCheck, settings

from chalicelib.settings import VARIABLES

#: What app.py reads when it is imported, and whose AWS it is: nobody's.
_SET = {
    "STAGE": "local",
    "PLATFORM_ADDRESS": "http://127.0.0.1:9",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "COLUMNS": "80",
}
#: Whole names, in capitals or small letters.
_SOMEBODYS_OWN = re.compile(
    r"""(?ix)
    (AWS|BOTO|BATCHBACK|CHALICE|LOCAL|MOTO)_.*  # whose account, and which service
    | .*_PROXY | .*_CA_BUNDLE | SSL.* | OPENSSL_.* | NETRC  # how HTTP libraries call
    | LANG | LANGUAGE | LC_.* | NO_COLOR | (FORCE_|CLI|PY_)COLOR.*  # how results are shown
    | (GIT|NODE|PHP|PIP|XDG)_.* | PYTHON(?!HASHSEED).* | MAKE.*  # what other programs do
    """
)


def take_away(environ: MutableMapping[str, str] = os.environ) -> None:
    """Whatever tests would otherwise meet of somebody's own."""
    of_the_service = {variable.name for variable in VARIABLES}
    for name in [*environ]:
        if name in of_the_service or _SOMEBODYS_OWN.fullmatch(name):
            del environ[name]
    environ.update(_SET)


def an_empty_home() -> "tempfile.TemporaryDirectory[str]":
    """For as long as it is not cleaned up: no configuration of AWS, git, pip or anything else."""
    home = tempfile.TemporaryDirectory(prefix="home-")
    os.environ["HOME"] = home.name
    return home


def repeat_examples() -> None:
    settings.register_profile(
        "repeatable",
        derandomize=True,
        deadline=None,
        max_examples=100,
        suppress_health_check=[HealthCheck.too_slow],  # a clock too
    )
    settings.load_profile("repeatable")
