"""The operators' commands at a terminal: their help, and their output for people."""

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from batchback.commands import batchback

from batchback_ops import project
from batchback_ops.doctor import examination
from batchback_ops.doctor.diagnosis import Finding
from batchback_ops.keys import actions as of_keys
from batchback_ops.ops import actions as of_ops
from tests.client.lines import parsed
from tests.client.user import Terminal, User

ROOMS = ("console", "doctor", "keys", "local", "ops", "package", "policies", "resources")


def commands(name: str) -> list[list[str]]:
    """A command, or a group and its commands."""
    found = batchback.get_command(click.Context(batchback), name)
    inside = found.commands if isinstance(found, click.Group) else {}
    return [[name], *([name, each] for each in inside)]


EVERY = [words for name in ROOMS for words in commands(name)]
#: Including the commands for callers.
ALL = [*([name] for name in batchback.commands), *EVERY]


@pytest.fixture
def user() -> User:
    return User({}, stdout=Terminal())


class TestHelp:
    @pytest.mark.parametrize("words", EVERY, ids=" ".join)
    def test_every_help_has_an_example_that_is_parsed(self, user: User, words: list[str]) -> None:
        assert user.types(*words, "--help") == 0
        _, _, examples = user.stdout.getvalue().partition("\n  Examples:\n")
        lines = [shlex.split(line.partition(" < ")[0]) for line in examples.splitlines()]
        assert lines
        for program, *argv in lines:
            assert program == "batchback"
            parsed(argv)

    @pytest.mark.parametrize("words", ALL, ids=" ".join)
    def test_every_line_of_a_list_is_a_whole_sentence(self, user: User, words: list[str]) -> None:
        """At 80 columns no line is truncated."""
        *group, name = words
        assert user.types(*group, "--help") == 0
        [line] = re.findall(rf"^  {name}  +([A-Z].*)$", user.stdout.getvalue(), re.MULTILINE)
        assert re.search(r"[^.]\.$", line), f"shorten the first sentence about {' '.join(words)}"

    @pytest.mark.parametrize(
        ("argv", "meant"),
        [
            (["keys", "creat"], "'create'"),
            (["ops", "redrive", "--stage", "dev", "--dry-rn"], "'--dry-run'"),
            (["resource", "show"], "'resources'"),
            (["run", "jobs.json", "--callback-u", "URL"], "'--callback-url'"),
            (["run", "jobs.json", "--m", "5"], "'--metadata' or '--max-failed'"),
            (["run", "jobs.json", "--i", "KEY"], "'--idempotency-key'"),
        ],
    )
    def test_a_typo_gets_a_suggestion(self, user: User, argv: list[str], meant: str) -> None:
        """It is not executed."""
        assert user.types(*argv) == 2
        assert f"Did you mean {meant}?" in user.is_told

    def test_a_stage_can_be_completed(self) -> None:
        command = batchback.get_command(click.Context(batchback), "doctor")
        assert command
        [stage] = [each for each in command.params if each.name == "stage"]
        offered = stage.shell_complete(click.Context(command), "p")
        assert [each.value for each in offered] == ["prod"]


KEY = {
    "key": "bb-1",
    "account": "acme",
    "state": "active",
    "createdAt": "2026-11-23 14:49:07 UTC",
    "liveSecrets": 1,
    "oldSecretEndsAt": None,
}
BATCH: dict[str, Any] = {
    "batchId": "e35e06ee592d17a42dc9e6252a058617",
    "account": "acme",
    "status": "running",
    "progress": 50,
    "jobs": {"total": 2},
    "callback": "waiting",
    "createdAt": "2026-11-23T14:49:07.000Z",
    "stuck": None,
}


