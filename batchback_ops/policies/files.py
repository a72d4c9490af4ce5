"""Brings the policy files in .chalice in line with the permissions."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.policies.documents import file_name, json_text, naming_policies, policy_files
from batchback_ops.policies.permissions import PERMISSIONS


def update(shell: Shell) -> None:
    """Write what differs, remove what is left over, and say so."""
    here = project.root() / ".chalice"
    configuration = project.configuration()
    wanted = policy_files(configuration)
    referring = naming_policies(configuration)
    if referring != configuration:
        wanted["config.json"] = json_text(referring)
    for name in [*_left_over(here, wanted)]:
        (here / name).unlink()
        shell.say(f"removed .chalice/{name}")
    for name in [*_outdated(here, wanted)]:
        (here / name).write_text(wanted[name], "utf-8")
        shell.say(f"wrote .chalice/{name}")
    shell.say(f"the policies of these stages are up to date: {', '.join(configuration['stages'])}")


def _left_over(here: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """The policies of stages that no longer exist."""
    for function in PERMISSIONS:
        for path in sorted(here.glob(file_name(function, "*"))):
            if path.name not in wanted:
                yield path.name


def _outdated(here: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    for name, text in wanted.items():
        if not (here / name).exists() or (here / name).read_text("utf-8") != text:
            yield name
