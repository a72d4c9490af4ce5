"""Calls over real HTTP, against servers on this machine that answer as badly as servers can."""

import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.adapters.http import MAX_RECEIVER_ANSWER_BYTES, HttpPlatform, HttpReceiver
from chalicelib.domain.account import PlatformAuth, Secret
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.domain.signing import SignedRequest, iws_credentials, iws_verifies
from chalicelib.errors import Misconfigured
from tests.fakes.clock import START, FakeClock
from tests.samples import DEMO_KEY

#: Long enough for a whole answer on a slow machine, where one is expected.
AMPLE = 20.0
#: Short, where none is.
SHORT = 0.2
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HERE = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.1/32"),))
NAME = "receiver.example"


# --- the servers -------------------------------------------------------------------------------


@dataclass
class Visit:
    """A connection to a server, as its behaviour sees it."""

    connection: socket.socket
    server: "Server"

    def read(self) -> "Seen":
        """One whole request; an OSError where the other side is gone."""
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            head += self._receive()
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += self._receive()
        seen = Seen(target=first.split(" ")[1], headers=headers, body=body)
        self.server.seen.append(seen)
        return seen

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """For ever, a little at a time."""
        while not self.server.stopped.wait(0.02):
            self.send(data)

    def flood(self, data: bytes) -> None:
        """For ever, as fast as it is taken."""
        while not self.server.stopped.is_set():
            self.send(data)

    def reset(self) -> None:
        """The connection ends the hard way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait(self) -> None:
        """Says nothing until the other side goes."""
        while self.connection.recv(65_536):
            pass

    def _receive(self) -> bytes:
        data = self.connection.recv(65_536)
        if not data:
            raise ConnectionResetError
        return data


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    target: str
    headers: dict[str, str]
    body: bytes


Behave = Callable[[Visit], None]


@dataclass
class Server:
    """Gives each connection to `behave`, in a thread. Whatever ends it, it sees it."""

    behave: Behave
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    visits: int = 0
    seen: list[Seen] = field(default_factory=list)
    saw_the_end: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def __enter__(self) -> "Server":
        self._listening = socket.create_server((self.host, self.port), backlog=64)
        self.port = self._listening.getsockname()[1]
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.visits += 1
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(10)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is None:
                self.behave(Visit(connection, self))
            else:
                with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                    self.behave(Visit(wrapped, self))
        self.saw_the_end.set()


def answering(*answers: bytes) -> Behave:
    """Each request gets all of it, and the connection stays open."""

    def behave(visit: Visit) -> None:
        while True:
            visit.read()
            for answer in answers:
                visit.send(answer)

    return behave


def once(answer: bytes) -> Behave:
    """One answer, and the connection ends."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(answer)

    return behave


@pytest.fixture
def servers() -> Iterator[Callable[..., Server]]:
    with ExitStack() as running:
        yield lambda behave, **options: running.enter_context(Server(behave, **options))


Servers = Callable[..., Server]


# --- the certificates --------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and what a server needs to prove a name with it."""

    authority: Path
    folder: Path
    key: ec.EllipticCurvePrivateKey
    issuer: x509.Certificate

    def server(self, name: str = NAME, *, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, self.issuer.subject, self.key, days=days)
        path = self.folder / f"{name}{days}.pem"
        path.write_bytes(_pem(certificate) + _pem_of_key(key))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(path)
        return tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("An authority for tests")
    issuer = _certificate("An authority for tests", key, subject, key, is_authority=True)
    (folder / "authority.pem").write_bytes(_pem(issuer))
    return Certificates(folder / "authority.pem", folder, key, issuer)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    days: int = 1,
    is_authority: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        subject_name=_name(name),
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - dt.timedelta(days=9),
        not_valid_after=now + dt.timedelta(days=days),
    ).add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


# --- the callers -------------------------------------------------------------------------------


def a_platform(address: str, **options: Any) -> HttpPlatform:
    given: dict[str, Any] = {
        "address": address,
        "auth": PlatformAuth.NONE,
        "header": None,
        "timeout_seconds": AMPLE,
        "clock": FakeClock(),
        "connections": 25,
    }
    return HttpPlatform(**{**given, **options})


