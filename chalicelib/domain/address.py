"""Which hosts and IP addresses we are willing to call, and why not the others.

A URL is judged twice, because a name does not say where it leads: what is written, when it is
submitted and again at each delivery (`judge_url`); and each address that its name resolves to, at
each delivery (`why_not_address`). It is read one way only: whoever calls it uses the Endpoint that
was judged, which is plain ASCII and which no other parser can read differently.

This module resolves nothing, and does not know what is sent.
"""

import re
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from urllib.parse import quote

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_CHARACTERS = 2_048
_MAX_NAME_CHARACTERS = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What a deployment allows besides the public Internet."""

    allowed_networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        return any(address in network for network in self.allowed_networks)

    @property
    def allows_loopback(self) -> bool:
        return any(
            network.overlaps(loopback)
            for network in self.allowed_networks
            for loopback in _LOOPBACK
            if network.version == loopback.version
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL that may be called, read into what a connection needs."""

    #: `http` or `https`.
    scheme: str
    #: A name in lower case without a dot at its end, or an address without brackets.
    host: str
    port: int
    #: Path and query as sent.
    target: str
    #: The address, where the host is one.
    address: Address | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A URL that is not called. The reasons are sentences whose subject is the URL."""

    reasons: tuple[str, ...]


def why_not_url(url: str, policy: AddressPolicy) -> list[str]:
    """The reasons why this URL is refused; none: it is acceptable as far as can be told without
    resolving its name."""
    found = judge_url(url, policy)
    return [*found.reasons] if isinstance(found, Refusal) else []


def judge_url(url: str, policy: AddressPolicy) -> Endpoint | Refusal:
    """The one reading of a URL. Whatever another parser could read differently is refused."""
    parts = _URL.fullmatch(url)
    unreadable = _why_unreadable(url, parts)
    if parts is None or unreadable:
        return Refusal(reasons=tuple(unreadable))
    scheme = parts["scheme"].lower()
    host = _judge_host(parts["host"], policy)
    port = _read_port(parts["port"], scheme)
    faults = [_why_not_extras(parts), host.fault, _why_not_port(port)]
    reasons = tuple(fault for fault in faults if fault)
    if reasons or port is None:
        return Refusal(reasons=reasons)
    return Endpoint(
        scheme=scheme,
        host=host.host,
        port=port,
        target=_target(parts["target"] or ""),
        address=host.address,
    )


def why_not_address(address: Address, policy: AddressPolicy) -> str | None:
    """What kind of address this is, if it is one we do not call: "a loopback address". An IPv4
    address hidden in an IPv6 one is judged too, even where the outer one is allowed."""
    hidden = _why_not_hidden(address, policy)
    if policy.allows(address):
        return hidden
    kind = next((kind for network, kind in _NEVER_CALLED if address in network), None)
    if kind and hidden:
        return f"{kind}, hiding {hidden}"
    # The second net. It is no first one: what it says changes with Python's patch releases
    # (CVE-2024-4032), it calls multicast global, and it does not look into IPv6 for IPv4.
    return kind or (None if address.is_global else "an address that is not public")


#: What is never called, with what it is; the first row that fits names it. From the IANA
#: special-purpose registries, https://www.iana.org/assignments/iana-ipv4-special-registry and
#: https://www.iana.org/assignments/iana-ipv6-special-registry, and the clouds' own documentation.
_NEVER_CALLED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("169.254.169.254/32", "a cloud's metadata service"),  # AWS, Azure, GCP and most others
        ("169.254.170.2/32", "a cloud's metadata service"),  # AWS, credentials of containers
        ("169.254.170.23/32", "a cloud's metadata service"),  # AWS, credentials of pods
        ("100.100.100.200/32", "a cloud's metadata service"),  # Alibaba
        ("192.0.0.192/32", "a cloud's metadata service"),  # Oracle
        ("168.63.129.16/32", "a cloud's metadata service"),  # Azure's wire server: a public address
        ("fd00:ec2::/32", "a cloud's metadata service"),  # AWS
        ("fd20:ce::254/128", "a cloud's metadata service"),  # GCP
        ("0.0.0.0/8", "an address of this network"),  # RFC 1122; Linux takes it for loopback
        ("10.0.0.0/8", "a private address"),  # RFC 1918
        ("100.64.0.0/10", "a carrier-grade NAT address"),  # RFC 6598; used inside clouds
        ("127.0.0.0/8", "a loopback address"),  # RFC 1122; Lambda's runtime API listens there
        ("169.254.0.0/16", "a link-local address"),  # RFC 3927; Lambda's own services
        ("172.16.0.0/12", "a private address"),  # RFC 1918
        ("192.0.0.0/24", "a reserved address"),  # RFC 6890, protocol assignments
        ("192.0.2.0/24", "a documentation address"),  # RFC 5737
        ("192.88.99.0/24", "a 6to4 relay"),  # RFC 7526
        ("192.168.0.0/16", "a private address"),  # RFC 1918
        ("198.18.0.0/15", "a benchmarking address"),  # RFC 2544
        ("198.51.100.0/24", "a documentation address"),  # RFC 5737
        ("203.0.113.0/24", "a documentation address"),  # RFC 5737
        ("224.0.0.0/4", "a multicast address"),  # RFC 5771
        ("255.255.255.255/32", "the broadcast address"),  # RFC 919
        ("240.0.0.0/4", "a reserved address"),  # RFC 1112
        ("::1/128", "a loopback address"),  # RFC 4291
        ("::/128", "the unspecified address"),  # RFC 4291; Linux takes it for loopback
        ("::ffff:0:0/96", "an IPv4-mapped address"),  # RFC 4291
        ("::/96", "an IPv4-compatible address"),  # RFC 4291, deprecated
        ("::ffff:0:0:0/96", "an IPv4-translated address"),  # RFC 7915
        ("64:ff9b::/96", "a NAT64 address"),  # RFC 6052
        ("64:ff9b:1::/48", "a local NAT64 address"),  # RFC 8215
        ("100::/64", "a discard address"),  # RFC 6666
        ("2001::/32", "a Teredo address"),  # RFC 4380
        ("2001:2::/48", "a benchmarking address"),  # RFC 5180
        ("2001::/23", "a reserved address"),  # RFC 2928, protocol assignments: ORCHID, AMT, ...
        ("2001:db8::/32", "a documentation address"),  # RFC 3849
        ("2002::/16", "a 6to4 address"),  # RFC 3056
        ("3fff::/20", "a documentation address"),  # RFC 9637
        ("5f00::/16", "a segment routing address"),  # RFC 9602
        ("fc00::/7", "a unique local address"),  # RFC 4193
        ("fe80::/10", "a link-local address"),  # RFC 4291
        ("fec0::/10", "a site-local address"),  # RFC 3879, deprecated
        ("ff00::/8", "a multicast address"),  # RFC 4291
        # Only 2000::/3 is given out as global unicast (RFC 3587); the rest of IPv6 is not.
        ("::/3", "a reserved address"),
        ("4000::/2", "a reserved address"),
        ("8000::/1", "a reserved address"),
    )
)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_LOW_BITS_HIDE_IPV4 = tuple(
    IPv6Network(network)
    for network in (
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
    )
)
_NO_IPV4_THERE = (IPv6Address("::"), IPv6Address("::1"))

#: Names, each with all names below it, that lead to the machine itself.
_LOOPBACK_NAMES = ("localhost", "localdomain", "localhost6", "localdomain6")
#: Names, each with all names below it, that have a meaning inside some network only (RFC 6762,
#: appendix G, RFC 8375, ICANN's board resolution on `.internal`, Kubernetes).
_LOCAL_NAMES = (
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "private",
    "svc",
)
#: Names under which clouds serve credentials.
_METADATA_NAMES = (
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.google.internal",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
)

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[^/?#@\[\]]*\]|[^/?#@:\[\]]*)"
    r"(?::(?P<port>[^/?#@]*))?"
    r"(?P<target>[/?][^#]*)?"
    r"(?P<fragment>#.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,  # ASCII: or U+017F is an s as well
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NAME = re.compile(r"(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
#: What ends so is an address or nothing: no top-level domain is a number.
#: https://url.spec.whatwg.org/#ends-in-a-number-checker
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)")
#: Letters that the two standards for international names (IDNA 2003 and 2008) map differently.
_DISPUTED_LETTERS = frozenset("ßẞς\u200c\u200d")
_SENT_AS_THEY_ARE = "%/?:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A host as it would be called, or its fault."""

    host: str = ""
    address: Address | None = None
    fault: str | None = None


