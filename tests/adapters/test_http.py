"""Calls over real HTTP, to servers on this machine. For hostile servers see
test_hostile_servers.py; for addresses that are not called see test_hostile_addresses.py."""

import errno
import gzip
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import certifi
import pytest

from chalicelib.adapters.calls import MAX_HEAD_BYTES, Stopwatch
from chalicelib.adapters.connections import MAX_AGE_SECONDS
from chalicelib.adapters.http import MAX_RECEIVER_ANSWER_BYTES, HttpReceiver
from chalicelib.adapters.wires import tls_trusting
from chalicelib.domain.account import PlatformAuth, Secret
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.domain.signing import SignedRequest, iws_credentials, iws_verifies
from chalicelib.errors import Misconfigured
from tests.adapters.http_servers import (
    AMPLE,
    CHUNKED,
    NAME,
    OK,
    SHORT,
    Certificates,
    Patience,
    Send,
    Servers,
    Visit,
    a_platform,
    a_receiver,
    answering,
    both_ways,
    call,
    leading_to,
    once,
    over_tls,
    post,
    reading_late,
    say_nothing,
    send_as_platform,
    send_as_receiver,
)
from tests.fakes.clock import START, FakeClock
from tests.samples import DEMO_KEY

# --- what both promise -------------------------------------------------------------------------


@both_ways
def test_an_answer_comes_back_unchanged(servers: Servers, send: Send) -> None:
    """It has its status, body, size and Retry-After."""
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy"
    assert send(servers(answering(answer)), AMPLE) == Reply(
        status=503, body=b"busy", declared_bytes=4, retry_after="120"
    )


@both_ways
def test_a_refused_connection_is_reported_in_words(servers: Servers, send: Send) -> None:
    """This is not final: the server may be restarting."""
    server = servers(say_nothing)
    server.__exit__()
    reply = send(server, AMPLE)
    assert isinstance(reply, NoReply)
    assert reply.reason.startswith("no connection to the ")
    assert reply.reason.endswith(": connection refused")
    assert not reply.is_final


def kinds_of(kind: type[OSError]) -> Iterator[type[OSError]]:
    """The class and all its subclasses that a connection can raise."""
    if kind.__module__ in {"builtins", "http.client", "socket", "ssl"}:
        yield kind
    for each in kind.__subclasses__():
        yield from kinds_of(each)


CLOSED = "the connection was closed before the answer was complete"
NO_TLS = "no TLS connection to the platform: no cipher"
#: The text for each kind of TLS error. Which of them occurs depends on OpenSSL and Python.
SAID_OF_TLS: dict[type[OSError], str] = {
    ssl.SSLCertVerificationError: "the TLS certificate was not accepted: it is old",
    ssl.SSLEOFError: CLOSED,
    ssl.SSLError: NO_TLS,
    ssl.SSLSyscallError: CLOSED,
    ssl.SSLWantReadError: NO_TLS,
    ssl.SSLWantWriteError: NO_TLS,
    ssl.SSLZeroReturnError: CLOSED,
}


def said_of(kind: type[OSError]) -> str:
    """The reason that is given if a call ends with this kind of error."""

    def fail(_host: str, _port: int) -> list[Any]:
        error = kind(errno.EIO, "Input/output error")
        if isinstance(error, ssl.SSLError):
            vars(error).update(reason="NO_CIPHER", verify_message="it is old")
        raise error

    reply = call(a_platform("http://platform.example", resolve=fail))
    assert isinstance(reply, NoReply)
    return reply.reason


@pytest.mark.parametrize("kind", [*kinds_of(ssl.SSLError)])
def test_every_kind_of_tls_error_is_reported_in_words(kind: type[OSError]) -> None:
    """If Python gets a new kind, it needs a text here."""
    assert said_of(kind) == SAID_OF_TLS[kind]


@pytest.mark.parametrize("kind", [*kinds_of(ConnectionError)])
def test_a_closed_connection_is_reported_the_same_way_by_tcp_and_tls(kind: type[OSError]) -> None:
    refused = "no connection to the platform: connection refused"
    assert said_of(kind) == (refused if kind is ConnectionRefusedError else CLOSED)


@pytest.mark.parametrize("kind", [*kinds_of(OSError)])
def test_no_system_error_is_reported_by_its_class(kind: type[OSError]) -> None:
    assert kind.__name__ not in said_of(kind)


