"""Who runs the tests: the current user, or one without special rights."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """A user by name; without a name, the current user."""

    name: str = ""

    def __str__(self) -> str:
        return self.name or "the current user"

    @property
    def options(self) -> dict[str, Any]:
        """The options for `subprocess.run`."""
        if not self.name:
            return {}
        entry = pwd.getpwnam(self.name)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def take(self, folder: Path) -> None:
        """Give the user the folder and everything in it."""
        if self.name:
            entry = pwd.getpwnam(self.name)
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


MYSELF = User()
#: Only root has to become another user for that.
ORDINARY = MYSELF if os.geteuid() else User("nobody")
