"""`make audit`: whether a pinned package has a known vulnerability.

pip-audit asks a public database. If the database is unreachable, pip-audit fails in its own way; if
something else answers in its place and knows no package, pip-audit reports that all is well. So its
output is judged here, and nothing counts as audited that was not."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parent.parent
TOOL = ROOT / ".venv" / "tools" / "bin" / "pip-audit"
FILES = (
    "requirements.txt",
    "requirements-run.txt",
    "requirements-dev.txt",
    "requirements-docs.txt",
    "requirements-e2e.txt",
    "requirements-browser.txt",
    "requirements-tools.txt",
)
_SECONDS = 600
#: The last line of pip-audit's output if it could not reach the database.
_UNREACHABLE = re.compile(
    r"requests\.exceptions\.(ConnectionError|ConnectTimeout|ReadTimeout|SSLError|ProxyError)"
    r"|Could not connect to"
    r"|HTTPError: (403|407|429|5\d\d) "
)


class Outcome(IntEnum):
    """The outcome of an audit, from best to worst."""

    CLEAN = 0
    SKIPPED = 1  #: the database cannot be reached from here: nothing was audited
    UNCLEAR = 2  #: not everything was audited, or pip-audit broke
    VULNERABLE = 3


#: The exit status of the whole: an unreachable database does not stop a build without Internet.
EXIT_STATUS = {
    Outcome.CLEAN: 0,
    Outcome.SKIPPED: 0,
    Outcome.UNCLEAR: 2,
    Outcome.VULNERABLE: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    outcome: Outcome
    text: str


def judge(out: str, err: str) -> Verdict:
    """Judge pip-audit's two outputs. Its exit status says too little: 1 is anything from a
    vulnerability to a missing network, and 0 may come from a database that knows nothing."""
    packages = _packages(out)
    if packages is None:
        last = (err.strip().splitlines() or ["it printed nothing"])[-1]
        if _UNREACHABLE.search(err):
            return Verdict(outcome=Outcome.SKIPPED, text="the database cannot be reached")
        return Verdict(outcome=Outcome.UNCLEAR, text=f"pip-audit broke: {last}")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if packages and len(unknown) == len(packages):
        text = f"the server in the database's place knows none of {len(packages)} packages"
        return Verdict(outcome=Outcome.SKIPPED, text=text)
    faults = [fault for package in packages for fault in _faults(package)]
    if faults:
        return Verdict(outcome=Outcome.VULNERABLE, text="; ".join(faults))
    if unknown or not packages:
        return Verdict(outcome=Outcome.UNCLEAR, text=f"not audited: {', '.join(unknown) or 'all'}")
    return Verdict(outcome=Outcome.CLEAN, text=f"{len(packages)} packages, none known vulnerable")


def _packages(out: str) -> list[dict[str, Any]] | None:
    try:
        found: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return found


def _faults(package: dict[str, Any]) -> list[str]:
    return [
        f"{package['name']} {package['version']} has {found['id']}, fixed in "
        f"{', '.join(found['fix_versions']) or 'no version yet'}"
        for found in package.get("vulns", ())
    ]


def run(stdout: TextIO, tool: Path = TOOL, files: Sequence[str] = FILES) -> int:
    """Audit each file, print a line about each, and return the exit status."""
    verdicts = [_audit(tool, file) for file in files]
    for file, verdict in zip(files, verdicts, strict=True):
        stdout.write(f"{verdict.outcome.name.lower():10} {file}: {verdict.text}\n")
    worst = max(verdict.outcome for verdict in verdicts)
    if worst is Outcome.SKIPPED:
        stdout.write(
            "Not everything was audited: run this on a machine that can reach the database.\n"
        )
    return EXIT_STATUS[worst]


def _audit(tool: Path, file: str) -> Verdict:
    options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    command = [str(tool), "--requirement", str(ROOT / file), *options]
    try:
        ran = subprocess.run(  # noqa: S603 - pinned, with hashes
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Verdict(outcome=Outcome.SKIPPED, text=f"no answer within {_SECONDS} seconds")
    return judge(ran.stdout, ran.stderr)


if __name__ == "__main__":
    sys.exit(run(sys.stdout))
