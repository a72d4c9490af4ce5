"""Where a callback does not go: hostile URLs, and names that lead to forbidden addresses or change
their address. A server on this machine stands for everything that must not be reached, and reports
visits. Every other attempted connection is recorded, but not made."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib import settings as service_settings
from chalicelib.adapters.http import HttpPlatform, HttpReceiver
from chalicelib.domain.address import AddressPolicy, why_not_url
from chalicelib.domain.networks import Address
from chalicelib.domain.outcome import NoReply, Reply
from tests.adapters.http_servers import (
    NAME,
    OK,
    Server,
    Servers,
    Visit,
    a_platform,
    answering,
    call,
    once,
    post,
)

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests" / "vectors" / "hostile-urls.json").read_text("utf-8"))
ADDRESSES: list[str] = [row["address"] for row in VECTORS["addresses"]]
PUBLIC_ONLY = AddressPolicy()
#: Any host, without a port.
WITHOUT_PORT = re.compile(r"(?P<before>https?://(?:\[[^/?#]*\]|[^/?#@:]+))(?=[/?#]|$)", re.I)


def allowing(*networks: str) -> AddressPolicy:
    return AddressPolicy(allowed_networks=tuple(map(ip_network, networks)))


@dataclass
class Resolver:
    """A name server that gives one answer after another, and repeats the last one forever."""

    answers: list[Sequence[str] | Exception]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, _port: int) -> list[Address]:
        self.asked.append(host)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return [ip_address(text) for text in answer]


Tried = list[tuple[str, int]]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Tried:
    """The attempted connections. Those that would leave this machine are refused."""
    tried: Tried = []
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        tried.append(address[:2])
        if not ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError(111, "Connection refused")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    return tried


@pytest.fixture
def inside(servers: Servers) -> Server:
    """What must not be visited."""
    return servers(answering(OK))


def at_port(url: str, port: int) -> str:
    """The URL with this port, unless it has one."""
    return WITHOUT_PORT.sub(rf"\g<before>:{port}", url, count=1)


# --- what is refused by its text -----------------------------------------------------------------


class TestHostileUrls:
    def test_none_of_them_is_visited(self, inside: Server, tried: Tried) -> None:
        """It does not matter whether they have the server's port, or which addresses their names
        lead to."""
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=Resolver([ADDRESSES]))
        for row in VECTORS["hostile"]:
            for url in {row["url"], at_port(row["url"], inside.port)}:
                reply = post(receiver, url)
                assert isinstance(reply, NoReply), url
                assert reply.is_final, url
        assert tried == []
        assert inside.visits == 0

    def test_each_of_them_is_refused_before_any_name_is_looked_up(self) -> None:
        """The name server's owner does not even learn that the URL was tried."""
        resolver = Resolver([["8.8.8.8"]])
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=resolver)
        for row in VECTORS["hostile"]:
            post(receiver, row["url"])
        assert resolver.asked == []

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.localtest.me", NAME])
    def test_an_allowed_url_is_visited_and_reported(
        self, inside: Server, tried: Tried, host: str
    ) -> None:
        """This is the control: if the policy allows the server, it is visited and reports that."""
        receiver = HttpReceiver(policy=allowing("127.0.0.0/8"), resolve=Resolver([["127.0.0.1"]]))
        assert isinstance(post(receiver, at_port(f"http://{host}/", inside.port)), Reply)
        assert tried == [("127.0.0.1", inside.port)]
        assert inside.visits == 1

    def test_most_hostile_urls_would_reach_the_server(self) -> None:
        """This is the control of the test above: most of the URLs have the server's port."""
        moved = [at_port(row["url"], 12345) for row in VECTORS["hostile"]]
        assert sum(":12345" in url for url in moved) > 300


# --- what a name leads to ------------------------------------------------------------------------


class TestNames:
    @pytest.mark.parametrize("row", VECTORS["addresses"], ids=lambda row: row["address"])
    def test_a_name_that_leads_to_a_refused_address_is_not_called(
        self, tried: Tried, row: dict[str, str]
    ) -> None:
        """The reason gives neither the address nor its kind: inside a private network, either would
        tell a stranger what only our resolver knows."""
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=Resolver([[row["address"]]]))
        assert post(receiver, f"https://{NAME}/?token=secret") == NoReply(
            reason="the callback's address may not be called", is_final=True
        )
        assert tried == []

    def test_one_refused_address_is_enough_to_refuse_a_name(
        self, inside: Server, tried: Tried
    ) -> None:
        """It does not matter where it is among the answers, or how good the others are."""
        for refused in ADDRESSES:
            for place in range(3):
                answer = ["8.8.8.8", "2606:4700:4700::1111"]
                answer.insert(place, refused)
                receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=Resolver([answer]))
                reply = post(receiver, f"http://{NAME}:{inside.port}/")
                assert isinstance(reply, NoReply)
                assert reply.is_final
        assert tried == []
        assert inside.visits == 0

    def test_without_an_address_there_is_no_connection(self, tried: Tried) -> None:
        """This is not final: there may be an address later."""
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=Resolver([[]]))
        assert post(receiver, f"http://{NAME}/") == NoReply(
            reason="no connection to the receiver: there is no address"
        )
        assert tried == []

    def test_public_addresses_are_tried_in_order(self, tried: Tried) -> None:
        """Each of them is tried once."""
        answer = ["8.8.8.8", "2606:4700:4700::1111", "1.1.1.1"]
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=Resolver([answer]))
        reply = post(receiver, f"https://{NAME}/")
        assert reply == NoReply(reason="no connection to the receiver: connection refused")
        assert tried == [(address, 443) for address in answer]

    def test_a_written_address_is_not_looked_up(self, tried: Tried) -> None:
        """It is called as it was judged."""
        resolver = Resolver([["127.0.0.1"]])
        receiver = HttpReceiver(policy=PUBLIC_ONLY, resolve=resolver)
        post(receiver, "http://[2606:4700:4700::1111]:8080/")
        assert tried == [("2606:4700:4700::1111", 8080)]
        assert resolver.asked == []


