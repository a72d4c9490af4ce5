"""Who runs the tests: whoever starts this, or one with no more rights than everybody has."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """By name; without one it is whoever starts this."""

    name: str = ""

    def __str__(self) -> str:
        return self.name or "whoever starts this"

    @property
    def options(self) -> dict[str, Any]:
        """For `subprocess.run`."""
        if not self.name:
            return {}
        entry = pwd.getpwnam(self.name)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def take(self, folder: Path) -> None:
        """Makes the folder the user's, with all that is in it."""
        if self.name:
            entry = pwd.getpwnam(self.name)
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


MYSELF = User()
#: Only root has to become somebody else for that.
ORDINARY = MYSELF if os.geteuid() else User("nobody")
