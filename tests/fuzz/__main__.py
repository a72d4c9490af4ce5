"""`python -m tests.fuzz SECONDS` runs for this long, with different requests every time."""

import sys
import tempfile
from pathlib import Path

from tests.fuzz.session import session

#: Most of the time is for the single actions, where more requests pass validation.
_SHARE_OF_ACTIONS = 0.8


def main(seconds: int) -> int:
    """Return the exit status: 1 if anything was found."""
    for_actions = max(1, int(seconds * _SHARE_OF_ACTIONS))
    for_the_whole = max(1, seconds - for_actions)
    with tempfile.TemporaryDirectory() as folder, session(Path(folder)) as running:
        findings = [
            running.fuzz_each_action("--max-time", str(for_actions)),
            running.fuzz_the_whole("--max-time", str(for_the_whole)),
        ]
    for found in findings:
        print(found.report)
    return 0 if all(found.is_clean for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
