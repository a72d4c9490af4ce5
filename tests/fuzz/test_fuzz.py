"""The short form of `make fuzz`: the same requests every time."""

from pathlib import Path

from tests.description import description
from tests.fuzz.session import session

ALWAYS_THE_SAME = "--generation-deterministic"
#: Those whose parameters are like no other's; the rest take an id alone.
OF_THEIR_OWN = ("run", "results", "list", "ping")


def test_the_running_service_is_as_it_is_described(tmp_path: Path) -> None:
    """Each action takes what it is said to take, and nothing else. And whatever is sent under
    whatever action is answered as described."""
    only = [word for name in OF_THEIR_OWN for word in ("--include-operation-id", name)]
    with session(tmp_path) as running:
        of_actions = running.fuzz_each_action(
            ALWAYS_THE_SAME, "--phases", "examples,coverage", *only
        )
        of_the_whole = running.fuzz_the_whole(
            ALWAYS_THE_SAME, "--phases", "examples,fuzzing", "--max-examples", "20"
        )
    assert of_actions.is_clean, of_actions.report
    assert of_the_whole.is_clean, of_the_whole.report
    assert f"Tested: {len(OF_THEIR_OWN)}" in of_actions.report
    assert f"Tested: {len(description().document['paths'])}" in of_the_whole.report
