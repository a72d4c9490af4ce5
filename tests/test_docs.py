"""The docs are true: what can be checked of them is checked against the code.

Blocks are found by their language, or by the comment right before them. The comments `jobs run: 1`
and `jobs run: all` in calling.md say what happens between two of its examples. What needs a running
service (the tutorial, and each block with the comment `program`) is in tests/stories/test_pages.py.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import boto3
import click
import pytest
from batchback import connection
from batchback.callbacks import PORT
from batchback.commands import batchback
from batchback.shell import Shell, Status
from chalice.cli import cli as chalice_cli
from chalice.test import Client
from click.shell_completion import get_completion_class

from batchback_local.command import local
from batchback_local.demonstration.account import ACCOUNT, CALLBACK_SECRET
from batchback_local.demonstration.behavior import Behaviors
from batchback_local.demonstration.platform import DemonstrationPlatform
from batchback_local.http_server import Request
from batchback_local.service import LocalService
from batchback_ops import project
from batchback_ops.doctor.command import doctor
from batchback_ops.doctor.examination import checks
from batchback_ops.doctor.service_checks import Trial
from batchback_ops.keys.command import keys
from batchback_ops.ops.command import ops
from batchback_ops.policies import permissions
from batchback_ops.policies.permissions import Resource
from batchback_ops.resources.command import resources
from batchback_ops.stage import open_stage
from chalicelib import errors
from chalicelib.adapters import hold_items, items, usage
from chalicelib.adapters.journal import METRICS
from chalicelib.domain import signing
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS
from chalicelib.domain.batch import AnswersPart
from chalicelib.domain.outcome import Reply
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import BatchbackError, CallerError, ServiceError
from chalicelib.settings import VARIABLES, Names, Variable
from tests.app.conftest import Answer, Front, basic, serve
from tests.client.lines import parsed
from tests.fakes.clock import START
from tests.fakes.http import Call
from tests.markdown import Block, anchors, blocks, page, without_blocks
from tests.ops.operator import ENDPOINT, ISSUED, Operator, empty_the_table
from tests.samples import DEMO_ACCOUNT, DEMO_KEY, a_batch, some_jobs
from tests.simulation.ordinary import ORDINARY

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
#: The id that receiving.md shows.
ASYNC_ID = "e35e06ee592d17a42dc9e6252a058617"


def block(name: str, language: str, holding: str) -> Block:
    """The only block of a page that contains a text or follows a comment."""
    found = [
        each
        for each in blocks(name)
        if each.language == language and holding in each.comment + each.text
    ]
    assert len(found) == 1, f"{name}: {len(found)} blocks with {holding!r}"
    return found[0]


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of the table whose header row begins like this."""
    lines = iter(page(name).splitlines())
    for line in lines:
        if line.startswith(heading):
            break
    else:
        raise AssertionError(f"{name} has no table {heading!r}")
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def codes(text: str) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"`([^`]+)`", text)


def check_names(where: str, named: Iterable[str], known: Iterable[str]) -> None:
    """Check that a place names exactly what the code knows; the failure says what to change."""
    there, wanted = {*named}, {*known}
    lacking = [f"name {name} in {where}" for name in sorted(wanted - there)]
    unknown = [f"take {name} out of {where}" for name in sorted(there - wanted)]
    assert there == wanted, ", ".join([*lacking, *unknown])


