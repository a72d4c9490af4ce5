"""What GitHub reads: what runs there, with which permissions, and whose code; and pre-commit."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from batchback_ops import project

ROOT = project.root()
WORKFLOWS = {path.stem: path for path in sorted(ROOT.glob(".github/workflows/*.yml"))}

Job = dict[str, Any]
Step = dict[str, Any]


def workflow(name: str) -> dict[str, Any]:
    parsed: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text("utf-8"))
    return {str(key): value for key, value in parsed.items()}


def triggers(name: str) -> dict[str, Any]:
    """YAML reads a bare `on` as true."""
    found: dict[str, Any] = workflow(name)["True"]
    return found


def jobs() -> Iterator[tuple[str, Job]]:
    for name in WORKFLOWS:
        for job, found in workflow(name)["jobs"].items():
            yield f"{name}.{job}", found


def steps(name: str, job: str) -> list[Step]:
    found: list[Step] = workflow(name)["jobs"][job]["steps"]
    return found


def runs(name: str, job: str) -> list[str]:
    return [step["run"] for step in steps(name, job) if "run" in step]


def targets(text: str) -> list[str]:
    return re.findall(r"\bmake (?:-C \S+ )?([a-z0-9]+)", text)


class TestAll:
    def test_there_are_three_workflows(self) -> None:
        assert {*WORKFLOWS} == {"check", "deploy", "package"}

    def test_every_action_is_pinned_to_a_commit_with_its_version(self) -> None:
        """Anybody who takes over the action's repository can move a tag to other code."""
        commits: dict[str, set[str]] = {}
        for path in WORKFLOWS.values():
            for line in re.findall(r"uses: (.*)", path.read_text("utf-8")):
                pinned = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
                assert pinned, line
                commits.setdefault(pinned[1], set()).add(pinned[2])
        assert len(commits) == 5
        assert [action for action, found in commits.items() if len(found) > 1] == []

    def test_a_job_names_its_permissions_and_they_are_few(self) -> None:
        assert [name for name in WORKFLOWS if workflow(name)["permissions"] != {}] == []
        rights = {name: job["permissions"] for name, job in jobs()}
        assert rights.pop("deploy.deploy") == {"id-token": "write"}
        assert rights.pop("deploy.doctor") == {"contents": "read", "id-token": "write"}
        assert {name for name, found in rights.items() if found != {"contents": "read"}} == set()

    def test_no_job_runs_on_a_latest_image(self) -> None:
        assert {job["runs-on"] for _, job in jobs()} == {"ubuntu-24.04"}

    def test_every_job_has_a_timeout(self) -> None:
        assert [name for name, job in jobs() if job["timeout-minutes"] > 30] == []

    def test_no_checkout_leaves_its_token_behind(self) -> None:
        for name, job in jobs():
            for step in job["steps"]:
                if "actions/checkout@" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False, name

    def test_typed_input_never_becomes_part_of_a_script(self) -> None:
        """Input comes through the environment, which no shell runs as commands."""
        scripts = [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]
        assert scripts
        assert [script for script in scripts if "${{" in script] == []
        assert [script for script in scripts if re.search(r"make .*=", script)] == []

    def test_every_make_target_exists(self) -> None:
        known = set(
            re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        )
        for name, job in jobs():
            for step in job["steps"]:
                assert {*targets(step.get("run", ""))} <= known, name

    def test_what_ships_comes_from_no_cache(self) -> None:
        """Another job may have put anything into a cache."""
        cached = {
            name
            for name, job in jobs()
            for step in job["steps"]
            if step.get("with", {}).get("cache")
        }
        of_check = {
            f"check.{job}"
            for job in ("check", "coverage", "docs", "elsewhere", "e2e", "browser", "audit")
        }
        assert cached == {*of_check, "deploy.check"}


class TestCheck:
    def test_it_runs_what_must_be_green(self) -> None:
        """It runs the same as .ci/run."""
        made = targets((ROOT / ".ci" / "run").read_text("utf-8"))
        assert made == ["check", "docs", "elsewhere", "e2e", "browser"]
        assert [runs("check", job) for job in made] == [[f"make {target}"] for target in made]

    def test_it_runs_on_every_supported_python(self) -> None:
        text = (ROOT / "pyproject.toml").read_text("utf-8")
        classifiers = tomllib.loads(text)["project"]["classifiers"]
        promised = [each.rpartition(" ")[2] for each in classifiers if re.search(r"3\.\d+$", each)]
        assert workflow("check")["jobs"]["check"]["strategy"]["matrix"]["python"] == promised

    def test_pins_are_audited_weekly_even_without_changes(self) -> None:
        [schedule] = triggers("check")["schedule"]
        assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
        assert runs("check", "audit") == ["make audit"]


