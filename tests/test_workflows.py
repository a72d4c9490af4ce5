"""What GitHub reads: what runs there, with which rights, and of whose code; and pre-commit."""

import re
import tomllib
from collections.abc import Iterator
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
    """YAML takes a bare `on` for true."""
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
    def test_these_three_are_there(self) -> None:
        assert {*WORKFLOWS} == {"check", "deploy", "package"}

    def test_every_action_is_a_commit_whose_version_is_said(self) -> None:
        """A tag can be moved to other code by whoever gets hold of the action's repository."""
        commits: dict[str, set[str]] = {}
        for path in WORKFLOWS.values():
            for line in re.findall(r"uses: (.*)", path.read_text("utf-8")):
                pinned = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
                assert pinned, line
                commits.setdefault(pinned[1], set()).add(pinned[2])
        assert len(commits) == 4
        assert [action for action, found in commits.items() if len(found) > 1] == []

    def test_a_job_has_the_rights_that_it_names_and_they_are_few(self) -> None:
        assert [name for name in WORKFLOWS if workflow(name)["permissions"] != {}] == []
        rights = {name: job["permissions"] for name, job in jobs()}
        assert rights.pop("deploy.deploy") == {"contents": "read", "id-token": "write"}
        assert {name for name, found in rights.items() if found != {"contents": "read"}} == set()

    def test_every_job_ends(self) -> None:
        assert [name for name, job in jobs() if job["timeout-minutes"] > 30] == []

    def test_no_checkout_leaves_its_token_behind(self) -> None:
        for name, job in jobs():
            [checkout] = [each for each in job["steps"] if "checkout" in each.get("uses", "")]
            assert checkout["with"]["persist-credentials"] is False, name

    def test_nothing_that_somebody_types_gets_into_a_script(self) -> None:
        """It comes by way of the environment, which no shell takes for commands."""
        scripts = [step["run"] for _, job in jobs() for step in job["steps"] if "run" in step]
        assert scripts
        assert [script for script in scripts if "${{" in script] == []

    def test_every_target_that_is_made_is_one(self) -> None:
        known = set(
            re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        )
        for name, job in jobs():
            for step in job["steps"]:
                assert {*targets(step.get("run", ""))} <= known, name

    def test_what_ships_is_fetched_anew(self) -> None:
        """What a cache holds, another job has put there."""
        cached = {
            name
            for name, job in jobs()
            for step in job["steps"]
            if step.get("with", {}).get("cache")
        }
        of_check = {f"check.{job}" for job in ("check", "elsewhere", "e2e", "audit")}
        assert cached == {*of_check, "deploy.check"}


class TestCheck:
    def test_it_runs_what_must_be_green(self) -> None:
        """The same as .ci/run."""
        made = targets((ROOT / ".ci" / "run").read_text("utf-8"))
        assert made == ["check", "elsewhere", "e2e"]
        assert [runs("check", job) for job in made] == [[f"make {target}"] for target in made]

    def test_it_runs_on_every_python_that_is_promised(self) -> None:
        text = (ROOT / "pyproject.toml").read_text("utf-8")
        classifiers = tomllib.loads(text)["project"]["classifiers"]
        promised = [each.rpartition(" ")[2] for each in classifiers if re.search(r"3\.\d+$", each)]
        assert workflow("check")["jobs"]["check"]["strategy"]["matrix"]["python"] == promised

    def test_pins_are_audited_weekly_though_nobody_changes_anything(self) -> None:
        [schedule] = triggers("check")["schedule"]
        assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
        assert runs("check", "audit") == ["make audit"]


class TestDeploy:
    def test_it_begins_with_all_that_must_be_green(self) -> None:
        assert workflow("deploy")["jobs"]["deploy"]["needs"] == "check"
        assert runs("deploy", "check")[-1] == ".ci/run"

    def test_it_goes_by_what_was_reviewed(self) -> None:
        """Before anything else, and before anything of that branch runs."""
        refusal = steps("deploy", "check")[0]
        assert refusal["if"] == (
            "github.ref_type != 'tag' && github.ref_name != github.event.repository.default_branch"
        )
        assert "exit 1" in refusal["run"]
        assert "Deploy from the default branch or from a tag" in refusal["run"]

    def test_it_packages_before_it_can_reach_aws_and_looks_at_the_outcome_last(self) -> None:
        found = [step.get("run") or step["uses"].partition("@")[0] for step in self.steps]
        *_, package, credentials, deploy, doctor = found
        assert package == 'make package STAGE="$STAGE"'
        assert credentials == "aws-actions/configure-aws-credentials"
        assert deploy == 'sh "build/package/$STAGE/deploy.sh" "$BUCKET"'
        assert doctor.startswith('.venv/bin/batchback doctor --stage "$STAGE" ')

    def test_nobody_but_the_doctor_has_the_key(self) -> None:
        holders = [step["run"] for step in self.steps if "secrets." in repr(step)]
        assert [run.split()[1] for run in holders] == ["doctor"]
        assert "secrets." not in repr(steps("deploy", "check"))

    def test_what_has_to_be_set_up_is_said(self) -> None:
        text = WORKFLOWS["deploy"].read_text("utf-8")
        page = (ROOT / "docs" / "deploying.md").read_text("utf-8")
        wanted = {*re.findall(r"\b(?:vars|secrets)\.(\w+)", text)}
        assert len(wanted) == 6
        assert [name for name in wanted if f"`{name}`" not in page] == []

    def test_two_deployments_of_a_stage_do_not_meet(self) -> None:
        assert workflow("deploy")["concurrency"] == {"group": "deploy-${{ inputs.stage }}"}

    @property
    def steps(self) -> list[Step]:
        return steps("deploy", "deploy")


class TestDependabot:
    @pytest.fixture
    def updates(self) -> dict[str, Any]:
        parsed = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))
        return {each["package-ecosystem"]: each for each in parsed["updates"]}

    def test_packages_and_actions_are_looked_after(self, updates: dict[str, Any]) -> None:
        assert {*updates} == {"pip", "github-actions"}

    def test_pins_go_together(self, updates: dict[str, Any]) -> None:
        """One file of them alone would not install."""
        for each in updates.values():
            assert [group["patterns"] for group in each["groups"].values()] == [["*"]]

    def test_what_it_leaves_alone_is_there(self, updates: dict[str, Any]) -> None:
        for pattern in updates["pip"]["exclude-paths"]:
            assert [*ROOT.glob(pattern)], pattern


def test_before_a_commit_the_checks_of_make_are_made() -> None:
    """By the tools of the environment that make makes, so that no other version has a say."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    parsed = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [local] = parsed["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        tool, *_ = hook["entry"].removeprefix(".venv/bin/").split()
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert f"@$(BIN)/{tool} " in makefile
