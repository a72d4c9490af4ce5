"""The framework of the command line: usage, help, completion, and entry points."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from batchback import command_line
from batchback.command_line import OF_A_CHECKOUT
from batchback.commands import batchback

from tests.client.samples import RESULTS
from tests.client.scripted_service import (
    BATCH,
    ScriptedService,
)
from tests.client.user import User

ROOT = Path(__file__).parents[2]


class TestUsage:
    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["fly"],
            ["progress"],
            ["ping", "--bogus"],
            ["ping", "extra"],
            ["results", BATCH, "--per", "5"],
            ["results", BATCH, "--start", "first"],
        ],
    )
    def test_wrong_usage_is_status_2(
        self, service: ScriptedService, user: User, argv: list[str]
    ) -> None:
        """The usage is on stderr. Nothing is on stdout, and nothing is sent."""
        assert user.types(*argv) == 2
        assert user.is_told.startswith("Usage: batchback")
        assert user.stdout.getvalue() == ""
        assert service.asked == []

    def test_help_names_every_command(self, user: User) -> None:
        """`batchback --help` prints them on stdout and exits with status 0."""
        assert user.types("--help") == 0
        listed = [line[2:].split(" ")[0] for line in user.stdout.getvalue().splitlines()]
        assert {"run", "progress", "results", "restart", "repost", "cancel"} <= {*listed}
        assert {"list", "ping", *OF_A_CHECKOUT} <= {*listed}

    @pytest.mark.parametrize(
        ("argv", "meant"),
        [
            (["progres", BATCH], "'progress'"),
            (["ping", "--adress", "x"], "'--address'"),
            (["results", BATCH, "--per-pages", "5"], "'--per-page'"),
            (["key", "list"], "'keys'"),
        ],
    )
    def test_a_typo_gets_a_suggestion(self, user: User, argv: list[str], meant: str) -> None:
        """The command does not run."""
        assert user.types(*argv) == 2
        assert f"Did you mean {meant}?" in user.is_told

    @pytest.mark.parametrize("name", sorted(batchback.commands))
    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_every_help_has_an_example(self, user: User, name: str, option: str) -> None:
        assert user.types(name, option) == 0
        assert f"\n    batchback {name}" in user.stdout.getvalue()

    def test_options_and_arguments_can_be_in_any_order(
        self, service: ScriptedService, user: User
    ) -> None:
        service.answers(RESULTS, RESULTS)
        assert user.types("results", BATCH, "--start", "5") == 0
        assert user.types("results", "--start", "5", BATCH) == 0
        assert service.asked[0].json == service.asked[1].json == {"async": BATCH, "start": 5}

    def test_the_value_of_an_option_may_look_like_an_option(self, user: User) -> None:
        """A secret may begin with a dash."""
        assert user.types("ping", "--secret", "--s3cret") == 1

    def test_version(self, user: User) -> None:
        """It is the version of the package."""
        assert user.types("--version") == 0
        assert user.stdout.getvalue().startswith("batchback 0.")

    @pytest.mark.parametrize(("argv", "status"), [(["--help"], 0), (["ping"], 2)])
    def test_nothing_slow_is_imported_before_it_is_needed(
        self, argv: list[str], status: int
    ) -> None:
        """This includes requests, pydantic and all AWS libraries, although the help lists the
        operators' commands. `python -m batchback` runs the command line."""
        program = (
            f"import runpy, sys; sys.argv = ['batchback', *{argv}]\n"
            "try: runpy.run_module('batchback', run_name='__main__')\n"
            "finally: print(*sorted({name.split('.')[0] for name in sys.modules}))"
        )
        done = subprocess.run(  # noqa: S603 -- our own
            [sys.executable, "-c", program], capture_output=True, check=False, text=True, env={}
        )
        assert done.returncode == status
        loaded = {*done.stdout.splitlines()[-1].split()}
        assert "batchback" in loaded
        assert not loaded & {
            *("boto3", "botocore", "chalice", "chalicelib", "moto", "pydantic", "requests")
        }


