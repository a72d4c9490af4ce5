"""What a host name reveals without being resolved.

This lets callers know early about URLs that would fail at every delivery. It is not a protection:
anybody can have a name that leads to 127.0.0.1. The addresses of a name are judged when it is
called.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from chalicelib.domain.networks import Address


def is_metadata(name: str) -> bool:
    """Whether a cloud serves credentials under this name."""
    return name in _METADATA


def is_loopback(name: str) -> bool:
    """Whether the name leads to the machine itself."""
    return _is_one_of(name, _LOOPBACK)


def is_local(name: str) -> bool:
    """Whether the name has a meaning only inside some network."""
    return "." not in name or _is_one_of(name, _LOCAL)


def is_number(label: str) -> bool:
    """Whether a part of a name consists of digits, of any script."""
    return label.isdigit() or (label.startswith("xn--") and _international(label).isdigit())


def written_addresses(name: str) -> Iterator[Address]:
    """Yield the addresses in a name whose domain resolves to the address written before it."""
    if not _is_one_of(name, _AS_WRITTEN):
        return
    for dotted in _DOTTED.findall(name):
        yield from _read(IPv4Address, re.sub("[-.]", ".", dotted))
    for digits in _HEXADECIMAL.findall(name):
        yield IPv4Address(int(digits, 16))
    for label in name.split("."):
        yield from _read(IPv6Address, label.replace("-", ":"))


_METADATA = (
    "api.metadata.cloud.ibm.com",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
)

# Each entry includes all names below it.

_LOOPBACK = (
    "localhost",
    "localhost4",
    "localhost6",
    "localdomain",
    "localdomain4",
    "localdomain6",
    # Public names that have always resolved to loopback.
    "127-0-0-1.org.uk",
    "bugbounty.dod.network",
    "fuf.me",
    "lacolhost.com",
    "localh.st",
    "localho.st",
    "localtest.me",
    "lvh.me",
    "spoofed.burpcollaborator.net",
    "vcap.me",
)
#: RFC 6762, appendix G, RFC 8375, ICANN's board resolution on `.internal`, Kubernetes, Consul, and
#: the endpoints of services inside a VPC.
_LOCAL = (
    "consul",
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "kubernetes.default",
    "lan",
    "local",
    "private",
    "svc",
    "vpce.amazonaws.com",
    "vpce.amazonaws.com.cn",
)
#: nip.io and similar domains, and those that resolve to one written address first and then to the
#: other.
_AS_WRITTEN = ("1u.ms", "nip.io", "rbndr.us", "sslip.io", "traefik.me", "xip.io")

_DOTTED = re.compile(r"(?<![0-9])(?=((?:[0-9]{1,3}[-.]){3}[0-9]{1,3})(?![0-9]))")
_HEXADECIMAL = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?![0-9a-z])")


def _is_one_of(name: str, suffixes: tuple[str, ...]) -> bool:
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _international(label: str) -> str:
    """Return the letters that an `xn--` label stands for, or an empty text if it is invalid."""
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except UnicodeError:
        return ""


def _read(kind: type[IPv4Address] | type[IPv6Address], text: str) -> Iterator[Address]:
    try:
        address = kind(text)
    except AddressValueError:
        return
    yield address