def call(platform: HttpPlatform, body: bytes = b"{}", **options: Any) -> Reply | NoReply:
    given: dict[str, Any] = {
        "namespace": "event",
        "action": "inviteContacts",
        "body": body,
        "idempotency_key": "b1-0",
        "key": DEMO_KEY,
    }
    return platform.call(**{**given, **options})


def leading_to(*addresses: str) -> Callable[[str, int], Sequence[Any]]:
    return lambda _host, _port: [ipaddress.ip_address(address) for address in addresses]


def a_receiver(*addresses: str, policy: AddressPolicy = HERE, **options: Any) -> HttpReceiver:
    resolve = leading_to(*(addresses or ["127.0.0.1"]))
    return HttpReceiver(**{"policy": policy, "resolve": resolve, **options})


def post(
    receiver: HttpReceiver, url: str, *, body: bytes = b"{}", seconds: float = AMPLE
) -> Reply | NoReply:
    return receiver.post(
        url,
        headers={"Content-Type": "application/json", "webhook-id": "b1-1"},
        body=body,
        timeout_seconds=seconds,
    )


Send = Callable[[Server, float], Reply | NoReply]


def send_as_platform(server: Server, seconds: float) -> Reply | NoReply:
    return call(a_platform(server.address, timeout_seconds=seconds))


def send_as_receiver(server: Server, seconds: float) -> Reply | NoReply:
    return post(a_receiver(), f"http://{NAME}:{server.port}/hook?token=secret", seconds=seconds)


both_ways = pytest.mark.parametrize("send", [send_as_platform, send_as_receiver])


# --- what both promise -------------------------------------------------------------------------


@both_ways
def test_an_answer_comes_back_as_it_is(servers: Servers, send: Send) -> None:
    """Status, body, its size, and when to come again."""
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy"
    assert send(servers(answering(answer)), AMPLE) == Reply(
        status=503, body=b"busy", declared_bytes=4, retry_after="120"
    )


def drip_headers(visit: Visit) -> None:
    visit.read()
    visit.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    visit.drip(b"x")


def drip_body(visit: Visit) -> None:
    visit.read()
    visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    visit.drip(b"x")


def drip_chunks(visit: Visit) -> None:
    visit.read()
    visit.send(CHUNKED)
    visit.drip(b"1\r\nx\r\n")


def drip_trailers(visit: Visit) -> None:
    visit.read()
    visit.send(CHUNKED + b"0\r\n")
    visit.drip(b"X-Trailer: x\r\n")


def continue_for_ever(visit: Visit) -> None:
    visit.read()
    visit.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def say_nothing(visit: Visit) -> None:
    visit.wait()


@both_ways
@pytest.mark.parametrize(
    "behave",
    [drip_headers, drip_body, drip_chunks, drip_trailers, continue_for_ever, say_nothing],
)
def test_no_slowness_outlasts_the_deadline(servers: Servers, send: Send, behave: Behave) -> None:
    """Every single read is in time, and the whole is not: the caller goes."""
    server = servers(behave)
    assert send(server, SHORT) == NoReply(reason="no answer within 0.2 seconds")
    assert server.saw_the_end.wait(10)


def reading_late(may_read: Event, answered_before: int = 0) -> Behave:
    """Reads, after some requests that are answered, nothing until it may. A caller who waits for
    that fails the test: an error in a thread is one."""

    def behave(visit: Visit) -> None:
        for _ in range(answered_before):
            visit.read()
            visit.send(OK)
        if not may_read.wait(20):
            raise AssertionError("the caller did not give up")
        visit.wait()

    return behave


