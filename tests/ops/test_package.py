"""`batchback package` up to the point where it would use a registry. e2e/ checks the rest."""

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops import project
from batchback_ops.gateway_responses import RESPONSES
from batchback_ops.package import (
    chalice_package,
    deploy_script,
    deployment_zip,
    files,
    pipeline_template,
)
from tests.chalice_deployment import template
from tests.client.user import User

#: The end of `chalice package` if pip cannot reach the index.
OFFLINE = """\
Traceback (most recent call last):
  File "x", line 1
    pip()
    ^^^^^
chalice.deploy.packager.PackageDownloadError: WARNING: Retrying after NewConnectionError: x
ERROR: Could not find a version of certifi
ERROR: No matching distribution

"""
PIPS_WORDS = (
    "PackageDownloadError: pip cannot download every package, so check the network and pip's "
    "index: "
    "ERROR: Could not find a version of certifi ERROR: No matching distribution"
)

STAGE = "prod"
REQUIREMENTS = """\
# what Lambda gets
Some.Package[extra]==1.2 \\
    --hash=sha256:0000
other_package==3.0  # with a reason
"""
SHIPPED = {
    "app.py": "NAMES = {'a', 'b', 'c'}\n",
    "some_package/__init__.py": "",
    "some_package-1.2.dist-info/METADATA": "Name: Some.Package",
    "other_package-3.0.dist-info/METADATA": "Name: other_package",
}

Zipped = Callable[..., Path]


@pytest.fixture
def zipped(tmp_path: Path) -> Zipped:
    """A zip as Chalice writes it."""

    def make(files: dict[str, str], year: int = 2026) -> Path:
        path = tmp_path / f"{year}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
        return path

    return make


def without(name: str) -> dict[str, str]:
    return {path: text for path, text in SHIPPED.items() if not path.startswith(name)}


class TestZip:
    def test_every_source_gets_byte_code_that_nobody_checks(
        self, zipped: Zipped, tmp_path: Path
    ) -> None:
        finished = tmp_path / "finished.zip"
        finished.write_bytes(deployment_zip.finished(zipped(SHIPPED), REQUIREMENTS))
        with zipfile.ZipFile(finished) as archive:
            names = archive.namelist()
            [compiled] = [name for name in names if name.startswith("__pycache__/app.")]
            code = archive.read(compiled)
            assert archive.read("app.py").decode() == SHIPPED["app.py"]
        assert {*SHIPPED} < {*names}
        assert len([name for name in names if name.endswith(".pyc")]) == 2
        assert code[4:8] == b"\x01\0\0\0"
        assert b"/var/task/app.py" in code

    def test_the_same_files_give_the_same_bytes_in_any_order_and_year(self, zipped: Zipped) -> None:
        backwards = dict(reversed(SHIPPED.items()))
        one = deployment_zip.finished(zipped(SHIPPED), REQUIREMENTS)
        assert one == deployment_zip.finished(zipped(backwards, 2030), REQUIREMENTS)

    def test_a_dependency_that_chalice_left_out_is_an_error(self, zipped: Zipped) -> None:
        with pytest.raises(CannotGoOn, match=r"^No wheel of other-package==3\.0 for Lambda's"):
            deployment_zip.finished(zipped(without("other")), REQUIREMENTS)

    def test_one_that_is_pinned_to_another_version_is_an_error(self, zipped: Zipped) -> None:
        other = REQUIREMENTS.replace("3.0", "3.1")
        with pytest.raises(CannotGoOn, match=r"No wheel of other-package==3\.1"):
            deployment_zip.finished(zipped(SHIPPED), other)

    def test_one_that_nothing_pins_is_an_error(self, zipped: Zipped) -> None:
        with pytest.raises(CannotGoOn, match=r"does not pin new==1, .* add it there"):
            deployment_zip.finished(
                zipped({**SHIPPED, "new-1.dist-info/METADATA": "Name: new"}), REQUIREMENTS
            )

    def test_invalid_python_is_an_error(self, zipped: Zipped) -> None:
        with pytest.raises(
            CannotGoOn, match=r"A file in the zip is not valid Python 3, .*: .*/app\.py.*"
        ):
            deployment_zip.finished(zipped({**SHIPPED, "app.py": "print 1\n"}), REQUIREMENTS)


RESOURCES = json.loads(project.template())
OF_CHALICE = template(STAGE, project.configuration())
FUNCTIONS = {
    "APIHandler": "batchback-prod",
    "RunJobs": "batchback-prod-run_jobs",
    "AdvanceBatch": "batchback-prod-advance_batch",
    "CallBack": "batchback-prod-call_back",
    "BuryJobs": "batchback-prod-bury_jobs",
    "Sweep": "batchback-prod-sweep",
}


