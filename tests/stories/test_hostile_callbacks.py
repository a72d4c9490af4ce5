"""Callbacks to addresses that must not be called: the real receiver, with a malicious name server
and a server on this machine that reports visits."""

import json
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from chalicelib.adapters.http import HttpReceiver
from chalicelib.domain.address import AddressPolicy
from tests.adapters.http_servers import OK, Server, answering
from tests.stories.jobs import jobs
from tests.stories.on_moto import OnMoto

#: Stands for an address that may be called, and answers 500.
OUTSIDE = "127.0.0.2"
INSIDE = "127.0.0.1"


def rebind(life: OnMoto, *answers: str) -> list[str]:
    """Make the callback's name resolve to each of these in turn, and return the list of lookups."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[object]:
        asked.append(host)
        return [ip_address(answers[min(len(asked), len(answers)) - 1])]

    policy = AddressPolicy(allowed_networks=(ip_network(f"{OUTSIDE}/32"),))
    life.replace(receiver=HttpReceiver(policy=policy, resolve=resolve))  # type: ignore[arg-type]
    return asked


def test_a_name_that_resolves_to_this_machine_ends_the_callback(
    life: OnMoto,
) -> None:
    """The first attempt goes to a public address, and fails there. For the second, the name
    resolves to this machine: the callback ends, and the caller sees why."""
    with (
        Server(answering(OK)) as inside,
        Server(
            answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), OUTSIDE, inside.port
        ) as (outside),
    ):
        asked = rebind(life, OUTSIDE, INSIDE)
        async_id = life.submit(jobs(3), callback_url=f"http://rebinding.example:{inside.port}/")
        life.work_off()
        callback = life.progress(async_id)["callback"]
        assert [made["status"] for made in callback.pop("history")] == [500, None]
        assert callback == {
            "status": "failed",
            "attempts": 2,
            "lastStatus": None,
            "lastError": "the callback's address may not be called",
            "nextAttemptAt": None,
        }
        assert life.head(async_id).due_at is None  # no sweep triggers it either
        assert (outside.visits, inside.visits) == (1, 0)
        assert asked == ["rebinding.example"] * 2
        assert len(json.loads(life.results(async_id))["results"]) == 3

        life.ask("repost", {"async": async_id})
        life.work_off()
        assert life.progress(async_id)["callback"]["status"] == "failed"
        assert life.progress(async_id)["callback"]["attempts"] == 1
        assert (outside.visits, inside.visits) == (1, 0)


def test_a_stricter_policy_also_applies_to_batches_accepted_earlier(life: OnMoto) -> None:
    """A URL is checked again at each delivery, not only when it is submitted."""
    with Server(answering(OK)) as inside:
        life.configure(ALLOWED_CALLBACK_NETWORKS="127.0.0.0/8")
        async_id = life.submit(jobs(1), callback_url=f"http://127.0.0.1:{inside.port}/")
        life.configure()
        rebind(life, INSIDE)
        life.work_off()
        callback = life.progress(async_id)["callback"]
        assert callback["status"] == "failed"
        assert callback["lastError"] == "the callback's address 127.0.0.1 is a loopback address"
        assert inside.visits == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest/", "169.254.169.254 is a cloud's metadata service"),
        ("http://2130706433/", "2130706433 is 127.0.0.1, a loopback address"),
        ("http://a.127.0.0.1.nip.io/", "a.127.0.0.1.nip.io leads to 127.0.0.1, a loopback address"),
    ],
)
def test_known_bad_addresses_are_refused_on_submission(life: OnMoto, url: str, reason: str) -> None:
    """In the contract's error format, with the reason."""
    status, body = life.call("run", {"jobs": [*jobs(1)], "callbackUrl": url})
    assert (status, json.loads(body)) == (
        400,
        {
            "errorCode": 400,
            "specificCode": 23016,
            "message": "'callbackUrl' does not validate",
            "additionalMessages": [f"callbackUrl: {reason}"],
        },
    )