class TestAllPages:
    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_every_link_has_a_target(self, path: Path) -> None:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            found = (path.parent / file).resolve() if file else path
            assert found.exists(), f"{path.name}: {target}"
            if anchor:
                assert anchor in anchors(found), f"{path.name}: {target}"

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_no_page_mentions_the_machine_it_was_written_on(self, path: Path) -> None:
        text = path.read_text("utf-8")
        assert not re.findall(r"/(?:wor[k])/|/root/|/home/|/Users/|/tmp/|/opt/", text)

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_json_parses_and_python_runs(self, path: Path) -> None:
        name = str(path.relative_to(ROOT))
        for each in blocks(name):
            if each.language == "json":
                json.loads(each.text)
            if each.language == "python" and each.comment != "program":
                run(each)

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_every_named_make_target_exists(self, path: Path) -> None:
        targets = set(re.findall(r"^([a-z0-9]+):", page("Makefile"), re.MULTILINE))
        text = path.read_text("utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z0-9]+)", text, re.MULTILINE))
        assert named <= targets

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_an_empty_line_separates_lists_and_no_line_underlines_text(self, path: Path) -> None:
        """The site would show the list as text, and the text above the line as a heading."""
        prose = without_blocks(path.read_text("utf-8"))
        glued = r"^(?! |- |\d+\. )\S.*\n(?=- |\d+\. |-+$|=+$)"
        assert re.findall(glued, prose, re.MULTILINE) == []

    def test_every_page_can_be_reached_from_the_readme(self) -> None:
        readme = page("README.md")
        for path in ROOT.glob("docs/*.md"):
            assert f"(docs/{path.name})" in readme, path.name

    def test_every_named_test_exists(self) -> None:
        named = {name for path in PAGES for name in _tests_in(path.read_text("utf-8"))}
        known = "\n".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/test_*.py"))
        assert named
        assert [name for name in sorted(named) if f"def {name}(" not in known] == []

    @pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
    def test_every_named_file_exists(self, path: Path) -> None:
        ours = re.compile(
            r"(?:\.?(?:batchback_\w+|chalice|chalicelib|client|docs|tests)/[\w./-]+|[\w-]+\.txt)"
        )
        prose = without_blocks(path.read_text("utf-8"))
        named = [name for name in codes(prose) if ours.fullmatch(name)]
        written_by_a_deployment = ".chalice/deployed/prod.json"
        assert {name for name in named if not (ROOT / name).exists()} <= {written_by_a_deployment}


def options_of(command: click.Command) -> set[str]:
    """All options except those that every command has."""
    return {name for each in command.params for name in each.opts if name[0] == "-"} - {"--json"}


def _tests_in(text: str) -> list[str]:
    return [name for name in codes(text) if re.fullmatch(r"test_\w+", name)]


class TestSettings:
    TABLE = staticmethod(lambda: rows("docs/settings.md", "| variable |"))

    def test_every_variable_is_there_and_no_other(self) -> None:
        named = [code for row in self.TABLE() for code in codes(row[0])]
        known = [variable.name for variable in VARIABLES]
        check_names("the table of docs/settings.md", named, known)
        assert named == known, "the rows of docs/settings.md stand in the order of VARIABLES"

    @pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
    def test_meaning_default_and_range_are_those_of_the_code(self, variable: Variable) -> None:
        found = {name: row for row in self.TABLE() for name in codes(row[0])}
        assert variable.name in found, f"give {variable.name} a row in docs/settings.md"
        _, meaning, default, limits = found[variable.name]
        assert meaning == variable.meaning
        assert default == ("must be set" if variable.default is None else f"`{variable.default}`")
        assert limits
        assert _limits(variable) in {None, limits}


def _limits(variable: Variable) -> str | None:
    """The range that the variable's own error names."""
    try:
        variable.parse("no number")
    except ValueError as error:
        match = re.search(r"number (from \S+ to \S+),", str(error))
        return match[1].removeprefix("from ") if match else None
    return None


class TestWhoMayDoWhat:
    """The table in docs/how-it-works.md, compared with the source of the policies."""

    WORDS: ClassVar = {
        "send": "GetQueueUrl, SendMessage",
        "receive": "ReceiveMessage, DeleteMessage, GetQueueAttributes",
    }
    RESOURCES: ClassVar = {
        "table `batches`": permissions.BATCHES,
        "its index `by_account`": permissions.BATCHES_BY_ACCOUNT,
        "its index `due`": permissions.BATCHES_DUE,
        "table `keys`, `key#` items": permissions.KEYS,
        "table `keys`, `account#` items": permissions.ACCOUNTS,
        "the platform's header, if it is in Parameter Store": permissions.PLATFORM_HEADER,
        "queue `jobs`": permissions.JOBS_QUEUE,
        "queue `jobs-dead`": permissions.JOBS_DEAD_QUEUE,
        "queue `batches`": permissions.BATCHES_QUEUE,
        "queue `callbacks`": permissions.CALLBACKS_QUEUE,
    }

    def test_every_function_may_do_exactly_what_the_table_says(self) -> None:
        functions = [*permissions.PERMISSIONS]
        shown: dict[str, dict[Resource, set[str]]] = {function: {} for function in functions}
        columns = [f"`{function.removesuffix('_handler')}`" for function in functions]
        *found, log = rows("docs/how-it-works.md", " | ".join(["| what", *columns]))
        for what, *cells in found:
            for function, cell in zip(functions, cells, strict=True):
                if cell:
                    shown[function][self.RESOURCES[what]] = self._actions(cell)
        assert log == ["its own log group", *["write"] * len(functions)]
        for function, may in permissions.PERMISSIONS.items():
            for resource in may.keys() | shown[function].keys():
                there, wanted = shown[function].get(resource, set()), {*may.get(resource, ())}
                cell = f"docs/how-it-works.md, {resource.name} of {function}"
                assert there == wanted, f"{cell} must say: {', '.join(sorted(wanted)) or 'nothing'}"

    def _actions(self, cell: str) -> set[str]:
        return {
            action for word in cell.split(", ") for action in self.WORDS.get(word, word).split(", ")
        }


