"""The short form of `make fuzz`: the same requests every time."""

from collections.abc import Iterator

import pytest

from tests.description import description
from tests.fuzz.session import Session, session

ALWAYS_THE_SAME = "--generation-deterministic"
#: Those whose parameters are like no other's; the rest take an id alone.
OF_THEIR_OWN = ("run", "results", "list", "ping")

pytestmark = pytest.mark.xdist_group("fuzz")  # one service for all


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


def test_each_action_takes_what_it_is_said_to_take_and_answers_as_described(
    running: Session,
) -> None:
    only = [word for name in OF_THEIR_OWN for word in ("--include-operation-id", name)]
    found = running.fuzz_each_action(ALWAYS_THE_SAME, "--phases", "examples,coverage", *only)
    assert found.is_clean, found.report
    assert f"Tested: {len(OF_THEIR_OWN)}" in found.report


def test_whatever_is_sent_under_whatever_action_is_answered_as_described(running: Session) -> None:
    found = running.fuzz_the_whole(
        ALWAYS_THE_SAME, "--phases", "examples,fuzzing", "--max-examples", "20"
    )
    assert found.is_clean, found.report
    assert f"Tested: {len(description().document['paths'])}" in found.report