@both_ways
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(servers: Servers, send: Send, status: int) -> None:
    """It is an answer like any other, and its target is not called."""
    other = servers(answering(OK))
    location = f"Location: {other.address}/\r\nContent-Length: 0\r\n\r\n"
    server = servers(answering(f"HTTP/1.1 {status} Moved\r\n{location}".encode()))
    reply = send(server, AMPLE)
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert other.visits == 0
    assert server.visits == 1


@both_ways
def test_an_answer_that_just_fits_is_complete(servers: Servers, send: Send) -> None:
    """The limit is the largest size that is read."""
    most = MAX_ANSWER_BYTES if send is send_as_platform else MAX_RECEIVER_ANSWER_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {most}\r\n\r\n".encode()
    reply = send(servers(answering(head + b"x" * most)), AMPLE)
    assert reply == Reply(status=200, body=b"x" * most, declared_bytes=most)


@both_ways
def test_an_answer_may_come_before_the_whole_request_is_read(servers: Servers, send: Send) -> None:
    """A receiver that is gone for good answers immediately and closes."""

    def behave(visit: Visit) -> None:
        visit.connection.recv(1)
        visit.send(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")

    server = servers(behave)
    body = b"x" * 30_000_000
    if send is send_as_platform:
        reply = call(a_platform(server.address), body)
    else:
        reply = post(a_receiver(), f"http://{NAME}:{server.port}/", body=body)
    assert reply == Reply(status=410, declared_bytes=0)


@pytest.mark.parametrize("has_tls", [False, True], ids=["http", "https"])
def test_an_announcement_does_not_end_an_upload(
    servers: Servers, certificates: Certificates, has_tls: bool
) -> None:
    """A server may send 100 or 103 any number of times, and then read on."""

    def behave(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n")
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%8d" % visit.pass_over())

    server = servers(behave, tls=certificates.server() if has_tls else None)
    receiver = a_receiver(certificates=str(certificates.authority))
    url = f"{'https' if has_tls else 'http'}://{NAME}:{server.port}/"
    reply = post(receiver, url, body=b"x" * 20_000_000)
    assert reply == Reply(status=200, body=b"20000000", declared_bytes=8)


@both_ways
@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_headers_may_have_300_kb(servers: Servers, send: Send, more: int, fits: bool) -> None:
    """The limit is exact. It covers all lines together, including announcements."""
    before = b"HTTP/1.1 100 Continue\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 10_000 + b"Content-Length: 2\r\nX: "
    padding = b"x" * (MAX_HEAD_BYTES + more - len(before + head) - 4)
    reply = send(servers(answering(before + head + padding + b"\r\n\r\n{}")), AMPLE)
    assert isinstance(reply, Reply) is fits


@both_ways
def test_nothing_is_taken_from_the_environment(
    servers: Servers, send: Send, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No proxy sees the call, and no password is sent."""
    proxy = servers(answering(OK))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login a password b\nmachine {NAME} login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = servers(answering(OK))
    assert isinstance(send(server, AMPLE), Reply)
    assert proxy.visits == 0
    assert "authorization" not in server.seen[0].headers


@both_ways
def test_a_name_that_does_not_resolve_may_resolve_later(servers: Servers, send: Send) -> None:
    """This is not final, and nobody is called."""

    def fail(_host: str, _port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    server = servers(answering(OK))
    if send is send_as_platform:
        reply = call(a_platform(server.address, resolve=fail))
    else:
        reply = post(a_receiver(resolve=fail), f"http://{NAME}:{server.port}/")
    assert isinstance(reply, NoReply)
    assert reply.reason.endswith(" does not resolve")
    assert not reply.is_final
    assert server.visits == 0


def test_a_name_without_addresses_gives_no_connection() -> None:
    """A resolver may succeed and return nothing."""
    reply = post(a_receiver(resolve=leading_to()), f"http://{NAME}/")
    assert reply == NoReply(reason="no connection to the receiver: there is no address")


def test_a_slow_name_server_does_not_outlast_the_deadline() -> None:
    """Looking up a name counts towards the deadline."""
    release = Event()

    def dawdle(_host: str, _port: int) -> list[Any]:
        release.wait(10)
        return []

    reply = post(a_receiver(resolve=dawdle), f"http://{NAME}/", seconds=SHORT)
    release.set()
    assert reply == NoReply(reason=f"no answer within {SHORT:g} seconds")


def test_nothing_is_called_if_no_thread_is_left(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call may succeed later, so this must not fail the worker."""
    server = servers(answering(OK))
    platform = a_platform(server.address)

    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.adapters.calls.Thread.start", fail)
        reason = "no connection to the platform: no thread could be started to look up its name"
        assert call(platform) == NoReply(reason=reason)
    assert isinstance(call(platform), Reply)


def test_no_call_is_made_if_no_time_is_left(servers: Servers) -> None:
    """A worker may have used up its time before it gets here."""
    server = servers(answering(OK))
    reply = post(a_receiver(), f"http://{NAME}:{server.port}/", seconds=-1)
    assert isinstance(reply, NoReply)
    assert server.visits == 0


# --- TLS ---------------------------------------------------------------------------------------


class TestTls:
    def test_the_server_is_asked_for_the_name(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """The connection goes to an address, but Host and SNI contain the name."""
        asked_for: list[str] = []
        tls = certificates.server()
        tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)
        server = servers(answering(OK), tls=tls)
        assert isinstance(over_tls(certificates, server), Reply)
        assert asked_for == [NAME]
        assert server.seen[0].headers["host"] == f"{NAME}:{server.port}"

    def test_a_platform_is_called_over_tls(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """All calls share one connection and one handshake."""
        server = servers(answering(OK), tls=certificates.server())
        platform = a_platform(
            f"https://{NAME}:{server.port}",
            certificates=str(certificates.authority),
            resolve=leading_to("127.0.0.1"),
        )
        assert [type(call(platform)) for _ in range(3)] == [Reply] * 3
        assert server.visits == 1

    def test_an_authority_from_the_environment_is_not_trusted(
        self, servers: Servers, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the variables of HTTP libraries nor those of OpenSSL count."""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(certificates.authority))
        server = servers(answering(OK), tls=certificates.server())
        reply = post(a_receiver(), f"https://{NAME}:{server.port}/")
        assert isinstance(reply, NoReply)
        assert "was not accepted" in reply.reason
        assert server.seen == []

    def test_only_the_pinned_authorities_are_trusted(self) -> None:
        """They are exactly those of certifi, on any machine."""
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.load_verify_locations(certifi.where())
        ours = tls_trusting(None)
        assert {*ours.get_ca_certs(binary_form=True)} == {*theirs.get_ca_certs(binary_form=True)}
        assert len(ours.get_ca_certs()) > 100
        assert ours.verify_mode is ssl.CERT_REQUIRED
        assert ours.check_hostname

    def test_no_server_chooses_the_parameters_of_a_handshake(self) -> None:
        """They could be of any length, so keys are exchanged only over named groups."""
        agreed_by = {cipher["kea"] for cipher in tls_trusting(None).get_ciphers()}
        assert agreed_by == {"kx-any", "kx-ecdhe"}  # TLS 1.3, and TLS 1.2

    def test_an_address_needs_its_own_certificate(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """A name's certificate is not accepted."""
        server = servers(answering(OK), tls=certificates.server())
        receiver = a_receiver(certificates=str(certificates.authority))
        reply = post(receiver, f"https://127.0.0.1:{server.port}/")
        assert isinstance(reply, NoReply)
        assert "IP address mismatch" in reply.reason


# --- the platform ------------------------------------------------------------------------------


class TestPlatform:
    def test_a_call_is_signed_as_it_is_sent(self, servers: Servers) -> None:
        """Path and query are those on the wire, including a prefix of the platform's address."""
        server = servers(answering(OK))
        platform = a_platform(f"{server.address}/a%20prefix/", auth=PlatformAuth.IWS)
        assert isinstance(call(platform, b'{"event": 1}'), Reply)
        [seen] = server.seen
        assert seen.target == "/a%20prefix/api/1.0/event?action=inviteContacts"
        assert seen.body == b'{"event": 1}'
        assert seen.headers["idempotency-key"] == "b1-0"
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["ivvy-date"] == f"{START:%Y-%m-%d %H:%M:%S} UTC"
        credentials = iws_credentials(seen.headers["x-api-authorization"])
        assert credentials
        assert credentials[0] == "demo"
        signed = SignedRequest(headers=seen.headers, targets=[seen.target], body=seen.body)
        assert iws_verifies(signed, "demo-secret", credentials[1])
        assert "traceparent" not in seen.headers

    def test_a_call_of_a_traced_batch_carries_its_trace(self, servers: Servers) -> None:
        server = servers(answering(OK))
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        call(a_platform(server.address), traceparent=traceparent)
        [seen] = server.seen
        assert seen.headers["traceparent"] == traceparent

    def test_the_first_live_secret_signs(self, servers: Servers) -> None:
        """An expired one does not, even if it is the newest."""
        server = servers(answering(OK))
        secrets = (Secret(value="old", expires_at=START), Secret(value="live"))
        platform = a_platform(server.address, auth=PlatformAuth.IWS)
        call(platform, key=replace(DEMO_KEY, secrets=secrets))
        [seen] = server.seen
        signed = SignedRequest(headers=seen.headers, targets=[seen.target], body=seen.body)
        assert iws_verifies(signed, "live", seen.headers["x-api-authorization"][-40:])

    def test_a_key_without_a_live_secret_makes_no_call(self, servers: Servers) -> None:
        """Retrying would not help."""
        server = servers(answering(OK))
        platform = a_platform(server.address, auth=PlatformAuth.IWS)
        secrets = (Secret(value="old", expires_at=START),)
        reply = call(platform, key=replace(DEMO_KEY, secrets=secrets))
        assert reply == NoReply(reason="the key has no secret to sign with", is_final=True)
        assert server.visits == 0

    def test_a_fixed_header_is_sent_instead(self, servers: Servers) -> None:
        """With PLATFORM_AUTH header nothing is signed."""
        server = servers(answering(OK))
        header = ("X-Api-Key", "fixed")
        platform = a_platform(server.address, auth=PlatformAuth.HEADER, header=lambda: header)
        platform.prepare()
        call(platform)
        assert server.seen[0].headers["x-api-key"] == "fixed"
        assert "x-api-authorization" not in server.seen[0].headers

    @pytest.mark.parametrize("name", ["..", "a/b", "a?b", "a#b", "//evil.example", "", "é", "a\n"])
    def test_a_name_cannot_change_where_the_call_goes(self, servers: Servers, name: str) -> None:
        """Submission checks names; one that slips through is not sent."""
        server = servers(answering(OK))
        platform = a_platform(server.address)
        for reply in (call(platform, namespace=name), call(platform, action=name)):
            assert isinstance(reply, NoReply)
            assert reply.is_final
        assert server.visits == 0

    def test_a_secret_that_no_header_can_contain_raises_nothing(self, servers: Servers) -> None:
        """It is not shown either."""
        server = servers(answering(OK))
        header = ("X-Api-Key", "fixed\r\nX-Evil: 1")
        platform = a_platform(server.address, auth=PlatformAuth.HEADER, header=lambda: header)
        platform.prepare()
        reply = call(platform)
        assert reply == NoReply(reason="no answer from the platform: ValueError")

    def test_its_address_is_called_in_plain_ascii(self, servers: Servers) -> None:
        """Existing encodings stay, and what is signed is what is sent."""
        asked: list[tuple[str, int]] = []

        def resolve(host: str, port: int) -> list[Any]:
            asked.append((host, port))
            return [ipaddress.ip_address("127.0.0.1")]

        server = servers(answering(OK))
        address = f"http://Bücher.example:{server.port}/ein präfix/%2f"
        platform = a_platform(address, auth=PlatformAuth.IWS, resolve=resolve)
        assert isinstance(call(platform), Reply)
        assert asked == [("xn--bcher-kva.example", server.port)]
        [seen] = server.seen
        assert seen.headers["host"] == f"xn--bcher-kva.example:{server.port}"
        path = "/ein%20pr%C3%A4fix/%2f/api/1.0/event?action=inviteContacts"
        assert seen.target == path
        signed = SignedRequest(headers=seen.headers, targets=[path], body=seen.body)
        assert iws_verifies(signed, "demo-secret", seen.headers["x-api-authorization"][-40:])

    @pytest.mark.parametrize(
        ("address", "asked"),
        [
            ("http://platform.example", ("platform.example", 80)),
            ("https://platform.example/", ("platform.example", 443)),
            ("https://[2606:4700:4700::1111]:8443/a", ("2606:4700:4700::1111", 8443)),
        ],
    )
    def test_a_missing_port_is_the_schemes_default(
        self, address: str, asked: tuple[str, int]
    ) -> None:
        """An address in brackets is looked up without them."""
        found: list[tuple[str, int]] = []

        def resolve(host: str, port: int) -> list[Any]:
            found.append((host, port))
            return []

        reply = call(a_platform(address, resolve=resolve))
        assert reply == NoReply(reason="no connection to the platform: there is no address")
        assert found == [asked]

    @pytest.mark.parametrize("address", ["http://[", "ftp://a", "http://a..b/", "http://a:x/"])
    def test_an_invalid_platform_address_is_a_misconfiguration(self, address: str) -> None:
        """It is found when the service starts."""
        with pytest.raises(Misconfigured, match="PLATFORM_ADDRESS"):
            a_platform(address)

    def test_a_connection_is_used_again(self, servers: Servers) -> None:
        """This holds after every kind of answer that was read to its end."""
        empty = b"HTTP/1.1 204 No Content\r\n\r\n"
        server = servers(answering(OK))
        platform = a_platform(server.address)
        assert [type(call(platform)) for _ in range(5)] == [Reply] * 5
        assert server.visits == 1
        for answer in (empty, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"):
            server = servers(answering(answer))
            platform = a_platform(server.address)
            assert [type(call(platform)) for _ in range(5)] == [Reply] * 5
            assert server.visits == 1

    def test_a_kept_connection_has_the_deadline_of_the_current_call(self, servers: Servers) -> None:
        """The deadline of the previous call does not count. Sending must be in time, as on a new
        connection."""
        may_read, patience = Event(), Patience()
        server = servers(reading_late(may_read, answered_before=2))
        platform = a_platform(server.address, stopwatch=patience)
        assert isinstance(call(platform), Reply)
        patience.skipped += AMPLE
        assert isinstance(call(platform), Reply)
        patience.is_over = True
        reply = call(platform, b"x" * 30_000_000)
        may_read.set()
        assert reply == NoReply(reason=f"no answer within {AMPLE:g} seconds")
        assert server.visits == 1

    def test_a_connection_closed_meanwhile_causes_no_failure(self, servers: Servers) -> None:
        """This is noticed before anything is sent on it."""
        server = servers(once(OK))
        platform = a_platform(server.address)
        for visit in range(1, 4):
            assert isinstance(call(platform), Reply)
            assert server.saw_the_end.wait(AMPLE)
            server.saw_the_end.clear()
            assert server.visits == visit

    def test_a_connection_has_a_maximum_age(self, servers: Servers) -> None:
        """A network may silently drop old connections, and a container may be frozen."""
        server = servers(answering(OK))
        clock = FakeClock()
        platform = a_platform(server.address, clock=clock)
        for visits, passed in ((1, 0.0), (1, MAX_AGE_SECONDS - 1), (2, 1), (3, -3_600), (3, 0)):
            clock.advance(seconds=passed)
            assert isinstance(call(platform), Reply)
            assert server.visits == visits
        assert MAX_AGE_SECONDS < 350 / 2

    @pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
    def test_a_kept_connection_that_dies_unanswered_is_replaced_in_the_same_call(
        self, servers: Servers, is_reset: bool
    ) -> None:
        """The call is sent again; its Idempotency-Key makes sure that the job runs once."""

        def behave(visit: Visit) -> None:
            visit.read()
            visit.send(OK)
            visit.read()
            if is_reset:
                visit.reset()

        server = servers(behave)
        platform = a_platform(server.address)
        assert [type(call(platform)) for _ in range(4)] == [Reply] * 4
        assert server.visits == 4
        assert {seen.headers["idempotency-key"] for seen in server.seen} == {"b1-0"}

    def test_a_kept_connection_that_dies_in_its_answer_is_not_replaced(
        self, servers: Servers
    ) -> None:
        """In that case the platform has already run the job."""

        def behave(visit: Visit) -> None:
            visit.read()
            visit.send(OK)
            visit.read()
            visit.send(b"HTTP/1.1 200")

        server = servers(behave)
        platform = a_platform(server.address)
        assert isinstance(call(platform), Reply)
        assert call(platform) == NoReply(reason=CLOSED)
        assert server.visits == 1

    def test_a_new_connection_that_dies_is_not_replaced(self, servers: Servers) -> None:
        """A platform that accepts connections and drops them is called once per attempt."""
        server = servers(once(b""))
        assert call(a_platform(server.address)) == NoReply(reason=CLOSED)
        assert server.visits == 1

    def test_after_a_silent_death_no_other_kept_connection_is_used(self, servers: Servers) -> None:
        """A network that drops one connection drops all of them: one attempt is lost, not five."""
        all_there = Barrier(4)

        def behave(visit: Visit) -> None:
            visit.read()
            if visit.server.visits <= 4:
                all_there.wait(AMPLE)
            visit.send(OK)
            visit.wait()

        server, patience = servers(behave), Patience()
        platform = a_platform(server.address, stopwatch=patience, timeout_seconds=5)
        with ThreadPoolExecutor(4) as threads:
            replies = [*threads.map(lambda _: call(platform), range(4))]
        assert [type(reply) for reply in replies] == [Reply] * 4
        patience.is_over = True
        assert isinstance(call(platform), NoReply)
        patience.is_over = False
        assert isinstance(call(platform), Reply)
        assert server.visits == 5

    def test_accounts_never_share_a_connection(self, servers: Servers) -> None:
        """A late answer would be taken for that of a later call on the same connection, because
        HTTP/1.1 cannot distinguish them. So it must at least belong to the same caller."""
        late = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
        other = replace(DEMO_KEY, key="other", account="other")

        def behave(visit: Visit) -> None:
            visit.send(late + visit.read().body)
            visit.read()
            visit.send(late + b'"stale"')
            visit.wait()

        server = servers(behave)
        platform = a_platform(server.address)
        for key in (DEMO_KEY, other, DEMO_KEY):
            reply = call(platform, b'"fresh"', key=key)
            assert isinstance(reply, Reply)
            assert reply.body == b'"fresh"'
        assert server.visits == 3

    def test_data_after_an_answer_is_not_taken_for_the_next_one(self, servers: Servers) -> None:
        """If a server sends more than it announced, the next call gets a new connection."""
        server = servers(answering(OK + b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"))
        platform = a_platform(server.address)
        for _ in range(3):
            reply = call(platform)
            assert isinstance(reply, Reply)
            assert reply.status == 200
        assert server.visits == 3

    def test_data_after_an_answer_over_tls_is_not_taken_for_the_next_one(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """There it may wait, already decrypted, in the connection's buffer."""
        more = b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"
        padded = OK + b" " * (8_192 - len(OK)) + more
        server = servers(answering(padded), tls=certificates.server())
        platform = a_platform(
            f"https://{NAME}:{server.port}",
            certificates=str(certificates.authority),
            resolve=leading_to("127.0.0.1"),
        )
        replies = [call(platform) for _ in range(3)]
        assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200] * 3
        assert server.visits == 3

    def test_cookies_are_not_sent_back(self, servers: Servers) -> None:
        """One caller's session is never another's."""
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n"
        server = servers(answering(cookie))
        platform = a_platform(server.address)
        call(platform)
        call(platform)
        assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]

    def test_a_compressed_answer_is_unpacked(self, servers: Servers) -> None:
        """Its size is that of the unpacked answer, which the header does not say."""
        packed = gzip.compress(b'{"a": 1}')
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
        server = servers(answering(b"HTTP/1.1 200 OK\r\n" + head + packed))
        assert call(a_platform(server.address)) == Reply(status=200, body=b'{"a": 1}')
        assert server.seen[0].headers["accept-encoding"] == "gzip"

    def test_many_threads_each_get_their_own_answer(self, servers: Servers) -> None:
        """25 calls run concurrently, over no more than 25 connections."""

        def echo(visit: Visit) -> None:
            while True:
                body = visit.read().body
                time.sleep(0.01)
                visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        server = servers(echo)
        platform = a_platform(server.address)
        bodies = [b'{"job": %d}' % number for number in range(250)]
        with ThreadPoolExecutor(25) as threads:
            replies = [*threads.map(lambda body: call(platform, body), bodies)]
        assert replies == [Reply(status=200, body=b, declared_bytes=len(b)) for b in bodies]
        assert server.visits <= 25

    def test_one_slow_call_does_not_shorten_another(self, servers: Servers) -> None:
        """Each thread has its own deadline on the shared connections."""

        def behave(visit: Visit) -> None:
            while True:
                if visit.read().body == b'"slow"':
                    visit.wait()
                visit.send(OK)

        server = servers(behave)
        patient = a_platform(server.address)
        hasty = a_platform(server.address, timeout_seconds=SHORT)
        with ThreadPoolExecutor(8) as threads:
            slow = [threads.submit(call, hasty, b'"slow"') for _ in range(4)]
            fast = [threads.submit(call, patient) for _ in range(20)]
            assert all(isinstance(reply.result(), NoReply) for reply in slow)
            assert all(isinstance(reply.result(), Reply) for reply in fast)


# --- receivers ---------------------------------------------------------------------------------


class TestReceiver:
    def test_a_callback_arrives_as_it_was_signed(self, servers: Servers) -> None:
        """Headers and body arrive, and nothing is added that could change them on the way."""
        server = servers(answering(OK))
        url = f"http://{NAME}:{server.port}/hook/é?token=a%2Fb"
        reply = post(a_receiver(), url, body=b'{"asyncId": "b1"}')
        assert isinstance(reply, Reply)
        [seen] = server.seen
        assert seen.target == "/hook/%C3%A9?token=a%2Fb"
        assert seen.body == b'{"asyncId": "b1"}'
        assert seen.headers == {
            "host": f"{NAME}:{server.port}",
            "content-type": "application/json",
            "content-length": "17",
            "webhook-id": "b1-1",
            "user-agent": "batchback",
            "accept-encoding": "identity",
            "connection": "close",
        }

    def test_private_headers_are_sent_but_replace_none_of_ours(self, servers: Servers) -> None:
        server = servers(answering(OK))
        private = {"Authorization": "Bearer canary", "X-Tenant": "7"}
        ours = ["Content-Type", "WEBHOOK-ID", "user-agent", "Accept-encoding", "CONNECTION"]
        of_every_request = ["host", "Content-Length", "Transfer-Encoding"]
        others = dict.fromkeys([*ours, *of_every_request], "theirs")
        url = f"http://{NAME}:{server.port}/"
        assert isinstance(post(a_receiver(), url, private={**private, **others}), Reply)
        assert isinstance(post(a_receiver(), url), Reply)
        with_private, without = (seen.headers for seen in server.seen)
        assert with_private == {**without, "authorization": "Bearer canary", "x-tenant": "7"}

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_private_headers_go_over_http_only_to_an_allowed_network(
        self,
        servers: Servers,
        certificates: Certificates,
        monkeypatch: pytest.MonkeyPatch,
        scheme: str,
    ) -> None:
        """The result at submission does not matter. This machine counts as public here."""
        monkeypatch.setattr("chalicelib.adapters.http.why_not_address", lambda *_: None)
        is_secret = scheme == "https"
        server = servers(answering(OK), tls=certificates.server() if is_secret else None)
        receiver = a_receiver(
            policy=AddressPolicy(), certificates=str(certificates.authority) if is_secret else None
        )
        url = f"{scheme}://{NAME}:{server.port}/"
        assert isinstance(post(receiver, url), Reply)
        reply = post(receiver, url, private={"Authorization": "Bearer canary"})
        assert len(server.seen) == (2 if is_secret else 1)
        if not is_secret:
            assert isinstance(reply, NoReply)
            assert reply.is_final
            assert reply.reason.startswith("callbackHeaders are sent over https only")

    def test_private_headers_are_not_sent_if_one_address_is_on_no_allowed_network(
        self, servers: Servers
    ) -> None:
        server = servers(answering(OK))
        url = f"http://{NAME}:{server.port}/"
        private = {"Authorization": "Bearer canary"}
        assert isinstance(post(a_receiver("127.0.0.1", "8.8.8.8"), url, private=private), NoReply)
        assert server.visits == 0

    def test_a_body_in_blocks_arrives_as_one(self, servers: Servers) -> None:
        """It has its length, so that the receiver knows what is coming, and no chunks."""
        server = servers(answering(OK))
        blocks = [b'{"asyncId":"', b"b1" * 100_000, b"", b'"}']
        reply = a_receiver().post(
            f"http://{NAME}:{server.port}/",
            headers={},
            private_headers={},
            body=blocks,
            timeout_seconds=AMPLE,
        )
        assert isinstance(reply, Reply)
        [seen] = server.seen
        assert seen.body == b"".join(blocks)
        assert seen.headers["content-length"] == "200014"
        assert "transfer-encoding" not in seen.headers

    def test_the_compression_of_its_answer_is_ignored(self, servers: Servers) -> None:
        """A receiver that took the callback is not called again because its body is broken."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
        server = servers(once(head + b"nope"))
        reply = post(a_receiver(), f"http://{NAME}:{server.port}/")
        assert reply == Reply(status=200, body=b"nope")

    def test_receivers_share_nothing(self, servers: Servers) -> None:
        """Each delivery has its own connection, and no cookie is kept."""
        server = servers(answering(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")))
        receiver = a_receiver()
        for _ in range(2):
            assert isinstance(post(receiver, f"http://{NAME}:{server.port}/"), Reply)
        assert server.visits == 2
        assert server.seen[1].headers.get("cookie") is None

    def test_a_receiver_is_told_that_the_connection_closes(self, servers: Servers) -> None:
        """So it need not keep a connection for a client that calls rarely."""
        server = servers(answering(OK))
        post(a_receiver(), f"http://{NAME}:{server.port}/")
        assert server.seen[0].headers["connection"] == "close"

    @pytest.mark.parametrize("addresses", [("127.0.0.3", "127.0.0.1"), ("127.0.0.1", "127.0.0.3")])
    def test_a_dead_address_does_not_hide_a_live_one(
        self, servers: Servers, addresses: tuple[str, ...]
    ) -> None:
        """All addresses are judged, then they are tried in order."""
        server = servers(answering(OK))
        policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
        receiver = a_receiver(*addresses, policy=policy)
        assert isinstance(post(receiver, f"http://{NAME}:{server.port}/"), Reply)

    @pytest.mark.parametrize("silent", [0, 1, 2])
    def test_silent_addresses_leave_a_live_one_its_share_of_the_time(
        self, servers: Servers, silent: int
    ) -> None:
        """Each gets an equal share of the time left."""
        server = servers(answering(OK))
        policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
        stopwatch = SilentAtFirst(silent)
        addresses = ("127.0.0.3", "127.0.0.4", "127.0.0.1")[2 - silent :]
        receiver = a_receiver(*addresses, policy=policy, stopwatch=stopwatch)
        assert isinstance(post(receiver, f"http://{NAME}:{server.port}/", seconds=30), Reply)
        assert stopwatch.now() == pytest.approx(30 * silent / (silent + 1))

    def test_silent_addresses_together_take_the_time_of_one(self) -> None:
        policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
        stopwatch = SilentAtFirst(9)
        receiver = a_receiver("127.0.0.3", "127.0.0.4", policy=policy, stopwatch=stopwatch)
        reply = post(receiver, f"http://{NAME}:9009/", seconds=30)
        assert isinstance(reply, NoReply)
        assert stopwatch.now() == pytest.approx(30)

    def test_the_systems_own_resolver_is_used(self, servers: Servers) -> None:
        """It finds `localhost`, which a deployment may allow."""
        server = servers(answering(OK))
        networks = ("127.0.0.0/8", "::1/128")
        policy = AddressPolicy(allowed_networks=tuple(map(ipaddress.ip_network, networks)))
        receiver = HttpReceiver(policy=policy)
        assert isinstance(post(receiver, f"http://localhost:{server.port}/"), Reply)
        assert server.seen[0].headers["host"] == f"localhost:{server.port}"

    def test_no_reason_shows_any_part_of_the_address(self, servers: Servers) -> None:
        """A callback's address may contain a token."""
        for answer in (b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"):
            reply = send_as_receiver(servers(once(answer)), AMPLE)
            assert isinstance(reply, NoReply)
            assert "secret" not in reply.reason


class SilentAtFirst(Stopwatch):
    """Time that passes only while nothing happens, and nothing happens in the first waits."""

    def __init__(self, waits: int) -> None:
        self._silent_waits = waits
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wait(self, connection: socket.socket, events: int, seconds: float) -> int:
        if not self._silent_waits:
            return super().wait(connection, events, seconds)
        self._silent_waits -= 1
        self._now += seconds
        return 0