class TestDeploy:
    def test_it_begins_with_every_check(self) -> None:
        found = workflow("deploy")["jobs"]
        order = [(name, job.get("needs")) for name, job in found.items()]
        assert order == [
            ("check", None),
            ("package", "check"),
            ("deploy", "package"),
            ("doctor", "deploy"),
        ]
        assert runs("deploy", "check")[-1] == ".ci/run"

    def test_it_deploys_only_reviewed_code(self) -> None:
        """This is checked before anything of the branch runs."""
        refusal = steps("deploy", "check")[0]
        assert refusal["if"] == (
            "github.ref_type != 'tag' && github.ref_name != github.event.repository.default_branch"
        )
        assert "exit 1" in refusal["run"]
        assert "Deploy from the default branch or from a tag" in refusal["run"]

    def test_the_build_has_no_access_to_aws(self) -> None:
        """It has no secret and no variable either, and no environment that has one."""
        for name in ("check", "package"):
            job = workflow("deploy")["jobs"][name]
            assert job["permissions"] == {"contents": "read"}
            assert "environment" not in job
            assert not re.search(r"secrets\.|vars\.", repr(job))
        assert runs("deploy", "package")[0] == "make package"

    def test_with_aws_access_only_the_aws_command_line_runs(self) -> None:
        """It runs on the packaged files: without a checkout, Python or any package."""
        assert self.done_by("deploy") == [
            "actions/download-artifact",
            'cd package\necho "$DIGESTS" | sha256sum --check --strict\n',
            "aws-actions/configure-aws-credentials",
            'sh package/deploy.sh "$BUCKET"',
        ]

    @pytest.mark.parametrize("changed", [None, "deployment.zip", "sam.json", "deploy.sh"])
    def test_only_what_was_packaged_is_deployed(self, tmp_path: Path, changed: str | None) -> None:
        """The two scripts run as GitHub runs them: the digests go through the jobs' outputs."""
        built, handed_over = tmp_path / "build" / "package" / "prod", tmp_path / "package"
        built.mkdir(parents=True)
        for name in ("deployment.zip", "sam.json", "deploy.sh"):
            (built / name).write_text(name)
        shutil.copytree(built, handed_over)
        if changed:
            (handed_over / changed).write_text("something else")
        output = tmp_path / "output"
        assert self.runs(runs("deploy", "package")[1], tmp_path, STAGE="prod", GITHUB_OUTPUT=output)
        first, *digests, last = output.read_text().splitlines()
        assert (first, last) == ("digests<<END", "END")
        refusal = runs("deploy", "deploy")[0]
        assert self.runs(refusal, tmp_path, DIGESTS="\n".join(digests)) is (changed is None)

    def test_without_digests_nothing_is_deployed(self, tmp_path: Path) -> None:
        (tmp_path / "package").mkdir()
        assert not self.runs(runs("deploy", "deploy")[0], tmp_path, DIGESTS="")

    def test_the_doctor_runs_what_is_pinned_with_hashes(self) -> None:
        """It is installed before AWS is accessible."""
        *_, install, credentials, doctor = self.done_by("doctor")
        assert install == "make install"
        assert credentials == "aws-actions/configure-aws-credentials"
        assert doctor.startswith('.venv/bin/batchback doctor --stage "$STAGE" ')

    def test_only_the_doctor_has_the_key(self) -> None:
        holders = [
            (name, step.get("run", "").split()[1:2])
            for name, job in jobs()
            for step in job["steps"]
            if "secrets." in repr(step)
        ]
        assert holders == [("deploy.doctor", ["doctor"])]

    def test_missing_setup_is_reported(self) -> None:
        text = WORKFLOWS["deploy"].read_text("utf-8")
        page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
        wanted = {*re.findall(r"\b(?:vars|secrets)\.(\w+)", text)}
        assert len(wanted) == 6
        assert [name for name in wanted if f"`{name}`" not in page] == []

    def test_two_deployments_of_a_stage_do_not_run_concurrently(self) -> None:
        assert workflow("deploy")["concurrency"] == {"group": "deploy-${{ inputs.stage }}"}

    def done_by(self, job: str) -> list[str]:
        return [step.get("run") or step["uses"].partition("@")[0] for step in steps("deploy", job)]

    def runs(self, script: str, folder: Path, **variables: str | Path) -> bool:
        """Whether the script succeeds."""
        environ = {name: str(value) for name, value in variables.items()}
        done = subprocess.run(  # noqa: S603 - our own workflow
            ["bash", "-e", "-c", script],  # noqa: S607
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


class TestPackage:
    def test_the_stage_is_passed_in_the_environment(self) -> None:
        """make then treats it as text, as it does on its command line."""
        job = workflow("package")["jobs"]["package"]
        assert job["env"] == {"STAGE": "${{ inputs.stage || 'prod' }}"}
        assert runs("package", "package") == ["make package"]


@pytest.mark.parametrize("name", ["caller", "idea", "operator"])
def test_an_issue_form_is_one_that_github_takes(name: str) -> None:
    """GitHub ignores a form without a name, a description, or an id for each field to fill in."""
    path = ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml"
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= {*form}
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in fields} <= {"input", "textarea"}
    assert len({each["id"] for each in fields}) == len(fields) > 0
    assert all(each["attributes"]["label"] for each in fields)


class TestDependabot:
    @pytest.fixture
    def updates(self) -> dict[str, Any]:
        parsed = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))
        return {each["package-ecosystem"]: each for each in parsed["updates"]}

    def test_packages_and_actions_are_updated(self, updates: dict[str, Any]) -> None:
        assert {*updates} == {"pip", "github-actions"}

    def test_pins_are_updated_together(self, updates: dict[str, Any]) -> None:
        """A single updated file would not install."""
        for each in updates.values():
            assert [group["patterns"] for group in each["groups"].values()] == [["*"]]

    def test_what_it_ignores_exists(self, updates: dict[str, Any]) -> None:
        for pattern in updates["pip"]["exclude-paths"]:
            assert [*ROOT.glob(pattern)], pattern


def test_pre_commit_runs_the_checks_of_make() -> None:
    """They run with the tools of the environment that make creates, so that no other version is
    used."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    parsed = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [local] = parsed["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        tool, *_ = hook["entry"].removeprefix(".venv/bin/").split()
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert f"@$(BIN)/{tool} " in makefile
