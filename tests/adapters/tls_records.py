"""TLS records that only an attacker writes: OpenSSL itself creates none of these.

The keys come from OpenSSL's log of its handshake. RFC 8446, sections 5, 7.2 and 7.3; for TLS 1.2
RFC 5246, section 6.3, and RFC 5288.
"""

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
LONGEST = 16_384

_HELLO_REQUEST = bytes(4)
_KEY_UPDATE = 24
_NEW_SESSION_TICKET = 4
_CERTIFICATE_REQUEST = 13


@dataclass
class Records13:
    """The records of one side of TLS 1.3, after the handshake."""

    secret: bytes
    digest: str
    key_bytes: int
    number: int = 0

    def __post_init__(self) -> None:
        self._take_keys()

    def _take_keys(self) -> None:
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")
        self._sealed_by = AESGCM(self._expand(b"key", self.key_bytes))

    def record(self, content: bytes, kind: int = DATA, *, padding: int = 0) -> bytes:
        inner = content + bytes([kind]) + bytes(padding)
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self.number).to_bytes(12, "big")
        self.number += 1
        return header + self._sealed_by.encrypt(nonce, inner, header)

    def update_keys(self, *, asks: bool) -> bytes:
        """A message that changes our keys, and may ask the other side to change theirs."""
        told = self.record(_message(_KEY_UPDATE, bytes([asks])), HANDSHAKE)
        self.secret, self.number = self._expand(b"traffic upd", len(self.secret)), 0
        self._take_keys()
        return told

    def tickets(self) -> bytes:
        """A record full of session tickets."""
        ticket = _message(_NEW_SESSION_TICKET, bytes(8) + b"\x01x" + b"\x00\x01x" + b"\x00\x00")
        return self.record(ticket * (LONGEST // len(ticket)), HANDSHAKE)

    def certificate_request(self) -> bytes:
        return self.record(_message(_CERTIFICATE_REQUEST, b"\x01x\x00\x00"), HANDSHAKE)

    def _expand(self, label: bytes, length: int) -> bytes:
        info = length.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + b"\x00"
        return hmac.digest(self.secret, info + b"\x01", self.digest)[:length]


@dataclass
class Records12:
    """The records of the server's side of TLS 1.2, after its Finished."""

    key: bytes
    iv: bytes
    number: int = 1

    @classmethod
    def of(cls, master: bytes, randoms: bytes, digest: str, key_bytes: int) -> "Records12":
        """`randoms` are the server's, then the client's."""
        block = _prf(master, b"key expansion" + randoms, 2 * key_bytes + 8, digest)
        return cls(key=block[key_bytes : 2 * key_bytes], iv=block[-4:])

    def record(self, content: bytes, kind: int = DATA) -> bytes:
        number = self.number.to_bytes(8, "big")
        self.number += 1
        begin = bytes([kind]) + b"\x03\x03"
        told = begin + len(content).to_bytes(2, "big")
        sealed = number + AESGCM(self.key).encrypt(self.iv + number, content, number + told)
        return begin + len(sealed).to_bytes(2, "big") + sealed

    def hello_request(self) -> bytes:
        """The server's request to renegotiate."""
        return self.record(_HELLO_REQUEST, HANDSHAKE)


def _message(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def _prf(secret: bytes, seed: bytes, length: int, digest: str) -> bytes:
    """RFC 5246, section 5."""
    made, chain = b"", seed
    while len(made) < length:
        chain = hmac.digest(secret, chain, digest)
        made += hmac.digest(secret, chain + seed, digest)
    return made[:length]