class TestResources:
    PARAMETERS = json.loads(page(".chalice/resources.json"))["Parameters"]
    TABLE = staticmethod(lambda: rows("docs/settings.md", "| parameter |"))

    def test_every_parameter_is_there_and_no_other(self) -> None:
        named = [codes(row[0])[0] for row in self.TABLE()]
        assert named == [name for name in self.PARAMETERS if name != "Stage"]

    def test_defaults_are_those_of_the_template(self) -> None:
        for name, _, default in self.TABLE():
            value = self.PARAMETERS[codes(name)[0]]["Default"]
            assert codes(default) == ([str(value)] if value != "" else [])

    def test_the_values_of_a_stage_are_correct(self) -> None:
        for name, meaning, _ in self.TABLE():
            for stage, value in re.findall(r"`(\w+)` has `?(\w+)", meaning):
                assert project.configured_parameters(stage)[codes(name)[0]] == value

    def test_every_option_of_the_command_is_there(self) -> None:
        text = page("docs/settings.md")
        for name, command in resources.commands.items():
            assert f"batchback resources {name} --stage" in text
            assert {option for option in options_of(command) if option not in text} == set()


class TestRunbook:
    NAME = "docs/runbook.md"

    def test_every_command_of_ops_and_its_options_are_there_and_no_other(self) -> None:
        text = " ".join(" ".join(row) for row in rows(self.NAME, "| command |"))
        assert {*re.findall(r"batchback ops (\w+)", text)} == {*ops.commands}
        options = {option for command in ops.commands.values() for option in options_of(command)}
        assert {*re.findall(r"--[a-z-]+", text)} == options

    def test_every_option_of_the_doctor_is_there_and_no_other(self) -> None:
        table = rows(self.NAME, "| option |")
        assert {code.split()[0] for row in table for code in codes(row[0])} == options_of(doctor)

    def test_every_check_of_the_doctor_is_there_and_no_other(self) -> None:
        stage = open_stage("prod", Shell(environ={}))
        found = [check.name for check in checks(Trial(), stage, Shell(environ={}))]
        named = [code for row in rows(self.NAME, "| check |") for code in codes(row[0])]
        assert sorted(named) == sorted(["credentials", "region", *found])

    def test_every_event_to_search_for_is_in_the_table_of_events(self) -> None:
        known = [code for row in rows(self.NAME, "| event |") for code in codes(row[0])]
        searched = re.findall(r"`events '([^']+)'", page(self.NAME))
        assert searched
        assert {*searched} <= {*known}

    def test_every_event_and_metric_that_is_named_is_written_and_no_other(self) -> None:
        """An event is the first argument of each line that the source writes."""
        source = "\n".join(path.read_text("utf-8") for path in ROOT.glob("chalicelib/**/*.py"))
        source += (ROOT / "app.py").read_text("utf-8")
        written = {
            *re.findall(r'(?:\.write(?:_exception)?|_tell|_send_again)\(\s*"([a-z ]+)"', source),
            *[f"batch {what}" for what in re.findall(r'_change\(\s*"(\w+)"', source)],
        }
        named = [code for row in rows(self.NAME, "| event |") for code in codes(row[0])]
        assert sorted(named) == sorted(written)
        metrics = [code for row in rows(self.NAME, "| metric |") for code in codes(row[0])]
        assert sorted(metrics) == sorted({metric.name for metric in METRICS})