class TestCompletion:
    """Shells ask through the environment. Each test starts a process, because click reads that."""

    def completes(self, words: str, shell: str = "bash") -> str:
        last = words.split(" ")[-1]
        position = last if shell == "fish" else str(words.count(" "))
        return self.answers(f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=position)

    def answers(self, instruction: str, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "batchback"],
            capture_output=True,
            env={"_BATCHBACK_COMPLETE": instruction, **environ},
            check=False,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_commands(self, shell: str) -> None:
        assert "progress" in self.completes("batchback pro", shell)

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_options_of_a_command(self, shell: str) -> None:
        assert "--per-page" in self.completes("batchback results --p", shell)

    def test_commands_of_the_checkout(self) -> None:
        assert self.completes("batchback po") == "plain,policies\n"

    def test_files(self) -> None:
        assert self.completes("batchback run jo") == "file,jo\n"

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_the_script_that_a_shell_reads(self, shell: str) -> None:
        assert f"_BATCHBACK_COMPLETE={shell}_complete" in self.answers(f"{shell}_source")

    def test_an_unknown_shell(self, user: User) -> None:
        user.environ = {"_BATCHBACK_COMPLETE": "csh_source"}
        assert user.types() == 1


PLUGIN = """
import click

@click.command(help="Greet. And say more.")
@click.option("--count", type=int)
@click.pass_obj
def hello(shell, count):
    shell.say(f"hello {count}")
    return count
"""


class TestCommandsFromElsewhere:
    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A package that registers a command that works, and one that cannot be imported."""
        (tmp_path / "greeting.py").write_text(PLUGIN)
        metadata = tmp_path / "greeting-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Name: greeting\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[batchback.commands]\nhello = greeting:hello\nbroken = no_such_package:command\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    @pytest.mark.parametrize("count", ["0", "7"])
    def test_its_return_value_is_the_exit_status(self, user: User, count: str) -> None:
        """A command of an entry point gets the Shell, and needs no address, key or secret."""
        assert user.types("hello", "--count", count) == int(count)
        assert user.is_told == f"batchback: hello {count}\n"

    def test_returning_none_is_success(self, user: User) -> None:
        assert user.types("hello") == 0

    def test_it_is_in_the_help(self, user: User) -> None:
        """The help shows its first sentence. A command that cannot be loaded says so and breaks
        nothing."""
        assert user.types("--help") == 0
        assert re.search(r"^  hello +Greet\.$", user.stdout.getvalue(), re.MULTILINE)
        assert re.search(r"^  broken +cannot be loaded", user.stdout.getvalue(), re.MULTILINE)

    def test_it_is_suggested(self, user: User) -> None:
        assert user.types("helo") == 2
        assert "Did you mean 'hello'?" in user.is_told

    @pytest.mark.parametrize("argv", [[], ["--help"], ["--any", "thing"]])
    def test_a_command_that_cannot_be_loaded_says_why(self, user: User, argv: list[str]) -> None:
        """With any arguments it exits with status 2 after one sentence."""
        assert user.types("broken", *argv) == 2
        assert user.is_told == (
            "batchback: `batchback broken` cannot be loaded: No module named 'no_such_package'\n"
        )


class TestWithoutACheckout:
    @pytest.fixture(autouse=True)
    def nothing_registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command_line, "entry_points", lambda **_: [])

    @pytest.mark.parametrize("name", sorted(OF_A_CHECKOUT))
    @pytest.mark.parametrize("argv", [[], ["--help"], ["list", "--stage", "prod"]])
    def test_a_command_of_the_checkout_says_what_it_needs(
        self, user: User, name: str, argv: list[str]
    ) -> None:
        """It exits with status 2 after one sentence."""
        assert user.types(name, *argv) == 2
        assert user.is_told == (
            f"batchback: `batchback {name}` needs a checkout of the service: run `make run` "
            "there, then use its `.venv/bin/batchback`\n"
        )

    def test_the_help_omits_them(self, user: User) -> None:
        assert user.types("--help") == 0
        assert not [name for name in OF_A_CHECKOUT if f"\n  {name} " in user.stdout.getvalue()]


def test_the_checkout_registers_its_commands() -> None:
    """The client knows exactly the commands that the checkout registers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*project["entry-points"]["batchback.commands"]} == OF_A_CHECKOUT