#: Tests may not call a public address, so 127.0.0.2 stands for one.
OUTSIDE = "127.0.0.2"
INSIDE = "127.0.0.1"


class TestNamesThatChangeTheirAddress:
    """DNS rebinding: the name leads to a good address when it is judged, and to another one
    later."""

    @pytest.fixture
    def outside(self, servers: Servers, inside: Server) -> Server:
        """Where the callback may go, at the same port."""
        return servers(answering(OK), host=OUTSIDE, port=inside.port)

    @pytest.fixture
    def url(self, inside: Server) -> str:
        return f"http://{NAME}:{inside.port}/hook"

    def receiver(self, *answers: Sequence[str] | Exception) -> tuple[HttpReceiver, Resolver]:
        resolver = Resolver([*answers])
        return HttpReceiver(policy=allowing(f"{OUTSIDE}/32"), resolve=resolver), resolver

    def test_a_delivery_looks_up_a_name_once(
        self, inside: Server, outside: Server, tried: Tried, url: str
    ) -> None:
        """The judged address is the one that is called; there is no second answer to be fooled
        by."""
        receiver, resolver = self.receiver([OUTSIDE], [INSIDE])
        assert isinstance(post(receiver, url), Reply)
        assert resolver.asked == [NAME]
        assert tried == [(OUTSIDE, inside.port)]
        assert (outside.visits, inside.visits) == (1, 0)
        assert outside.seen[0].headers["host"] == f"{NAME}:{inside.port}"

    def test_every_delivery_is_judged_again(
        self, inside: Server, outside: Server, tried: Tried, url: str
    ) -> None:
        """A good answer yesterday allows nothing today."""
        receiver, resolver = self.receiver([OUTSIDE], [INSIDE], [OUTSIDE, INSIDE], [], [OUTSIDE])
        replies = [post(receiver, url) for _ in range(5)]
        refused = NoReply(reason="the callback's address may not be called", is_final=True)
        assert replies[1:3] == [refused, refused]
        assert [type(reply) for reply in replies] == [Reply, NoReply, NoReply, NoReply, Reply]
        assert resolver.asked == [NAME] * 5
        assert tried == [(OUTSIDE, inside.port)] * 2
        assert (outside.visits, inside.visits) == (2, 0)

    def test_a_failed_connection_causes_no_second_lookup(
        self, inside: Server, tried: Tried, url: str
    ) -> None:
        """Nobody is at the good address; the next answer is for the next attempt."""
        receiver, resolver = self.receiver([OUTSIDE], [INSIDE])
        assert post(receiver, url) == NoReply(
            reason="no connection to the receiver: connection refused"
        )
        assert resolver.asked == [NAME]
        assert tried == [(OUTSIDE, inside.port)]
        assert inside.visits == 0

    @pytest.mark.parametrize(
        "behave",
        [once(b""), Visit.reset, once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")],
        ids=["end", "reset", "half"],
    )
    def test_a_broken_connection_causes_no_second_lookup(
        self, servers: Servers, inside: Server, tried: Tried, url: str, behave: Any
    ) -> None:
        """No library retries on its own."""
        servers(behave, host=OUTSIDE, port=inside.port)
        receiver, resolver = self.receiver([OUTSIDE], [INSIDE])
        assert isinstance(post(receiver, url), NoReply)
        assert resolver.asked == [NAME]
        assert tried == [(OUTSIDE, inside.port)]
        assert inside.visits == 0

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "target", ["/", "http://{inside}/", "//{inside}/", "http://{name}/", "\\\\{inside}\\"]
    )
    def test_a_redirect_causes_no_second_lookup(
        self,
        servers: Servers,
        inside: Server,
        tried: Tried,
        url: str,
        status: int,
        target: str,
    ) -> None:
        """Redirects to itself, to another name and to an address are not followed."""
        port = inside.port
        location = target.format(inside=f"{INSIDE}:{port}", name=f"other.example:{port}")
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        servers(answering(head.encode()), host=OUTSIDE, port=port)
        receiver, resolver = self.receiver([OUTSIDE], [INSIDE])
        reply = post(receiver, url)
        assert isinstance(reply, Reply)
        assert reply.status == status
        assert resolver.asked == [NAME]
        assert tried == [(OUTSIDE, port)]
        assert inside.visits == 0

    def test_a_name_that_does_not_resolve_is_retried(
        self, inside: Server, outside: Server, url: str
    ) -> None:
        """This is not final, whatever comes after it."""
        receiver, _ = self.receiver(socket.gaierror(socket.EAI_AGAIN, "again"), [OUTSIDE])
        assert post(receiver, url) == NoReply(reason="the name of the receiver does not resolve")
        assert isinstance(post(receiver, url), Reply)
        assert (outside.visits, inside.visits) == (1, 0)