@both_ways
def test_a_slow_reader_does_not_outlast_the_deadline(servers: Servers, send: Send) -> None:
    """Sending has to be in time too."""
    may_read = Event()
    server = servers(reading_late(may_read))
    body = b"x" * 30_000_000
    if send is send_as_platform:
        reply = call(a_platform(server.address, timeout_seconds=SHORT), body)
    else:
        reply = post(a_receiver(), f"http://{NAME}:{server.port}/", body=body, seconds=SHORT)
    assert reply == NoReply(reason="no answer within 0.2 seconds")
    may_read.set()
    assert server.saw_the_end.wait(10)
    assert server.seen == []


@both_ways
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the connection was closed before the answer was complete"),
        (b"\x00\x01\x02\r\n\r\n", "the answer is not HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200_000 + b"\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{}", "the answer broke off"),
        (CHUNKED + b"5\r\nabc", "the answer broke off"),
        (CHUNKED + b"zz\r\nabc\r\n", "the answer broke off"),
    ],
    ids=["none", "binary", "ssh", "status", "header", "headers", "length", "chunk", "chunk size"],
)
def test_what_is_no_answer_is_said_in_words(
    servers: Servers, send: Send, answer: bytes, reason: str
) -> None:
    """It is called nothing else, and it is tried once only."""
    server = servers(once(answer))
    assert send(server, AMPLE) == NoReply(reason=reason)
    assert server.visits == 1
    assert server.saw_the_end.wait(10)


@both_ways
def test_a_reset_is_said_in_words(servers: Servers, send: Send) -> None:
    """It is not final: it may have been an accident."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.reset()

    assert send(servers(behave), AMPLE) == NoReply(
        reason="the connection was closed before the answer was complete"
    )


@both_ways
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: abc\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Set-Cookie: a=b; expires=Nonsense; max-age=x; domain=; path\r\n" * 20,
        b": nameless\r\nno colon at all\r\n",
        b"X: \xff\xfe\r\n",
        b"Location: http://[::1\r\n",
        b"Retry-After: \xe2\x82\xac\r\n",
    ],
)
def test_nonsense_in_headers_raises_nothing(servers: Servers, send: Send, headers: bytes) -> None:
    """There is an answer or a reason."""
    server = servers(once(b"HTTP/1.1 302 Found\r\n" + headers + b"\r\n{}"))
    reply = send(server, AMPLE)
    assert isinstance(reply, Reply | NoReply)
    assert "secret" not in repr(reply)


@both_ways
def test_a_refused_connection_is_said_in_words(servers: Servers, send: Send) -> None:
    """It is not final: they may be restarting."""
    server = servers(say_nothing)
    server.__exit__()
    reply = send(server, AMPLE)
    assert isinstance(reply, NoReply)
    assert reply.reason.startswith("no connection to the ")
    assert reply.reason.endswith(": connection refused")
    assert not reply.is_final


@both_ways
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(servers: Servers, send: Send, status: int) -> None:
    """It is an answer like others, and whoever it points to hears nothing."""
    other = servers(answering(OK))
    location = f"Location: {other.address}/\r\nContent-Length: 0\r\n\r\n"
    server = servers(answering(f"HTTP/1.1 {status} Moved\r\n{location}".encode()))
    reply = send(server, AMPLE)
    assert isinstance(reply, Reply)
    assert reply.status == status
    assert other.visits == 0
    assert server.visits == 1


@both_ways
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found"])
def test_an_endless_answer_is_cut(servers: Servers, send: Send, status: bytes) -> None:
    """So is that of a redirect, which requests would read to its end."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(b"HTTP/1.1 " + status + b"\r\nLocation: /next\r\n\r\n")
        visit.flood(b"x" * 65_536)

    server = servers(behave)
    reply = send(server, AMPLE)
    most = MAX_ANSWER_BYTES if send is send_as_platform else MAX_RECEIVER_ANSWER_BYTES
    assert isinstance(reply, Reply)
    assert reply.is_cut
    assert len(reply.body) == most
    assert server.saw_the_end.wait(10)


@both_ways
def test_an_answer_that_just_fits_is_whole(servers: Servers, send: Send) -> None:
    """The limit is the last size that is read."""
    most = MAX_ANSWER_BYTES if send is send_as_platform else MAX_RECEIVER_ANSWER_BYTES
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {most}\r\n\r\n".encode()
    reply = send(servers(answering(head + b"x" * most)), AMPLE)
    assert reply == Reply(status=200, body=b"x" * most, declared_bytes=most)


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
    """It is not final, and nobody is called."""

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