def _why_unreadable(url: str, parts: re.Match[str] | None) -> list[str]:
    """Why the parts of this URL need not be looked at."""
    if len(url) > MAX_URL_CHARACTERS:
        return [f"is {len(url)} characters long, over the limit of {MAX_URL_CHARACTERS}"]
    if not url.isprintable() or " " in url or "\\" in url:
        return ["must not hold spaces, backslashes, control or invisible characters"]
    if not re.match("https?:", url, re.IGNORECASE | re.ASCII):
        return ["must be http or https"]
    return [] if parts else ["cannot be read: must be like https://host:port/path"]


def _why_not_extras(parts: re.Match[str]) -> str | None:
    if parts["user"] is not None:
        return "must not hold a user or a password"
    if parts["fragment"] is not None:
        return "must not hold a fragment (#): it would never be sent"
    return None


def _read_port(written: str | None, scheme: str) -> int | None:
    if written is None:
        return _DEFAULT_PORTS[scheme]
    return int(written) if _PORT.fullmatch(written) else None


def _why_not_port(port: int | None) -> str | None:
    if port is None:
        return "the port is not a number"
    if port in _DEFAULT_PORTS.values() or 1024 <= port <= 65_535:
        return None
    return f"port {port} is not called: 80, 443 and 1024 to 65535 are"


