"""What an operator has, on a whole stage: `batchback doctor` finds what is broken, and what to do
about it; `batchback ops` finds what is dead, and puts it back to work.

Where the emulator was given something else than the stage's own (on_emulator.py), the doctor must
say so, and of nothing else.
"""

import json
from typing import Any

import pytest

from batchback.operator import policies
from batchback.shell import Status
from chalicelib.settings import Names
from e2e.on_emulator import KEY, SECRET, STACK, STAGE, VISIBILITY_SECONDS, OnEmulator
from e2e.test_deployed import callback_of, order, signed

BY_ITS_PIPELINE = "deploy it by its pipeline (docs/packaging.md)"
NAMES = Names(STAGE)


def findings(service: OnEmulator, *options: str) -> dict[str, dict[str, Any]]:
    told = service.emulator.batchback(
        *("doctor", "--stage", STAGE, "--address", service.address, *options),
        status=Status.REFUSED,
    )
    return {each["check"]: each for each in json.loads(told.stdout)}


def wrong(found: dict[str, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {check: (each["found"], each["mend"]) for check, each in found.items() if not each["ok"]}


def ops(service: OnEmulator, command: str, *options: str) -> Any:
    return json.loads(service.emulator.batchback("ops", command, "--stage", STAGE, *options).stdout)


class TestDoctor:
    @pytest.fixture
    def expected(self, service: OnEmulator) -> set[str]:
        """What it has to say of a stage that is well, here."""
        others = "stack", "visibility of jobs"
        everywhere = [
            f"{what} {each}" for each in policies.MAY for what in ("function", "policy of")
        ]
        assert service.variables
        return {*others, *everywhere}

    def test_all_is_well_but_what_is_other_here(
        self, service: OnEmulator, expected: set[str]
    ) -> None:
        caller = ("--key", KEY, "--secret", SECRET, "--callback-url", service.callback_url)
        found = findings(service, *caller)
        told = wrong(found)
        assert {*told} == expected
        assert told["stack"][0].endswith(": DeletionProtection, JobsVisibilitySeconds")
        assert told["visibility of jobs"][0].startswith(f"{VISIBILITY_SECONDS} s, and 6 times")
        for function in policies.MAY:
            others = ", ".join(sorted(service.variables))
            assert told[f"function {function}"][0].endswith(f"config.json has it: {others}")
            *_, statements = told[f"policy of {function}"][0].partition("committed one: ")
            assert {*statements.split(", ")} <= {"BatchesQueue", "JobsQueue"}
        assert {mend.rpartition(", then ")[2] for _, mend in told.values()} == {BY_ITS_PIPELINE}
        assert found["ping"]["found"].startswith("signed and understood at ")
        assert found["batch"]["found"].endswith(": test.ping ran, its callback is delivered")

    def test_what_is_broken_is_named_with_what_mends_it(
        self, service: OnEmulator, expected: set[str]
    ) -> None:
        with (
            service.nothing_feeds("bury_jobs") as trigger,
            service.may_no_longer(f"{STACK}-run_jobs", "Keys"),
            service.is_set_by_hand(f"{STACK}-sweep", FLUSH_SECONDS="2"),
        ):
            told = wrong(findings(service, "--no-batch"))
        assert {*told} - expected == {"messages of bury_jobs", "ping", "batch"}
        assert told["messages of bury_jobs"] == (
            f"{NAMES.jobs_dead_queue} feeds it, and is Disabled",
            f"aws lambda update-event-source-mapping --uuid {trigger} --enabled",
        )
        assert told["policy of run_jobs"][0].endswith(": BatchesQueue, JobsQueue, Keys")
        assert "FLUSH_SECONDS" in told["function sweep"][0]


class TestOps:
    def test_dead_letters_are_found_and_go_back_to_work(self, service: OnEmulator) -> None:
        """Of a batch whose jobs are done, and that nobody has looked at since."""
        with service.nothing_feeds("advance_batch"):
            async_id = signed(service, order(service, 3))
            results = service.caller.results
            service.until(lambda: len(results(async_id, partial=True)["results"]) == 3, "recorded")
            letters = service.give_up_messages_of_batches()
        [listed] = [each for each in ops(service, "list") if each["batchId"] == async_id]
        assert (listed["status"], listed["jobs"]["succeeded"]) == ("running", 3)
        shown = ops(service, "show", async_id)
        assert (shown["jobs"]["succeeded"], shown["jobs"]["waiting"]) == (3, 0)
        assert (shown["completedAt"], shown["callback"]["attempts"]) == (None, 0)
        assert "batchback ops redrive --stage prod" in self.doctor(service)
        found = {"queue": "batches-dead", "found": letters, "unreadable": 0}
        found["batches"] = {async_id: letters}
        assert ops(service, "redrive", "--dry-run") == {**found, "moved": 0}
        assert ops(service, "redrive") == {**found, "moved": letters}
        assert len(callback_of(service, async_id)["results"]) == 3
        assert ops(service, "show", async_id)["callback"]["state"] == "delivered"
        assert ops(service, "redrive")["found"] == 0

    def doctor(self, service: OnEmulator) -> str:
        return wrong(findings(service, "--no-batch"))["dead letters"][1]
