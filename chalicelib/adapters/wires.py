"""A connection to one address, plain or over TLS, that serves one call at a time.

OpenSSL never gets the socket: it reads and writes memory, and received bytes are passed to it one
step at a time. So nothing that TLS does by itself (tickets, key updates, empty records) escapes the
call's deadline and limits.

This module does not know HTTP.
"""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from select import POLLIN, POLLOUT
from typing import TypeVar

import certifi

from chalicelib.adapters.calls import STEP_BYTES, Call
from chalicelib.domain.networks import Address

Result = TypeVar("Result")

#: The key exchanges of TLS 1.3 and TLS 1.2. Finite-field Diffie-Hellman with parameters from the
#: server is excluded: 8,192 bits or more take at least half a second of CPU, which no deadline can
#: interrupt. Some builds of Python offer it and older methods by default.
_AGREED_BY = frozenset({"kx-any", "kx-ecdhe"})
_UNEXPECTED_END = "UNEXPECTED_EOF_WHILE_READING"


class Wire:
    """A plain connection."""

    def __init__(self, connection: socket.socket, call: Call) -> None:
        #: The current call. A call that takes a kept connection sets itself here.
        self.call = call
        self._socket = connection
        self._unsent = memoryview(b"")
        #: What the other side sent while we were sending.
        self._heard = b""

    def put(self, data: bytes | memoryview) -> None:
        """Prepare to send at most one step."""
        self._unsent = memoryview(data)

    def push(self) -> bool:
        """Send what was put. Returns False if the other side has sent something and accepts no
        more: the next `receive` returns what it sent, and the next `push` continues."""
        while self._unsent:
            self.call.seconds_left()
            try:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                if self.call.wait(self._socket, POLLIN | POLLOUT) != POLLOUT and self._hear():
                    return False
        return True

    def receive(self) -> bytes:
        """Return what comes next, as soon as anything arrives; nothing at the end. Raises EOFError
        at an end that TLS does not announce, because somebody on the way may have cut off the
        rest."""
        heard, self._heard = self._heard, b""
        return heard or self._next()

    def is_silent(self) -> bool:
        """Whether the other side has neither closed the connection nor sent anything unasked."""
        return not self.call.stopwatch.wait(self._socket, POLLIN, 0)

    def close(self) -> None:
        self._socket.close()

    def _next(self) -> bytes:
        self.call.wait(self._socket, POLLIN)
        return self.call.receive(self._socket)

    def _hear(self) -> bool:
        """Receive, and return whether what arrived is data."""
        self._heard = self.call.receive(self._socket)
        if not self._heard:
            raise BrokenPipeError
        return True


class TlsWire(Wire):
    """A connection over TLS. The certificate is checked against the host's name, not the
    address."""

    def __init__(
        self, connection: socket.socket, call: Call, host: str, tls: ssl.SSLContext
    ) -> None:
        super().__init__(connection, call)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def shake_hands(self) -> None:
        self._do(self._tls.do_handshake)

    def put(self, data: bytes | memoryview) -> None:
        self._tls.write(data)
        self._unsent = memoryview(self._outgoing.read())

    def is_silent(self) -> bool:
        return not (self._incoming.pending or self._tls.pending()) and super().is_silent()

    def _next(self) -> bytes:
        try:
            return self._do(self._tls.read, STEP_BYTES)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            raise EOFError from None

    def _hear(self) -> bool:
        """Receive everything, however many records it is in: the socket reports neither them nor an
        end of TLS behind them again."""
        self._feed()
        try:
            while piece := self._tls.read(STEP_BYTES):
                self._heard += piece
        except ssl.SSLWantReadError:
            return len(self._heard) > 0
        except ssl.SSLError as error:
            if not isinstance(_named(error), ssl.SSLEOFError | ssl.SSLZeroReturnError):
                raise
        raise BrokenPipeError

    def _do(self, act: Callable[..., Result], *arguments: object) -> Result:
        """Have OpenSSL do this with what has arrived, and send what it produces meanwhile."""
        while True:
            try:
                return act(*arguments)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise _named(error) from None
            finally:
                self._reply()
            self.call.wait(self._socket, POLLIN)
            self._feed()

    def _feed(self) -> None:
        received = self.call.receive(self._socket)
        if received:
            self._incoming.write(received)
        else:
            self._incoming.write_eof()

    def _reply(self) -> None:
        """Send OpenSSL's output. If the other side accepts no more, half of one of our records may
        still be unsent; then there is no reply."""
        reply = memoryview(b"" if self._unsent else self._outgoing.read())
        while reply:
            try:
                reply = reply[self._socket.send(reply) :]
            except BlockingIOError:
                self.call.wait(self._socket, POLLOUT)


def _named(error: ssl.SSLError) -> ssl.SSLError:
    """Return the error with its proper class: Python 3.11.2 has none for an end that TLS does not
    announce."""
    return ssl.SSLEOFError(*error.args) if error.reason == _UNEXPECTED_END else error


def connect(call: Call, host: str, port: int, tls: ssl.SSLContext | None) -> Wire:
    """Connect to the first of the call's addresses that accepts."""
    connection = _connection(call, port)
    if tls is None:
        return Wire(connection, call)
    try:
        wire = TlsWire(connection, call, host, tls)
        wire.shake_hands()
    except OSError:
        connection.close()
        raise
    return wire


def _connection(call: Call, port: int) -> socket.socket:
    """Connect, giving each address its share of the remaining time."""
    addresses = call.addresses()
    if not addresses:
        raise OSError(0, "there is no address")
    for place, address in enumerate(addresses[:-1]):
        with suppress(OSError):
            share = call.seconds_left() / (len(addresses) - place)
            return _connect_to(address, port, call, share)
    return _connect_to(addresses[-1], port, call, call.seconds_left())


def _connect_to(address: Address, port: int, call: Call, seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            connection.connect((str(address), port))
        call.wait(connection, POLLOUT, at_most=seconds)
        _raise_if(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except OSError:
        connection.close()
        raise
    return connection


def _raise_if(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))


@cache
def tls_trusting(certificates: str | None) -> ssl.SSLContext:
    """Return TLS for a client that checks certificate and name. It is cached, because reading the
    certificates takes at least 20 ms. ssl.create_default_context is not used, because it reads
    certificates and a file to write keys to from the environment."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.hostname_checks_common_name = False
    tls.options |= ssl.OP_NO_RENEGOTIATION
    tls.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # some builds of Python set it
    ciphers = [each["name"] for each in tls.get_ciphers() if each["kea"] in _AGREED_BY]
    tls.set_ciphers(":".join(ciphers))
    tls.load_verify_locations(certificates or certifi.where())
    return tls