class TestDeploying:
    NAME = "docs/deploying.md"
    PAGES: ClassVar = ["docs/deploying.md", "docs/upgrading.md", "docs/settings.md"]

    @pytest.mark.parametrize("name", PAGES)
    def test_every_command_is_understood(self, name: str) -> None:
        """The parsers themselves read it, with its options."""
        commands = [
            words
            for each in blocks(name)
            if each.language == "sh"
            for line in each.text.replace("\\\n", "").splitlines()
            for words in [shlex.split(line, comments=True)]
        ]
        ours = [words[1:] for words in commands if words[:1] == ["batchback"]]
        chalices = [words for words in commands if "chalice" in words]
        assert ours
        for words in ours:
            parsed(words)
        for words in chalices:
            _, command, *options = words[words.index("chalice") :]
            chalice_cli.commands[command].make_parser(click.Context(chalice_cli)).parse_args(
                [*options]
            )

    def test_the_dollars_are_units_times_prices(self) -> None:
        """They are rounded as shown."""
        *parts, [what, *_, total] = rows(self.NAME, "| part | units")
        dollars = [
            float(units) * self._price(price, of) * 1_000_000 / 200
            for _, units, of, price, _ in parts
        ]
        for found, [name, *_, shown] in zip(dollars, parts, strict=True):
            assert found == pytest.approx(float(shown), abs=0.0006), name
        assert what == "**in all**"
        assert sum(dollars) == pytest.approx(float(total.strip("*")), abs=0.006)

    def _price(self, text: str, _of: str) -> float:
        [dollars] = re.findall(r"\$([0-9.]+)", text)
        return float(dollars) / (1_000_000 if "a million" in text else 1)

    def test_the_count_of_an_idle_stage_is_correct(self) -> None:
        resources = json.loads(project.template())["Resources"].values()
        alarms = [each for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
        idle = {name: (much, dollars) for name, much, _, dollars in rows(self.NAME, "| part | how")}
        assert idle["alarms"] == (f"{len(alarms)}", f"{len(alarms) * 0.1:.2f}")
        metrics = {metric.name for metric in METRICS}
        assert idle["metrics"][0].startswith(f"{len(metrics)},")
        assert idle["metrics"][1] == f"0 to {len(metrics) * 0.3:.2f}"

    def test_the_errors_shown_are_those_of_the_code(self) -> None:
        told = [
            text
            for row in rows(self.NAME, "| you see")
            for text in codes(row[0])
            if re.match(r"There|No AWS|AWS |PLATFORM|Stage", text)
        ]
        sources = "".join(
            path.read_text("utf-8")
            for folder in (
                "batchback_console",
                "batchback_local",
                "batchback_ops",
                "chalicelib",
                "client",
            )
            for path in ROOT.glob(f"{folder}/**/*.py")
        )
        assert len(told) == 9
        for text in told:
            [start, *_] = re.split(r" '|prod | \.\.\.", text)
            assert start in sources, text


class TestHowItWorks:
    NAME = "docs/how-it-works.md"

    def test_the_stored_items_are_those_of_the_code(self) -> None:
        batch = a_batch(400, submission="<submission>")
        [jobs] = [
            item
            for item in items.jobs_items(batch, some_jobs(400))
            if items.chunk_of(item) == 7  # the chunk that the page shows
        ]
        answers = items.answers_item(batch, 7, AnswersPart(round=1, number=0, answers={}))
        assert [codes(row[0])[0] for row in rows(self.NAME, "| part |")] == [
            items.HEAD,
            items.terms_part("<submission>"),
            jobs["part"]["S"],
            answers["part"]["S"],
            items.marker_part(batch, 7, 181),
            hold_items.outage_key("acme")["part"]["S"],
            hold_items.PAUSE_KEY["part"]["S"],
            usage.USAGE,
        ]

    def test_the_functions_and_timeouts_are_those_deployed(self) -> None:
        functions = json.loads(page(".chalice/config.json"))["lambda_functions"]
        named = {codes(row[0])[0]: row[2] for row in rows(self.NAME, "| function |")}
        assert named == {
            name.removesuffix("_handler"): f"{function['lambda_timeout']} s"
            for name, function in functions.items()
        }

    def test_every_scenario_of_the_simulation_proves_something(self) -> None:
        scenarios = {run.scenario.name for run in ORDINARY.values()}
        proofs = " ".join(row[3] for row in rows(self.NAME, "| crash |"))
        named = set(re.findall(r"[a-z-]+", re.sub(r"`[^`]*`", "", proofs)))
        assert scenarios
        assert scenarios - named == set(), f"name them in the crash table of {self.NAME}"


class TestGlossary:
    TABLE = staticmethod(lambda: rows("docs/glossary.md", "| word |"))

    def test_its_words_are_sorted_and_unique(self) -> None:
        words = [word.lower() for word, *_ in self.TABLE()]
        assert words == sorted(set(words))


class TestLocal:
    def test_every_option_is_there_and_no_other(self) -> None:
        named = [codes(row[0])[0].split()[0] for row in rows("docs/local.md", "| option |")]
        assert sorted(named) == sorted(options_of(local))

    def test_every_key_of_the_ready_file_is_there_and_no_other(self) -> None:
        service = LocalService(
            address="",
            aws_endpoint="",
            region="",
            platform="",
            receiver="",
            console="",
            key="",
            secret="",
            callback_secret="",
            names=Names("local"),
            queue_urls={},
        )
        as_json = service.as_json()
        table = {codes(row[0])[0]: codes(row[1]) for row in rows("docs/local.md", "| key | holds")}
        assert list(table) == list(as_json)
        assert table["tables"] == list(as_json["tables"])
        assert table["queues"] == list(as_json["queues"])

    def test_every_wish_is_understood(self) -> None:
        wishes = re.findall(r"-d '(\{.*?\})' http\S+/behave", page("docs/local.md"))
        assert len(wishes) == 4
        behaviors = Behaviors(["namespace", "action", "path"])
        for wish in wishes:
            behaviors.tell(json.loads(wish))
        keys = [key for row in rows("docs/local.md", "| key | meaning") for key in codes(row[0])]
        with pytest.raises(ValueError, match="an object with any of") as refused:
            behaviors.tell({"unknown": 1})
        assert set(re.findall(r"\b[a-z][A-Za-z]+\b", str(refused.value))) >= {*keys}

    def test_every_call_is_remembered_as_shown(self) -> None:
        platform = DemonstrationPlatform(key="demo", secret="demo-secret")
        target = "/api/1.0/event?action=inviteContacts"
        platform.answer(Request(method="POST", target=target, headers={}, body=b"{}"))
        got = platform.answer(Request(method="GET", target="/calls", headers={}, body=b""))
        [shown] = json.loads(block("docs/local.md", "json", "idempotencyKey").text)
        assert list(json.loads(got.body)[0]) == list(shown)


def subclasses(root: type[Any]) -> Iterator[type[Any]]:
    yield root
    for kind in root.__subclasses__():
        yield from subclasses(kind)


def codes_of(kind: type[BatchbackError]) -> tuple[int, int]:
    if issubclass(kind, CallerError):
        return kind.error_code, kind.specific_code
    assert issubclass(kind, ServiceError)
    return 500, kind.specific_code


def actions_of(front: Front) -> set[str]:
    return {name for of_one in front.service.api._namespaces.values() for name in of_one}


class TestCalling:
    def test_every_action_has_its_heading_and_no_other(self, front: Front) -> None:
        headings = re.findall(r"^### ([a-z]+)$", page("docs/calling.md"), re.MULTILINE)
        check_names("the headings under Actions of docs/calling.md", headings, actions_of(front))

    def test_every_action_is_in_the_contents_and_no_other(self, front: Front) -> None:
        [line] = re.findall(r"^- \[Actions\]\(#actions\): (.*)$", page("docs/calling.md"), re.M)
        named = re.findall(r"\[(\w+)\]", line)
        check_names("the contents of docs/calling.md", named, actions_of(front))

    def test_every_action_is_in_the_call_of_its_namespace_and_no_other(self, front: Front) -> None:
        lines = re.findall(
            r"^    POST \{address\}/api/1\.0/(\w+)\?action=(.*)$", page("docs/calling.md"), re.M
        )
        named = [f"{namespace}/{name}" for namespace, names in lines for name in names.split(" | ")]
        known = [
            f"{namespace}/{name}"
            for namespace, actions in front.service.api._namespaces.items()
            for name in actions
        ]
        check_names("the lines under Request format of docs/calling.md", named, known)

    def test_every_error_is_there_and_no_other(self) -> None:
        kinds = [*subclasses(CallerError), *subclasses(ServiceError)]
        assert all(kind.__module__ == errors.__name__ for kind in kinds)
        table = rows("docs/calling.md", "| errorCode |")
        assert sorted((int(row[0]), int(row[1])) for row in table) == sorted(
            {codes_of(kind) for kind in kinds}
        )


class TestCommandLine:
    def test_every_command_and_option_is_there_and_no_other(self) -> None:
        """The text names the options that every command has."""
        shown = {
            name.split()[0]: {code.split()[0] for code in codes(options)}
            for names, _, options in rows("docs/command-line.md", "| command | does | options")
            for name in codes(names)
        }
        everywhere = {"--json", *(each.opts[0] for each in connection.OPTIONS)}
        assert shown == {
            name: {each.opts[0] for each in command.params if isinstance(each, click.Option)}
            - everywhere
            for name, command in batchback.commands.items()
        }, "the table of docs/command-line.md must have every command with its own options"
        text = page("docs/command-line.md")
        assert [option for option in everywhere if f"`{option}`" not in text] == []

    def test_completion_is_for_shells_that_have_it(self) -> None:
        shells = re.findall(r"_BATCHBACK_COMPLETE=(\w+)_source", page("docs/command-line.md"))
        assert [shell for shell in shells if get_completion_class(shell)] == ["bash", "zsh", "fish"]

    def test_every_exit_status_is_there_and_no_other(self) -> None:
        named = [int(row[0]) for row in rows("docs/command-line.md", "| exit status |")]
        assert named == sorted(Status)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    import app

    with Client(app.app, stage_name="local") as client:
        yield client


@pytest.fixture
def front(client: Client, monkeypatch: pytest.MonkeyPatch) -> Front:
    """A service whose platform and account are the demonstration's: an account makes its ids."""
    networks = project.environment("local")["ALLOWED_CALLBACK_NETWORKS"]
    front = serve(client, monkeypatch, ALLOWED_CALLBACK_NETWORKS=networks)
    front.keys.keys["demo"] = replace(DEMO_KEY, account=ACCOUNT)
    front.keys.accounts[ACCOUNT] = replace(DEMO_ACCOUNT, account=ACCOUNT)
    platform = DemonstrationPlatform(key="", secret="", checks_signatures=False)

    def answer(call: Call) -> Reply:
        target = f"/api/1.0/{call.namespace}?action={call.action}"
        got = platform.answer(Request(method="POST", target=target, headers={}, body=call.body))
        front.clock.advance(milliseconds=38)
        return Reply(status=got.status, body=got.body)

    front.platform.answer = answer
    return front


class TestExamples:
    """The curl lines of calling.md, one after the other, each with the answer below it."""

    def test_every_call_gets_the_answer_that_is_shown(self, front: Front) -> None:
        story = Story(front)
        for call, shown in calls_and_answers():
            if not call.text:
                story.run_jobs(call.comment)
            else:
                story.tell(call, json.loads(shown.text))
        check_names("the curl lines of docs/calling.md", story.told, actions_of(front))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_example_sends_results_to_strangers(path: Path) -> None:
    """Pasting the example would send them, and the service would retry for 32 hours."""
    commands = [each.text for each in blocks(str(path.relative_to(ROOT))) if each.language == "sh"]
    written = [re.findall(r"callback-?[Uu][Rr][Ll]\W+(https?://\S+)", text) for text in commands]
    assert not [url for urls in written for url in urls if not re.match("https?://[0-9]", url)]


def calls_and_answers() -> Iterator[tuple[Block, Block]]:
    """Each curl line with its answer, and in between, as a pair too, the comments that say that
    jobs run."""
    waiting: Block | None = None
    for each in _in_order("docs/calling.md"):
        if not each.text:
            yield each, each
        elif each.language == "sh" and each.text.startswith("curl"):
            assert waiting is None, f"line {waiting.line}: a call without an answer"
            waiting = each
        elif each.language == "json" and waiting is not None:
            yield waiting, each
            waiting = None
    assert waiting is None


def _in_order(name: str) -> list[Block]:
    """The blocks of a page, and its stand-alone comments as blocks without text."""
    text = page(name)
    alone = [
        Block("", "", match[1], text.count("\n", 0, match.start()))
        for match in re.finditer(r"^<!-- (jobs run: \w+) -->$", text, re.MULTILINE)
    ]
    return sorted([*blocks(name), *alone], key=lambda each: each.line)


class Story:
    """The batches of the examples on their way."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.told: set[str] = set()

    def run_jobs(self, how: str) -> None:
        """Run all waiting jobs, or those of the first message."""
        jobs = self._front.queue.jobs
        held = jobs[1:] if how.endswith("1") else []
        del jobs[len(jobs) - len(held) :]
        self._front.work_off()
        self._front.queue.jobs += held

    def tell(self, call: Block, shown: dict[str, Any]) -> None:
        """Send the call and compare the answer."""
        action, answer = self._send(call.text)
        where = f"docs/calling.md, line {call.line}"
        assert answer.status == shown.get("errorCode", 200), f"{where}: {answer.body!r}"
        assert answer.json == shown, where
        self.told.add(action)

    def _send(self, curl: str) -> tuple[str, Answer]:
        """Send what curl would send, for the options that the examples use."""
        words = iter(shlex.split(curl.replace("\\\n", " "))[1:])
        headers: dict[str, str] = {}
        body = target = ""
        for word in words:
            if word == "-u":
                key, _, secret = next(words).partition(":")
                headers["Authorization"] = basic(key, secret)["Authorization"]
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = next(words)
            else:
                target = word.removeprefix("$ADDRESS")
        return target.rpartition("=")[2], self._front.send(target, body.encode(), headers=headers)


def run(source: Block) -> dict[str, Any]:
    """What a Python block defines."""
    found: dict[str, Any] = {}
    exec(compile(source.text, f"line {source.line}", "exec"), found)  # noqa: S102 - our own docs
    return found


def http(name: str, holding: str) -> tuple[str, dict[str, str], bytes]:
    """The target, the headers (names in lower case) and the body of an HTTP block."""
    head, _, body = block(name, "http", holding).text.partition("\n\n")
    request, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    small = {key.lower(): value for key, value in headers.items()}
    return request.split()[1], small, body.removesuffix("\n").encode()


class TestSigning:
    """The worked example of calling.md: key demo, secret demo-secret."""

    SENT_AT = datetime(2026, 11, 23, 14, 49, 8, tzinfo=UTC)

    def example(self) -> tuple[str, dict[str, str], bytes]:
        target, headers, _ = http("docs/calling.md", "iws: request")
        section = page("docs/calling.md").split("The worked example:")[1]
        match = re.search(r"```json\n(.*)\n```", section)
        assert match
        return target, headers, match[1].encode()

    def test_its_numbers_are_correct(self) -> None:
        target, headers, body = self.example()
        made = signing.iws_headers(
            key="demo",
            secret="demo-secret",
            target=target,
            body=body,
            now=self.SENT_AT,
            content_type="application/json",
        )
        assert {name.lower(): value for name, value in made.items()} == headers
        signed = SignedRequest(headers=headers, targets=(target,), body=body)
        text = block("docs/calling.md", "", "iws: text").text.strip()
        assert signing.iws_text(signed, target) == text
        parts = [codes(row[2]) for row in rows("docs/calling.md", "| | part |")]
        assert "".join(part for [part] in filter(None, parts)).lower() == text

    def test_the_service_accepts_it(self, front: Front) -> None:
        front.clock.set(self.SENT_AT)
        target, headers, body = self.example()
        answer = front.send(target, body, headers=headers)
        assert (answer.status, answer.json["specificCode"]) == (404, 24105)

    def test_the_python_example_produces_the_same(self) -> None:
        target, headers, body = self.example()
        iws_headers = run(block("docs/calling.md", "python", "iws_headers"))["iws_headers"]
        made = iws_headers("demo", "demo-secret", target, body, headers["ivvy-date"])
        assert {name.lower(): value for name, value in made.items()} == headers


SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


class TestReceiving:
    def test_the_callback_shown_is_a_real_one(self, front: Front) -> None:
        """The very bytes that the service sends, signed a second after the platform's answer."""
        _, headers, body = http("docs/receiving.md", "callback: example")
        assert f"`{SECRET}`" in page("docs/receiving.md")
        sent = {"jobs": [{"namespace": "test", "action": "ping"}], "callbackUrl": "https://a.com"}
        front.platform.answer = lambda _: Reply(
            status=200, body=b'{"ack": "2026-11-23 14:49:07 UTC"}'
        )
        async_id = front.call("run", sent).json["asyncId"]
        front.work_off()
        [post] = front.receiver.posts
        assert post.body == body.replace(ASYNC_ID.encode(), async_id.encode())
        assert headers["content-length"] == str(len(body))
        signed = signing.webhook_headers(
            message_id=headers["webhook-id"],
            body=[body],
            secrets=[SECRET],
            now=START + timedelta(seconds=1),
        )
        assert {name: headers[name] for name in signed} == signed
        assert re.fullmatch(rf"{ASYNC_ID}-[0-9a-f]{{8}}-1", headers["webhook-id"])
        assert re.fullmatch(rf"{async_id}-[0-9a-f]{{8}}-1", post.headers["webhook-id"])

    def test_the_callback_with_the_callers_additions_is_a_real_one(self, front: Front) -> None:
        def job(id: str, params: dict[str, Any]) -> dict[str, Any]:
            return {"namespace": "event", "action": "inviteContacts", "params": params, "id": id}

        shown = json.loads(block("docs/receiving.md", "json", "callback: with more").text)
        [result] = shown["results"]
        error = json.dumps(result["response"]).encode()
        front.platform.answer = lambda call: Reply(
            status=200, body=b"{}" if call.params["event"] == 1 else error
        )
        sent = {
            "jobs": [job("order-77", {"event": 1}), job(result["id"], result["request"])],
            "callbackUrl": "https://a.com",
            "callbackResults": "failed",
            "label": shown["label"],
            "metadata": shown["metadata"],
        }
        async_id = front.call("run", sent).json["asyncId"]
        front.work_off()
        [post] = front.receiver.posts
        body = post.body.decode().replace(async_id, ASYNC_ID)
        assert body == json.dumps(shown, separators=(",", ":")).replace(
            json.dumps(result["response"], separators=(",", ":")), error.decode()
        )

    def test_the_pasted_listen_command_works_with_make_serve(self) -> None:
        """The story of the local service does the same with other ports."""
        receive = block("docs/receiving.md", "sh", "listen: receive").text
        send = block("docs/receiving.md", "sh", "listen: send").text
        assert f"BATCHBACK_CALLBACK_SECRET={CALLBACK_SECRET}\n" in receive
        assert f"--callback-url http://127.0.0.1:{PORT}/callback\n" in send
        [settings] = [line for line in send.splitlines() if line.startswith("export")]
        assert f"{settings}\n" in page("docs/command-line.md")

    @pytest.mark.parametrize(
        ("language", "example"),
        [
            ("python", "receiver.py"),
            ("js", "receiver.js"),
            ("php", "receiver.php"),
            ("go", "receiver.go"),
            ("sh", "verify.sh"),
        ],
    )
    def test_the_examples_shown_are_their_own_text(self, language: str, example: str) -> None:
        """The examples themselves are run by tests/examples."""
        shown = [
            each
            for each in blocks("docs/receiving.md")
            if each.language == language and not each.comment.startswith("listen")
        ]
        assert {each.comment for each in shown} == {f"from examples/{example}"}
        for each in shown:
            assert f"\n{each.text}" in page(f"examples/{example}")


class TestKeys:
    @pytest.fixture
    def operator(self, aws: None) -> Operator:  # noqa: ARG002 - moto must be up
        empty_the_table(boto3.client("dynamodb", endpoint_url=ENDPOINT))
        return Operator()

    def test_every_command_prints_what_is_shown(self, operator: Operator) -> None:
        """The commands run one after the other, on a stage without keys."""
        shown = [each for each in blocks("docs/keys.md") if each.language in {"sh", "json"}]
        for command, answer in zip(shown[::2], shown[1::2], strict=True):
            text = command.text.strip().replace("--stage dev", "--stage local")
            line, _, file = text.removeprefix("batchback keys ").partition(" < ")
            status, printed = operator.runs(line, ISSUED if file else "")
            assert (status, printed) == (0, answer.text), f"docs/keys.md, line {command.line}"

    def test_every_command_and_option_is_there_and_no_other(self) -> None:
        table = rows("docs/keys.md", "| command |")
        assert [codes(row[0])[0].split()[0] for row in table] == list(keys.commands)
        for row, command in zip(table, keys.commands.values(), strict=True):
            named = {code.split()[0] for code in codes(row[2])}
            assert named == options_of(command) - {"--stage"}, row[0]

    def test_the_seconds_that_workers_remember_are_correct(self) -> None:
        for name in ("docs/keys.md", "docs/how-it-works.md"):
            assert re.search(rf"within (the last )?{WORKERS_REMEMBER_SECONDS} seconds", page(name))