def test_a_name_without_addresses_is_no_connection() -> None:
    """A resolver may say yes and give nothing."""
    reply = post(a_receiver(resolve=leading_to()), f"http://{NAME}/")
    assert reply == NoReply(reason="no connection to the receiver: there is no address")


def test_a_name_server_that_dawdles_is_not_waited_for() -> None:
    """Looking up a name counts towards the deadline."""
    release = Event()

    def dawdle(_host: str, _port: int) -> list[Any]:
        release.wait(10)
        return []

    reply = post(a_receiver(resolve=dawdle), f"http://{NAME}/", seconds=SHORT)
    release.set()
    assert reply == NoReply(reason="no answer within 0.2 seconds")


def test_no_time_is_no_call(servers: Servers) -> None:
    """A worker may have used up its time before it gets here."""
    server = servers(answering(OK))
    reply = post(a_receiver(), f"http://{NAME}:{server.port}/", seconds=-1)
    assert isinstance(reply, NoReply)
    assert server.visits == 0


# --- TLS ---------------------------------------------------------------------------------------


def over_tls(certificates: Certificates, server: Server, seconds: float = AMPLE) -> Reply | NoReply:
    receiver = a_receiver(certificates=str(certificates.authority))
    return post(receiver, f"https://{NAME}:{server.port}/hook", seconds=seconds)