def merged(**parameters: str) -> dict[str, Any]:
    of_stage = {**project.stack_parameters(STAGE), **parameters}
    return pipeline_template.merged(OF_CHALICE, RESOURCES, STAGE, of_stage)


class TestTemplate:
    def test_it_contains_the_resources_and_the_functions(self) -> None:
        whole = merged()
        for section in ("Resources", "Outputs"):
            assert whole[section].keys() == {*OF_CHALICE[section], *RESOURCES[section]}
        assert whole["Transform"] == OF_CHALICE["Transform"]
        assert whole["Conditions"] == RESOURCES["Conditions"]
        assert {name: whole["Resources"][name] for name in RESOURCES["Resources"]} == RESOURCES[
            "Resources"
        ]

    def test_the_parameters_have_the_stages_values(self) -> None:
        """So a deployment needs no parameters."""
        parameters = merged(LogRetentionDays="7")["Parameters"]
        defaults = {name: each["Default"] for name, each in parameters.items()}
        assert parameters.keys() == RESOURCES["Parameters"].keys()
        assert defaults["Stage"] == STAGE
        assert (defaults["LogRetentionDays"], defaults["JobsVisibilitySeconds"]) == (7, 360)
        assert defaults["Monitoring"] == RESOURCES["Parameters"]["Monitoring"]["Default"]

    def test_a_function_waits_for_what_it_would_miss(self) -> None:
        """Its trigger waits for the function."""
        whole = merged()["Resources"]
        for name in FUNCTIONS:
            assert {whole[needed]["Type"] for needed in whole[name]["DependsOn"]} == {
                "AWS::DynamoDB::Table",
                "AWS::Logs::LogGroup",
                "AWS::SQS::Queue",
            }
            assert len(whole[name]["DependsOn"]) == 14

    def test_a_function_has_the_name_that_chalice_deploy_gives_it(self) -> None:
        whole = merged()["Resources"]
        named = {name: whole[name]["Properties"]["FunctionName"] for name in FUNCTIONS}
        assert named == FUNCTIONS

    def test_the_api_gets_no_second_stage(self) -> None:
        assert merged()["Resources"]["RestAPI"]["Properties"]["OpenApiVersion"] == "2.0"

    def test_api_gateway_answers_its_own_errors_in_the_services_shape(self) -> None:
        described = merged()["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
        assert described["x-amazon-apigateway-gateway-responses"] == {
            name: response.settings for name, response in RESPONSES.items()
        }

    def test_api_gateway_unpacks_no_request_body(self) -> None:
        """It would if it compressed answers. The service refuses such bodies unread."""
        assert "MinimumCompressionSize" not in merged()["Resources"]["RestAPI"]["Properties"]

    def test_neither_original_is_changed(self) -> None:
        before = repr([OF_CHALICE, RESOURCES])
        merged(LogRetentionDays="7")
        assert repr([OF_CHALICE, RESOURCES]) == before

    def test_a_name_that_both_use_is_an_error(self) -> None:
        clashing = {**RESOURCES, "Resources": {"Sweep": RESOURCES["Resources"]["JobsQueue"]}}
        with pytest.raises(CannotGoOn, match=r"also uses Sweep in its Resources: rename them"):
            pipeline_template.merged(OF_CHALICE, clashing, STAGE, {})


#: Records its arguments, one per line.
AWS = """\
#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word" >> "$CALLS"; done
echo >> "$CALLS"
"""


@dataclass(frozen=True)
class Machine:
    """A machine with a package, a shell, and an `aws` that does nothing."""

    folder: Path

    def runs(self, script: str, *argv: str) -> "subprocess.CompletedProcess[str]":
        path = self.folder / "package" / deploy_script.NAME
        path.write_text(script)
        return subprocess.run(  # noqa: S603 - the script under test
            ["/bin/sh", path, *argv],
            env={"PATH": f"{self.folder}:{os.defpath}", "CALLS": f"{self.folder}/calls"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[list[str]]:
        """The calls of `aws`, each as a list of words."""
        path = self.folder / "calls"
        text = path.read_text("utf-8") if path.exists() else ""
        return [call.split("\n") for call in text.split("\n\n") if call]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "package").mkdir()
    (tmp_path / "aws").write_text(AWS)
    (tmp_path / "aws").chmod(0o755)
    return Machine(tmp_path)


def after(option: str, call: list[str]) -> list[str]:
    """The values of an option on a command line."""
    rest = call[call.index(option) + 1 :]
    return [*takewhile(lambda word: not word.startswith("--"), rest)]


class TestScript:
    def test_every_parameter_is_given_each_time(self, machine: Machine) -> None:
        """An updated stack would otherwise keep the parameters that it has."""
        for stage in ("prod", "dev"):
            parameters = project.stack_parameters(stage)
            machine.runs(deploy_script.script(stage, parameters, project.tags(stage)), "b")
            _, deploy, _ = machine.calls[-3:]
            given = dict(each.split("=", 1) for each in after("--parameter-overrides", deploy))
            assert given == parameters
            assert given.keys() == RESOURCES["Parameters"].keys()

    def test_the_stack_has_the_stages_tags_whatever_is_in_them(self, machine: Machine) -> None:
        tags = {"stage": "prod", "team": 'it\'s "ours" $HOME `id`', "empty": ""}
        ran = machine.runs(deploy_script.script(STAGE, project.stack_parameters(STAGE), tags), "b")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert after("--tags", machine.calls[1]) == [f"{name}={tags[name]}" for name in tags]

    def test_a_stage_without_tags_gives_none(self, machine: Machine) -> None:
        ran = machine.runs(deploy_script.script(STAGE, project.stack_parameters(STAGE), {}), "b")
        assert ran.returncode == 0
        assert "--tags" not in machine.calls[1]

    @pytest.mark.parametrize(
        ("is_protected", "option"),
        [
            ("true", "--enable-termination-protection"),
            ("false", "--no-enable-termination-protection"),
        ],
    )
    def test_the_stack_of_a_protected_stage_is_protected(
        self, machine: Machine, is_protected: str, option: str
    ) -> None:
        parameters = {**project.stack_parameters(STAGE), "DeletionProtection": is_protected}
        machine.runs(deploy_script.script(STAGE, parameters, {}), "b")
        assert machine.calls[2] == [
            "cloudformation",
            "update-termination-protection",
            "--stack-name",
            "batchback-prod",
            option,
        ]

    def test_the_package_is_uploaded_to_the_named_bucket(self, machine: Machine) -> None:
        ran = machine.runs(
            deploy_script.script(STAGE, project.stack_parameters(STAGE), {}), "my bucket"
        )
        pack, deploy, _ = machine.calls
        assert ran.returncode == 0
        assert (pack[1], deploy[1]) == ("package", "deploy")
        assert after("--template-file", pack) == [chalice_package.TEMPLATE]
        assert after("--output-template-file", pack) == after("--template-file", deploy)
        for call in (pack, deploy):
            assert after("--s3-bucket", call) == ["my bucket"]
            assert after("--s3-prefix", call) == ["batchback-prod"]

    @pytest.mark.parametrize("name", ["a; touch x", "$(touch x)", "`touch x`", "a\ntouch x", "'x"])
    def test_no_name_of_a_stage_is_executed(self, machine: Machine, name: str) -> None:
        script = deploy_script.script(name, project.stack_parameters(STAGE), {})
        ran = machine.runs(script, "b")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert not (machine.folder / "package" / "x").exists()
        assert f"--stack-name\nbatchback-{name}\n" in (machine.folder / "calls").read_text()

    def test_without_a_bucket_it_does_nothing_and_says_why(self, machine: Machine) -> None:
        ran = machine.runs(deploy_script.script(STAGE, project.stack_parameters(STAGE), {}))
        assert ran.returncode
        assert "name a bucket in the region of the stage" in ran.stderr
        assert machine.calls == []


class TestCopy:
    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A checkout with stray files in it."""
        root = tmp_path / "checkout"
        for name in (
            "app.py",
            "requirements.txt",
            "notes.py",
            ".env",
            "chalicelib/__init__.py",
            "chalicelib/domain/batch.py",
            "chalicelib/domain/batch.py~",
            "chalicelib/domain/__pycache__/batch.cpython-311.pyc",
            "chalicelib/dump.json",
            "chalicelib/empty/notes.txt",
            ".chalice/policy-prod-run_jobs.json",
            ".chalice/policy-dev-run_jobs.json",
            ".chalice/deployed/prod.json",
            ".chalice/deployments/old.zip",
        ):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("")
        monkeypatch.setattr(project, "root", lambda: root)
        return root

    @pytest.mark.usefixtures("checkout")
    def test_it_contains_what_ships_and_no_stray_file(self, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        chalice_package.copy_what_ships(copy, STAGE)
        assert {
            path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()
        } == {
            "app.py",
            "requirements.txt",
            "chalicelib/__init__.py",
            "chalicelib/domain/batch.py",
            ".chalice/config.json",
            ".chalice/policy-prod-run_jobs.json",
        }

    @pytest.mark.usefixtures("checkout")
    def test_the_architecture_may_be_another_than_the_stages(self, tmp_path: Path) -> None:
        configured = project.configuration()
        for architecture, found in (("x86_64", "x86_64"), (None, None)):
            copy = tmp_path / str(architecture)
            chalice_package.copy_what_ships(copy, STAGE, architecture)
            written = json.loads((copy / ".chalice" / "config.json").read_text("utf-8"))
            assert written["stages"][STAGE].get("lambda_architecture") == found
            assert written["stages"]["dev"] == configured["stages"]["dev"]


class TestCommand:
    def test_an_unknown_stage_is_reported_in_one_sentence(self) -> None:
        operator = User({})
        assert operator.types("package", "--stage", "nope") == Status.USAGE
        assert "There is no stage 'nope' in .chalice/config.json" in operator.is_told

    @pytest.mark.parametrize("name", ["a; touch x", "../../x", "a b", "Prod", "prod\n"])
    def test_a_name_that_no_stage_can_have_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        configuration = {"stages": {name: project.configuration()["stages"][STAGE]}}
        monkeypatch.setattr(project, "configuration", lambda: configuration)
        operator = User({})
        assert operator.types("package", "--stage", name) == Status.USAGE
        assert "must be 1 to 30 lower-case letters, digits and '-'" in operator.is_told

    def test_the_local_stage_cannot_be_packaged(self) -> None:
        operator = User({})
        assert operator.types("package", "--stage", "local") == Status.USAGE
        assert operator.is_told == (
            "batchback: The stage local runs on this machine: name a stage to deploy.\n"
        )

    def test_a_header_in_the_package_gets_a_warning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The header itself is not shown."""
        told = io.StringIO()
        for value in ("X-Key: very-secret", "ssm", "-", ""):
            monkeypatch.setattr(project, "environment", lambda _, v=value: {"PLATFORM_HEADER": v})
            files._warn_of_header(STAGE, Shell(stderr=told))
        assert told.getvalue().count("\n") == 1
        assert "sam.json contains the platform's header" in told.getvalue()
        assert "very-secret" not in told.getvalue()

    def test_a_pip_that_would_check_no_hashes_is_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "version", lambda _: "26.0.1")
        operator = User({})
        assert operator.types("package", "--stage", STAGE) == Status.USAGE
        assert "pip 26.0.1 is too old to check the hashes" in operator.is_told

    def test_a_chalice_that_is_not_the_pinned_one_is_not_shipped(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "version", lambda name: "99.1" if name == "pip" else "1.34")
        operator = User({})
        assert operator.types("package", "--stage", STAGE) == Status.USAGE
        assert "chalice==1.34 is installed, and its runtime would ship" in operator.is_told

    def test_if_chalice_fails_its_last_line_is_shown(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".chalice").mkdir()
        (tmp_path / ".chalice" / "resources.json").write_text(project.template())
        (tmp_path / "chalicelib").mkdir()
        (tmp_path / "requirements.txt").write_text("")
        shutil.copy(project.root() / "requirements-run.txt", tmp_path)
        (tmp_path / "app.py").write_text("raise ValueError('a wrong setting')\n")
        monkeypatch.setattr(project, "root", lambda: tmp_path)
        operator = User({})
        assert operator.types("package", "--stage", STAGE) == Status.USAGE
        assert operator.is_told == (
            "batchback: `chalice package` failed: ValueError: a wrong setting\n"
        )

    @pytest.mark.parametrize(
        ("stderr", "stdout", "said"),
        [
            (OFFLINE, "Creating deployment package.\n", PIPS_WORDS),
            ("Error: no such stage\n", "Creating deployment package.\n", "Error: no such stage"),
            ("no such stage\n", "Creating deployment package.\n", "no such stage"),
            ("", "Creating deployment package.\nno room\n", "no room"),
            ("", "", "it gives no reason"),
        ],
    )
    def test_the_error_is_found_in_the_output(self, stderr: str, stdout: str, said: str) -> None:
        assert chalice_package.what_failed(stderr, stdout) == said

    def test_nothing_of_the_environment_gets_into_the_template(self) -> None:
        environ = {"PATH": "/bin", "MAX_CONCURRENT_WORKERS": "3", "AWS_PROFILE": "me"}
        kept = chalice_package._environment(
            {**environ, "PYTHONPATH": "x", "PIP_PROXY": "p"}, Path("copy")
        )
        assert not {"MAX_CONCURRENT_WORKERS", "AWS_PROFILE", "PYTHONPATH"} & kept.keys()
        assert (kept["PATH"], kept["PIP_PROXY"]) == ("/bin", "p")

    def test_pip_checks_every_hash_and_builds_nothing(self) -> None:
        environ = {"PIP_CONSTRAINT": "another", "PIP_ONLY_BINARY": ":none:"}
        kept = chalice_package._environment(environ, Path("copy"))
        assert kept["PIP_CONSTRAINT"] == "copy/requirements.txt"
        assert kept["PIP_ONLY_BINARY"] == ":all:"