# --- what a deployment allows --------------------------------------------------------------------


def configured(**variables: str) -> tuple[AddressPolicy, HttpReceiver]:
    """How a stage's settings judge strangers' addresses, at submission and at delivery."""
    given = {"STAGE": "test", "PLATFORM_ADDRESS": "http://127.0.0.1:9"}
    policy = service_settings.read({**given, **variables}).address_policy
    return policy, HttpReceiver(policy=policy)


def variables_of(stage: str) -> dict[str, str]:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text("utf-8"))
    variables: dict[str, str] = config["stages"][stage]["environment_variables"]
    return variables


class TestTheSetting:
    """ALLOWED_CALLBACK_NETWORKS, from the environment to the connection."""

    def test_an_allowed_network_is_called(self, inside: Server) -> None:
        """It is allowed both at submission and at delivery."""
        url = f"http://127.0.0.1:{inside.port}/"
        policy, receiver = configured(ALLOWED_CALLBACK_NETWORKS="10.0.0.0/8, 127.0.0.1/32")
        assert why_not_url(url, policy) == []
        assert isinstance(post(receiver, url), Reply)
        assert inside.visits == 1

    @pytest.mark.parametrize("networks", ["", "-", "10.0.0.0/8", "127.0.0.2/32,::1/128"])
    def test_a_network_that_is_not_allowed_is_not_called(
        self, inside: Server, networks: str
    ) -> None:
        """By default no private network is allowed."""
        url = f"http://127.0.0.1:{inside.port}/"
        policy, receiver = configured(ALLOWED_CALLBACK_NETWORKS=networks)
        assert why_not_url(url, policy) == ["127.0.0.1 is a loopback address"]
        assert isinstance(post(receiver, url), NoReply)
        assert inside.visits == 0

    def test_the_local_stage_calls_this_machine(self, inside: Server) -> None:
        """It calls nothing else that is not public."""
        policy, receiver = configured(**variables_of("local"))
        assert isinstance(post(receiver, f"http://127.0.0.1:{inside.port}/"), Reply)
        assert isinstance(post(receiver, f"http://localhost:{inside.port}/"), Reply)
        for host in ("10.0.0.1", "169.254.169.254", "192.168.0.1", "[fd00::1]"):
            assert why_not_url(f"http://{host}/", policy)

    @pytest.mark.parametrize("stage", ["dev", "prod"])
    def test_no_other_stage_calls_this_machine(self, stage: str) -> None:
        """What is convenient on one machine is a security hole in AWS."""
        assert "ALLOWED_CALLBACK_NETWORKS" not in variables_of(stage)


# --- the platform --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def platform_server() -> Iterator[Server]:
    with Server(answering(OK)) as server:
        yield server


@pytest.fixture(scope="module")
def platform(platform_server: Server) -> HttpPlatform:
    return a_platform(f"{platform_server.address}/prefix")


names = (
    st.text(max_size=20)
    | st.text("./?#@:%&=\\;\r\n\t 0aZ_-", max_size=20)
    | st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)
)


class TestThePlatform:
    """The operator sets the platform's address, so the policy does not apply. But no job can change
    it."""

    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(names, names)
    @example("event", "invite\n")
    @example("..", "x")
    @example("event/../../x", "x")
    @example("event?action=x#", "x")
    @example("x@127.0.0.2:80", "x")
    @example("event", "x&action=y")
    @example("event", "x HTTP/1.1\r\nHost: evil")
    @example("\uff45vent", "x")
    @example("event%2f..", "x")
    def test_no_namespace_or_action_changes_host_or_path(
        self,
        platform_server: Server,
        platform: HttpPlatform,
        tried: Tried,
        namespace: str,
        action: str,
    ) -> None:
        """The call goes to the one path that their letters make, or is not made."""
        del tried[:], platform_server.seen[:]
        port = platform_server.port
        reply = call(platform, namespace=namespace, action=action)
        if isinstance(reply, NoReply):
            assert reply.is_final
            assert tried + platform_server.seen == []
            return
        [seen] = platform_server.seen
        assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", namespace + action)
        assert seen.target == f"/prefix/api/1.0/{namespace}?action={action}"
        assert seen.headers["host"] == f"127.0.0.1:{port}"
        assert tried in ([], [("127.0.0.1", port)])  # or none, because a connection is kept
