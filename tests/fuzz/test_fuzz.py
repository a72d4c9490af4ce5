"""The short form of `make fuzz`: the same requests every time."""

from pathlib import Path

from tests.description import description
from tests.fuzz.session import session

ALWAYS_THE_SAME = "--generation-deterministic"
#: Together, these two have every parameter that any action has.
THE_RICHEST = ("run", "results")


def test_the_running_service_is_as_it_is_described(tmp_path: Path) -> None:
    """Each action accepts the requests that its description allows, and no others. Every answer is
    as described, no matter what is sent to which action."""
    only = [word for name in THE_RICHEST for word in ("--include-operation-id", name)]
    with session(tmp_path) as running:
        of_actions = running.fuzz_each_action(
            ALWAYS_THE_SAME, "--phases", "examples,coverage", *only
        )
        of_the_whole = running.fuzz_the_whole(
            ALWAYS_THE_SAME, "--phases", "examples,fuzzing", "--max-examples", "10"
        )
    assert of_actions.is_clean, of_actions.report
    assert of_the_whole.is_clean, of_the_whole.report
    assert f"Tested: {len(THE_RICHEST)}" in of_actions.report
    assert f"Tested: {len(description().document['paths'])}" in of_the_whole.report
