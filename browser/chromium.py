"""Which Chromium is on this machine. Nothing here downloads one."""

import os
import shutil
from collections.abc import Callable, Mapping

_NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "Chromium is not on this machine: install it (on Debian and Ubuntu: `apt-get install "
    "chromium`), or set CHROMIUM to its path."
)


def found(
    environ: Mapping[str, str] = os.environ,
    which: Callable[[str], str | None] = shutil.which,
) -> str | None:
    """The path of the browser, or None: CHROMIUM if it is set, otherwise the first on the PATH."""
    named = environ.get("CHROMIUM")
    return next(filter(None, map(which, [named] if named else _NAMES)), None)


def options(user_id: int) -> list[str]:
    """What Chromium needs to start. It refuses to make a sandbox for root."""
    return ["--no-sandbox"] if user_id == 0 else []