@pytest.mark.parametrize("argv", [["ops", "list", "--stage", "prod"], ["policies"]])
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            '{"stages": {}\n"tags": {}}',
            "is not valid JSON: correct it (Expecting ',' delimiter: line 2 column 1 (char 14)).",
        ),
        ("{}", 'has no stages: add `"stages": {"prod": {}}`, or restore the file.'),
        ('["prod"]', 'has no stages: add `"stages": {"prod": {}}`, or restore the file.'),
    ],
)
def test_a_mistake_in_the_configuration_is_one_sentence(
    user: User,
    argv: list[str],
    text: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "config.json").write_text(text, "utf-8")
    monkeypatch.setattr(project, "root", lambda: tmp_path)
    monkeypatch.setattr(project, "configuration", inspect.unwrap(project.configuration))
    assert user.types(*argv) == 2
    assert user.is_told == f"batchback: .chalice/config.json {fault}\n"


@pytest.mark.parametrize("argv", [["console"], ["doctor"], ["ops", "list"], ["package"]])
def test_a_setting_without_quotes_is_one_sentence(
    user: User, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"environment_variables": {"STAGE": "prod", "MAX_JOBS_PER_BATCH": 300}}
    monkeypatch.setattr(project, "configuration", lambda: {"stages": {"prod": stage}})
    assert user.types(*argv, "--stage", "prod") == 2
    assert user.is_told == (
        "batchback: stages.prod.environment_variables in .chalice/config.json must be texts: put "
        "the value of MAX_JOBS_PER_BATCH in quotes.\n"
    )


class TestOnATerminal:
    def test_a_secret_is_never_cut(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is shown whole even on a narrow terminal."""
        monkeypatch.setenv("COLUMNS", "40")
        monkeypatch.setattr(of_keys, "create", lambda *_, **__: {"key": "bb-1", "secret": "s" * 64})
        assert user.types("keys", "create", "--account", "acme", "--stage", "local") == 0
        assert user.stdout.getvalue() == f"key     bb-1\nsecret  {'s' * 64}\n"

    def test_keys_are_rows(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(of_keys, "list_keys", lambda *_, **__: [KEY])
        assert user.types("keys", "list", "--stage", "local") == 0
        assert user.stdout.getvalue() == (
            "KEY   ACCOUNT  STATE   CREATED                  SECRETS  OLD SECRET ENDS\n"
            "bb-1  acme     active  2026-11-23 14:49:07 UTC  1        -\n"
        )

    def test_batches_are_rows(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """No row is truncated, because why a batch stands still is at its end."""
        monkeypatch.setattr(of_ops, "list_batches", lambda *_, **__: [BATCH])
        assert user.types("ops", "list", "--stage", "local") == 0
        head, line = user.stdout.getvalue().splitlines()
        assert head.split("  ")[0] == "BATCH ID"
        assert line.split() == [
            *(BATCH["batchId"], "acme", "running", "50%", "waiting"),
            *(BATCH["createdAt"], "-"),
        ]

    def test_json_is_printed_if_asked_for(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(of_keys, "list_keys", lambda *_, **__: [KEY])
        assert user.types("keys", "list", "--stage", "local", "--json") == 0
        assert user.reads == [KEY]


class TestDoctorOnATerminal:
    WRONG = Finding(check="queue jobs", ok=False, found="it is not there", remedy="make it")
    RIGHT = Finding(check="stack", ok=True, found="as it must be")

    @pytest.mark.parametrize(
        ("findings", "status", "shown"),
        [
            ([RIGHT], 0, "Nothing is wrong.\n"),
            ([WRONG, RIGHT], 1, "WRONG queue jobs: it is not there -> make it\n"),
        ],
    )
    def test_problems_come_last(
        self,
        user: User,
        monkeypatch: pytest.MonkeyPatch,
        findings: list[Finding],
        status: int,
        shown: str,
    ) -> None:
        """JSON does not scroll it away."""
        monkeypatch.setattr(examination, "examine", lambda *_: iter(findings))
        assert user.types("doctor", "--stage", "local") == status
        assert user.stdout.getvalue() == shown