class TestTls:
    def test_the_name_is_what_the_server_is_asked_for(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """The connection goes to an address; Host and SNI are of the name."""
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
        """On one connection, handshake included."""
        server = servers(answering(OK), tls=certificates.server())
        platform = a_platform(
            f"https://{NAME}:{server.port}",
            certificates=str(certificates.authority),
            resolve=leading_to("127.0.0.1"),
        )
        assert [type(call(platform)) for _ in range(3)] == [Reply] * 3
        assert server.visits == 1

    @pytest.mark.parametrize(
        ("name", "days", "words"),
        [("other.example", 1, "Hostname mismatch"), (NAME, -1, "certificate has expired")],
    )
    def test_a_certificate_has_to_be_right(
        self, servers: Servers, certificates: Certificates, name: str, days: int, words: str
    ) -> None:
        """For the name, and now; it is not final, since certificates are renewed."""
        server = servers(answering(OK), tls=certificates.server(name, days=days))
        reply = over_tls(certificates, server)
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("the TLS certificate was not accepted: ")
        assert words in reply.reason
        assert not reply.is_final
        assert server.seen == []

    def test_an_authority_from_the_environment_is_not_believed(
        self, servers: Servers, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither requests' variables count nor OpenSSL's."""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(certificates.authority))
        server = servers(answering(OK), tls=certificates.server())
        receiver = a_receiver(certificates=certifi.where())
        reply = post(receiver, f"https://{NAME}:{server.port}/")
        assert isinstance(reply, NoReply)
        assert "was not accepted" in reply.reason
        assert server.seen == []

    def test_an_address_needs_a_certificate_of_its_own(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """A name's certificate does not do."""
        server = servers(answering(OK), tls=certificates.server())
        receiver = a_receiver(certificates=str(certificates.authority))
        reply = post(receiver, f"https://127.0.0.1:{server.port}/")
        assert isinstance(reply, NoReply)
        assert "IP address mismatch" in reply.reason

    def test_a_server_without_tls_is_said_in_words(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """Whoever writes https for http learns it."""
        reply = over_tls(certificates, servers(lambda visit: visit.drip(b"HTTP/1.1 400 Bad\r\n")))
        assert isinstance(reply, NoReply)
        assert reply.reason.startswith("no TLS connection to the receiver: ")

    def test_a_slow_handshake_does_not_outlast_the_deadline(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """Nor does one that never gets anywhere, a byte at a time."""

        def behave(visit: Visit) -> None:
            visit.send(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc\x03\x03")
            visit.drip(b"\x00")

        server = servers(behave)
        assert over_tls(certificates, server, SHORT) == NoReply(
            reason="no answer within 0.2 seconds"
        )
        assert server.saw_the_end.wait(10)

    @pytest.mark.parametrize("behave", [drip_headers, drip_body, say_nothing])
    def test_no_slowness_outlasts_the_deadline(
        self, servers: Servers, certificates: Certificates, behave: Behave
    ) -> None:
        """TLS has sockets of its own, and they keep to it too."""
        server = servers(behave, tls=certificates.server())
        assert over_tls(certificates, server, SHORT) == NoReply(
            reason="no answer within 0.2 seconds"
        )
        assert server.saw_the_end.wait(10)

    def test_a_slow_reader_does_not_outlast_the_deadline(
        self, servers: Servers, certificates: Certificates
    ) -> None:
        """Sending over TLS has to be in time too."""
        may_read = Event()
        server = servers(reading_late(may_read), tls=certificates.server())
        receiver = a_receiver(certificates=str(certificates.authority))
        url = f"https://{NAME}:{server.port}/"
        reply = post(receiver, url, body=b"x" * 30_000_000, seconds=SHORT)
        may_read.set()
        assert reply == NoReply(reason="no answer within 0.2 seconds")


# --- the platform ------------------------------------------------------------------------------


class TestPlatform:
    def test_a_call_is_signed_as_it_is_sent(self, servers: Servers) -> None:
        """Path and query are those on the wire, a prefix of the platform's address included."""
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

    def test_the_first_live_secret_signs(self, servers: Servers) -> None:
        """One that has expired does not, though it is the newest."""
        server = servers(answering(OK))
        secrets = (Secret(value="old", expires_at=START), Secret(value="live"))
        platform = a_platform(server.address, auth=PlatformAuth.IWS)
        call(platform, key=replace(DEMO_KEY, secrets=secrets))
        [seen] = server.seen
        signed = SignedRequest(headers=seen.headers, targets=[seen.target], body=seen.body)
        assert iws_verifies(signed, "live", seen.headers["x-api-authorization"][-40:])

    def test_a_key_without_a_live_secret_calls_nobody(self, servers: Servers) -> None:
        """To try again would not help."""
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
        call(a_platform(server.address, auth=PlatformAuth.HEADER, header=header))
        assert server.seen[0].headers["x-api-key"] == "fixed"
        assert "x-api-authorization" not in server.seen[0].headers

    @pytest.mark.parametrize("name", ["..", "a/b", "a?b", "a#b", "//evil.example", "", "é", "a\n"])
    def test_a_name_cannot_change_where_the_call_goes(self, servers: Servers, name: str) -> None:
        """Submission checks names; whatever slips through is not sent."""
        server = servers(answering(OK))
        platform = a_platform(server.address)
        for reply in (call(platform, namespace=name), call(platform, action=name)):
            assert isinstance(reply, NoReply)
            assert reply.is_final
        assert server.visits == 0

    def test_a_secret_that_no_header_can_hold_raises_nothing(self, servers: Servers) -> None:
        """Nor is it shown."""
        server = servers(answering(OK))
        header = ("X-Api-Key", "fixed\r\nX-Evil: 1")
        reply = call(a_platform(server.address, auth=PlatformAuth.HEADER, header=header))
        assert reply == NoReply(reason="no answer from the platform: ValueError")

    def test_an_address_that_cannot_be_read_is_the_operators_fault(self) -> None:
        """It is found out when the service starts."""
        with pytest.raises(Misconfigured, match="PLATFORM_ADDRESS"):
            a_platform("http://[")

    def test_a_connection_is_used_again(self, servers: Servers) -> None:
        """After answers of every kind that were read to their ends."""
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

    def test_a_kept_connection_has_the_deadline_of_the_call_in_hand(self, servers: Servers) -> None:
        """Sending on it has to be in time as on a new one."""
        may_read = Event()
        server = servers(reading_late(may_read, answered_before=1))
        platform = a_platform(server.address, timeout_seconds=1)
        assert isinstance(call(platform), Reply)
        reply = call(platform, b"x" * 30_000_000)
        may_read.set()
        assert reply == NoReply(reason="no answer within 1 seconds")
        assert server.visits == 1

    def test_a_connection_that_was_closed_meanwhile_is_no_failure(self, servers: Servers) -> None:
        """It is noticed before anything is sent on it."""
        server = servers(once(OK))
        platform = a_platform(server.address)
        for visit in range(1, 4):
            assert isinstance(call(platform), Reply)
            assert server.saw_the_end.wait(10)
            server.saw_the_end.clear()
            assert server.visits == visit

    def test_what_follows_an_answer_is_not_taken_for_the_next_one(self, servers: Servers) -> None:
        """A server that says more than it announced is asked anew."""
        server = servers(answering(OK + b"HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"))
        platform = a_platform(server.address)
        for _ in range(3):
            reply = call(platform)
            assert isinstance(reply, Reply)
            assert reply.status == 200

    def test_a_connection_is_not_used_again_after_a_cut(self, servers: Servers) -> None:
        """What was left unread is nobody's answer."""
        big = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000
        server = servers(answering(big))
        platform = a_platform(server.address)
        for visit in range(1, 4):
            reply = call(platform)
            assert isinstance(reply, Reply)
            assert reply.is_cut
            assert reply.declared_bytes == 400_000
            assert server.visits == visit

    def test_cookies_are_not_sent_back(self, servers: Servers) -> None:
        """One caller's session is never another's."""
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n"
        server = servers(answering(cookie))
        platform = a_platform(server.address)
        call(platform)
        call(platform)
        assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]

    def test_a_compressed_answer_is_unpacked(self, servers: Servers) -> None:
        """Its size is that of the answer, which the header does not tell."""
        packed = gzip.compress(b'{"a": 1}')
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
        server = servers(answering(b"HTTP/1.1 200 OK\r\n" + head + packed))
        assert call(a_platform(server.address)) == Reply(status=200, body=b'{"a": 1}')
        assert server.seen[0].headers["accept-encoding"] == "gzip"

    @pytest.mark.parametrize("layers", [1, 2])
    def test_a_bomb_goes_off_at_the_limit(self, servers: Servers, layers: int) -> None:
        """100 MB in 100 KB take no more room than any answer."""
        packed = gzip.compress(bytes(100_000_000), 1)
        for _ in range(layers - 1):
            packed = gzip.compress(packed)
        encoding = ", ".join(["gzip"] * layers)
        head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
        platform = a_platform(servers(once(b"HTTP/1.1 200 OK\r\n" + head + packed)).address)
        tracemalloc.start()
        reply = call(platform)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(reply, Reply)
        assert reply.is_cut
        assert len(reply.body) == MAX_ANSWER_BYTES
        assert reply.declared_bytes is None
        assert peak < 10_000_000

    def test_a_broken_compression_is_said_in_words(self, servers: Servers) -> None:
        """It is no answer."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
        assert call(a_platform(servers(once(head + b"nope")).address)) == NoReply(
            reason="the answer's compression cannot be read"
        )

    def test_many_threads_each_get_their_own_answer(self, servers: Servers) -> None:
        """25 at once, over no more connections than that."""

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
        """Each thread has its own deadline on connections that all share."""

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
        """Headers and body, and nothing that could change them on the way back."""
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

    def test_its_compression_is_its_own_business(self, servers: Servers) -> None:
        """A receiver that took the callback is not asked again because its body is broken."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
        server = servers(once(head + b"nope"))
        reply = post(a_receiver(), f"http://{NAME}:{server.port}/")
        assert reply == Reply(status=200, body=b"nope")

    def test_receivers_share_nothing(self, servers: Servers) -> None:
        """Each delivery has its own connection, and no cookie is remembered."""
        server = servers(answering(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")))
        receiver = a_receiver()
        for _ in range(2):
            assert isinstance(post(receiver, f"http://{NAME}:{server.port}/"), Reply)
            assert server.saw_the_end.wait(10)
        assert server.visits == 2
        assert server.seen[1].headers.get("cookie") is None

    @pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "localhost", "[::ffff:7f00:1]"])
    def test_a_refused_address_is_not_called(self, servers: Servers, host: str) -> None:
        """What submission refuses is refused again: the policy may have changed."""
        server = servers(answering(OK))
        receiver = HttpReceiver(policy=AddressPolicy())
        reply = post(receiver, f"http://{host}:{server.port}/")
        assert isinstance(reply, NoReply)
        assert reply.is_final
        assert server.visits == 0

    def test_a_name_that_leads_to_a_refused_address_is_not_called(self, servers: Servers) -> None:
        """The reason says what kind of address it is, and not which."""
        server = servers(answering(OK))
        reply = post(a_receiver(policy=AddressPolicy()), f"http://{NAME}:{server.port}/?a=secret")
        assert reply == NoReply(
            reason="the callback's address leads to a loopback address", is_final=True
        )
        assert server.visits == 0

    @pytest.mark.parametrize(
        "addresses",
        [
            ("127.0.0.1", "127.0.0.2"),
            ("127.0.0.2", "127.0.0.1"),
            ("127.0.0.1", "::1"),
            ("127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"),
            ("8.8.8.8", "127.0.0.1", "10.0.0.1"),
        ],
    )
    def test_one_refused_address_refuses_them_all(
        self, servers: Servers, addresses: tuple[str, ...]
    ) -> None:
        """Wherever it stands among the answers."""
        server = servers(answering(OK))
        reply = post(a_receiver(*addresses), f"http://{NAME}:{server.port}/")
        assert isinstance(reply, NoReply)
        assert reply.is_final
        assert server.visits == 0

    def test_a_name_that_changes_its_mind_is_held_to_its_first_answer(
        self, servers: Servers
    ) -> None:
        """It is resolved once for a delivery; what was judged is what is called."""
        inside = servers(answering(OK))
        outside = servers(answering(OK), host="127.0.0.2", port=inside.port)
        answers = [["127.0.0.2"], ["127.0.0.1"]]
        policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.2/32"),))
        receiver = a_receiver(
            policy=policy,
            resolve=lambda _host, _port: [ipaddress.ip_address(text) for text in answers.pop(0)],
        )
        url = f"http://{NAME}:{inside.port}/"
        assert isinstance(post(receiver, url), Reply)
        assert outside.visits == 1
        assert len(answers) == 1
        reply = post(receiver, url)
        assert isinstance(reply, NoReply)
        assert reply.is_final
        assert inside.visits == 0
        assert outside.visits == 1

    @pytest.mark.parametrize("addresses", [("127.0.0.3", "127.0.0.1"), ("127.0.0.1", "127.0.0.3")])
    def test_a_dead_address_does_not_hide_a_live_one(
        self, servers: Servers, addresses: tuple[str, ...]
    ) -> None:
        """All are judged, then they are tried in their order."""
        server = servers(answering(OK))
        policy = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.0/8"),))
        receiver = a_receiver(*addresses, policy=policy)
        assert isinstance(post(receiver, f"http://{NAME}:{server.port}/"), Reply)

    def test_the_systems_own_resolver_serves(self, servers: Servers) -> None:
        """`localhost`, where a deployment allows it."""
        server = servers(answering(OK))
        networks = ("127.0.0.0/8", "::1/128")
        policy = AddressPolicy(allowed_networks=tuple(map(ipaddress.ip_network, networks)))
        receiver = HttpReceiver(policy=policy)
        assert isinstance(post(receiver, f"http://localhost:{server.port}/"), Reply)
        assert server.seen[0].headers["host"] == f"localhost:{server.port}"

    def test_no_reason_shows_what_the_address_holds(self, servers: Servers) -> None:
        """A callback's address may carry a token."""
        for answer in (b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"):
            reply = send_as_receiver(servers(once(answer)), AMPLE)
            assert isinstance(reply, NoReply)
            assert "secret" not in reply.reason
