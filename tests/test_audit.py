"""How `make audit` judges pip-audit's output: a vulnerability fails it, a missing network does not,
and nothing counts as audited that was not."""

import io
import json
from pathlib import Path

import pytest

from tests.audit import FILES, ROOT, Outcome, judge, run

VULNERABLE = {
    "name": "flask",
    "version": "0.5",
    "vulns": [
        {
            "id": "PYSEC-2019-179",
            "fix_versions": ["1.0"],
            "aliases": ["CVE-2019-1010083"],
            "description": "Unexpected memory usage.",
        },
        {"id": "PYSEC-2018-66", "fix_versions": [], "aliases": [], "description": ""},
    ],
}
WELL = {"name": "idna", "version": "3.20", "vulns": []}
UNKNOWN = {"name": "idna", "skip_reason": "Dependency not found on PyPI and could not be audited"}
NO_NETWORK = """\
WARNING:pip_audit._cli:--no-deps is supported
Traceback (most recent call last):
  File "adapters.py", line 729, in send
    raise ConnectionError(e, request=request)
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='db.example', port=443): Max retries \
exceeded (Caused by NameResolutionError("Failed to resolve 'db.example'"))
"""
TIMED_OUT = "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\n"
BROKEN = "Traceback (most recent call last):\n  ...\nKeyError: 'id'\n"


def said(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("out", "err", "outcome", "text"),
    [
        (said(WELL, WELL), "", Outcome.CLEAN, "2 packages, none known vulnerable"),
        (said(WELL, VULNERABLE), "Found 2 known", Outcome.VULNERABLE, "flask 0.5 has PYSEC-2019"),
        (said(VULNERABLE), NO_NETWORK, Outcome.VULNERABLE, "PYSEC-2018-66, fixed in no version"),
        (said(UNKNOWN, VULNERABLE), "", Outcome.VULNERABLE, "flask 0.5"),
        (said(UNKNOWN, WELL), "", Outcome.UNCLEAR, "not audited: idna"),
        (said(UNKNOWN, UNKNOWN), "No known vulnerabilities", Outcome.SKIPPED, "none of 2"),
        (said(), "", Outcome.UNCLEAR, "not audited: all"),
        ("", NO_NETWORK, Outcome.SKIPPED, "cannot be reached"),
        ("", TIMED_OUT, Outcome.SKIPPED, "cannot be reached"),
        ("", "requests.exceptions.HTTPError: 503 Server Error", Outcome.SKIPPED, "reached"),
        ("", BROKEN, Outcome.UNCLEAR, "pip-audit broke: KeyError: 'id'"),
        ("[]", "", Outcome.UNCLEAR, "it printed nothing"),
        ("", "", Outcome.UNCLEAR, "it printed nothing"),
    ],
)
def test_pip_audits_output_is_judged(out: str, err: str, outcome: Outcome, text: str) -> None:
    verdict = judge(out, err)
    assert verdict.outcome is outcome
    assert text in verdict.text


def a_tool(folder: Path, answers: dict[str, str]) -> Path:
    """A pip-audit that prints prepared output for each file, and ends with status 1 like the real
    one."""
    tool = folder / "pip-audit"
    tool.write_text(
        "#!/usr/bin/env python3\n"
        "import pathlib, sys\n"
        f"print({answers!r}[pathlib.Path(sys.argv[2]).name])\n"
        "sys.exit(1)\n"
    )
    tool.chmod(0o755)
    return tool


@pytest.mark.parametrize(
    ("second", "status", "word"),
    [
        (said(WELL), 0, "clean"),
        (said(UNKNOWN), 0, "skipped"),
        (said(UNKNOWN, WELL), 2, "unclear"),
        (said(VULNERABLE), 1, "vulnerable"),
    ],
)
def test_the_worst_of_all_files_is_the_exit_status(
    tmp_path: Path, second: str, status: int, word: str
) -> None:
    tool = a_tool(tmp_path, {"a.txt": said(WELL), "b.txt": second})
    told = io.StringIO()
    assert run(told, tool, ["a.txt", "b.txt"]) == status
    first, other, *more = told.getvalue().splitlines()
    assert first == "clean      a.txt: 1 packages, none known vulnerable"
    assert other.startswith(f"{word:10} b.txt: ")
    assert bool(more) is (word == "skipped")


def test_skipped_audits_are_reported(tmp_path: Path) -> None:
    told = io.StringIO()
    tool = a_tool(tmp_path, {"a.txt": said(UNKNOWN)})
    assert run(told, tool, ["a.txt"]) == 0
    assert "Not everything was audited" in told.getvalue()


def test_every_requirements_file_is_audited() -> None:
    assert sorted(FILES) == sorted(path.name for path in ROOT.glob("requirements*.txt"))