def _judge_host(written: str, policy: AddressPolicy) -> _Host:
    if not written:
        return _Host(fault="must name a host")
    if "%" in written:
        return _Host(fault="must not have a % in its host: no encoding and no zone is accepted")
    if written.startswith("["):
        return _judge_ipv6(written, policy)
    name = _ascii_name(written)
    if name is None:
        return _Host(fault=f"{written[:100]} is not a host name")
    if _ENDS_IN_NUMBER.fullmatch(name):
        return _judge_ipv4(written, name, policy)
    return _Host(host=name, fault=_why_not_name(name, policy))


def _judge_ipv6(written: str, policy: AddressPolicy) -> _Host:
    try:
        address = IPv6Address(written[1:-1])
    except AddressValueError:
        return _Host(fault=f"{written[:100]} is not an IPv6 address")
    kind = why_not_address(address, policy)
    return _Host(host=str(address), address=address, fault=kind and f"{written} is {kind}")


def _judge_ipv4(written: str, name: str, policy: AddressPolicy) -> _Host:
    """Odd spellings are read, so that they can be called what they are, and refused even where
    the address is fine: to others `010.1.1.1` is 10.1.1.1, to others again it is a name."""
    address = _read_ipv4(name)
    if address is None:
        return _Host(fault=f"{written[:100]} looks like an address and is none")
    spelling = "" if written == str(address) else f"{address}, "
    kind = why_not_address(address, policy)
    if kind:
        return _Host(fault=f"{written[:100]} is {spelling}{kind}")
    fault = f"{written[:100]} must be written {address}" if spelling else None
    return _Host(host=str(address), address=address, fault=fault)


def _read_ipv4(text: str) -> IPv4Address | None:
    """An address as inet_aton reads it, which is as generously as anything does: one to four
    numbers, decimal, octal or hexadecimal, the last of which fills what is left."""
    numbers = [_read_number(part) for part in text.split(".")]
    *heads, tail = (-1 if number is None else number for number in numbers)
    room = 256 ** (4 - len(heads)) if len(heads) < 4 else 0
    if not 0 <= tail < room or not all(0 <= head < 256 for head in heads):
        return None
    high = sum(head << (24 - 8 * place) for place, head in enumerate(heads))
    return IPv4Address(high + tail)


def _read_number(text: str) -> int | None:
    if text.startswith("0x"):
        digits, base = text[2:] or "0", 16
    else:
        digits, base = text, 8 if text.startswith("0") else 10
    try:
        return int(digits, base) if digits.isalnum() else None
    except ValueError:
        return None


def _ascii_name(written: str) -> str | None:
    """A name as DNS knows it: international letters, digits and dots turned into plain ones."""
    name = written
    if not written.isascii():
        if len(written) > _MAX_NAME_CHARACTERS or _DISPUTED_LETTERS.intersection(written):
            return None
        try:
            name = written.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return name.lower().removesuffix(".")


def _why_not_name(name: str, policy: AddressPolicy) -> str | None:
    """Local names pass where a local network is allowed: where they lead is judged like all."""
    if len(name) > _MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        return f"{name[:100]} is not a host name"
    if name in _METADATA_NAMES:
        return f"{name} is the name of a cloud's metadata service"
    if _is_one_of(name, _LOOPBACK_NAMES):
        return None if policy.allows_loopback else f"{name} is the name of the machine itself"
    is_local = "." not in name or _is_one_of(name, _LOCAL_NAMES)
    if is_local and not policy.allowed_networks:
        return f"{name} is a name of a local network"
    return None


def _is_one_of(name: str, suffixes: tuple[str, ...]) -> bool:
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _target(written: str) -> str:
    target = written if written.startswith("/") else f"/{written}"
    return quote(target, safe=_SENT_AS_THEY_ARE)


def _why_not_hidden(address: Address, policy: AddressPolicy) -> str | None:
    kinds = (why_not_address(hidden, policy) for hidden in _hidden_ipv4(address))
    return next((kind for kind in kinds if kind), None)


def _hidden_ipv4(address: Address) -> tuple[IPv4Address, ...]:
    if isinstance(address, IPv4Address) or address in _NO_IPV4_THERE:
        return ()
    if any(address in network for network in _LOW_BITS_HIDE_IPV4):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour:
        return (address.sixtofour,)
    return address.teredo or ()
