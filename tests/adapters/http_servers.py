"""Servers on this machine that answer as badly as possible, and calls to them."""

import datetime as dt
import ipaddress
import re
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib.adapters.calls import Stopwatch
from chalicelib.adapters.http import HttpPlatform, HttpReceiver
from chalicelib.domain.account import PlatformAuth
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.operations.ports import Receiver
from tests.fakes.clock import FakeClock
from tests.samples import DEMO_KEY

#: Long enough for a whole answer on a slow machine, if one is expected.
AMPLE = 60.0
#: Short, if no answer is expected.
SHORT = 0.1
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HERE = AddressPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.1/32"),))
NAME = "receiver.example"


# --- the servers -------------------------------------------------------------------------------


@dataclass
class Visit:
    """A connection to a server, as its behavior sees it."""

    connection: socket.socket
    server: "Server"

    def read(self) -> "Seen":
        """Read one whole request; raises OSError if the other side is gone."""
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

    def pass_over(self) -> int:
        """Read one whole request without keeping it, and return the size of its body."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._receive()
        head, _, body = head.partition(b"\r\n\r\n")
        [size] = re.findall(rb"content-length: (\d+)", head.lower())
        left = int(size) - len(body)
        while left:
            left -= len(self._receive())
        return int(size)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send forever, a little at a time."""
        while not self.server.stopped.wait(0.02):
            self.send(data)
            self.server.drips += 1

    def flood(self, data: bytes) -> None:
        """Send forever, as fast as it is accepted."""
        while not self.server.stopped.is_set():
            self.send(data)

    def reset(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait(self) -> None:
        """Send nothing until the other side closes."""
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
    """Runs `behave` for each connection, in a thread, and records whatever ends it."""

    behave: Behave
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    visits: int = 0
    drips: int = 0
    seen: list[Seen] = field(default_factory=list)
    saw_the_end: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)
    _connections: list[socket.socket] = field(default_factory=list)
    _threads: list[Thread] = field(default_factory=list)

    def __enter__(self) -> "Server":
        self._listening = socket.create_server((self.host, self.port), backlog=64)
        self.port = self._listening.getsockname()[1]
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for open_socket in (self._listening, *self._connections):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
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
                self._connections.append(connection)
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
    """Answer each request with all of this, and keep the connection open."""

    def behave(visit: Visit) -> None:
        while True:
            visit.read()
            for answer in answers:
                visit.send(answer)

    return behave


def once(answer: bytes) -> Behave:
    """Send one answer, then close the connection."""

    def behave(visit: Visit) -> None:
        visit.read()
        visit.send(answer)

    return behave


def say_nothing(visit: Visit) -> None:
    """Send nothing until the other side closes."""
    visit.wait()


def reading_late(may_read: Event, answered_before: int = 0) -> Behave:
    """After some answered requests, read nothing until allowed. A caller that waits for that fails
    the test, because an error in a thread does."""

    def behave(visit: Visit) -> None:
        for _ in range(answered_before):
            visit.read()
            visit.send(OK)
        if not may_read.wait(20):
            raise AssertionError("the caller did not give up")
        visit.wait()

    return behave


Servers = Callable[..., Server]


# --- the certificates --------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificates:
    """Our own certificate authority, and what a server needs to prove a name with it."""

    authority: Path
    folder: Path
    key: ec.EllipticCurvePrivateKey
    issuer: x509.Certificate

    @classmethod
    def in_folder(cls, folder: Path) -> "Certificates":
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("An authority for tests")
        issuer = _certificate("An authority for tests", key, subject, key, is_authority=True)
        (folder / "authority.pem").write_bytes(_pem(issuer))
        return cls(folder / "authority.pem", folder, key, issuer)

    def server(
        self, name: str = NAME, *, days: tuple[int, int] = (-1, 1), by_itself: bool = False
    ) -> ssl.SSLContext:
        """A certificate for a name, valid between two days counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, issuer_key = (_name(name), key) if by_itself else (self.issuer.subject, self.key)
        certificate = _certificate(name, key, issuer, issuer_key, days=days)
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(_pem(certificate) + _pem_of_key(key))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(path)
        return tls


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    days: tuple[int, int] = (-1, 1),
    is_authority: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(
        subject_name=_name(name),
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now + dt.timedelta(days=days[0]),
        not_valid_after=now + dt.timedelta(days=days[1]),
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
        "header": lambda: None,
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
        "traceparent": None,
        "key": DEMO_KEY,
    }
    return platform.call(**{**given, **options})


class Patience(Stopwatch):
    """Time as it passes here, until it `is_over`: from then on, every wait for something that does
    not happen immediately has reached its end."""

    def __init__(self) -> None:
        self.is_over = False
        self.skipped = 0.0

    def now(self) -> float:
        return super().now() + self.skipped

    def wait(self, connection: socket.socket, events: int, seconds: float) -> int:
        found = super().wait(connection, events, 0 if self.is_over else seconds)
        self.skipped += 0 if found else seconds
        return found


def leading_to(*addresses: str) -> Callable[[str, int], Sequence[Any]]:
    return lambda _host, _port: [ipaddress.ip_address(address) for address in addresses]


def a_receiver(*addresses: str, policy: AddressPolicy = HERE, **options: Any) -> HttpReceiver:
    resolve = leading_to(*(addresses or ["127.0.0.1"]))
    return HttpReceiver(**{"policy": policy, "resolve": resolve, **options})


def post(
    receiver: Receiver,
    url: str,
    *,
    body: bytes = b"{}",
    seconds: float = AMPLE,
    private: Mapping[str, str] = MappingProxyType({}),
) -> Reply | NoReply:
    return receiver.post(
        url,
        headers={"Content-Type": "application/json", "webhook-id": "b1-1"},
        private_headers=private,
        body=[body],
        timeout_seconds=seconds,
    )


Send = Callable[[Server, float], Reply | NoReply]


def send_as_platform(server: Server, seconds: float) -> Reply | NoReply:
    return call(a_platform(server.address, timeout_seconds=seconds))


def send_as_receiver(server: Server, seconds: float) -> Reply | NoReply:
    return post(a_receiver(), f"http://{NAME}:{server.port}/hook?token=secret", seconds=seconds)


both_ways = pytest.mark.parametrize("send", [send_as_platform, send_as_receiver])


def over_tls(certificates: Certificates, server: Server, seconds: float = AMPLE) -> Reply | NoReply:
    receiver = a_receiver(certificates=str(certificates.authority))
    return post(receiver, f"https://{NAME}:{server.port}/hook", seconds=seconds)
