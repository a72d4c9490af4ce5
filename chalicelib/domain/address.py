"""Which hosts and IP addresses may be called, and why the others may not.

A URL is judged twice, because a name does not say which address it leads to. `judge_url` checks the
text when it is submitted and again at each delivery; `why_not_address` checks each address that the
name resolves to at each delivery. There is only one reading of a URL: the call uses the Endpoint
that was judged, which is plain ASCII and which no other parser can read differently.

This module resolves nothing, and does not know what is sent.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from unicodedata import normalize
from urllib.parse import quote

from chalicelib.domain import hostnames
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.networks import (
    LOOPBACK,
    Address,
    Network,
    hidden_ipv4,
    is_metadata,
    why_not_public,
)

MAX_URL_CHARACTERS = 2_048
_MAX_NAME_CHARACTERS = 253
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What a deployment allows besides the public Internet."""

    allowed_networks: tuple[Network, ...] = ()

    def allows(self, address: Address) -> bool:
        """Whether the address is in an allowed network. The metadata service of a cloud never is,
        even if the network contains it."""
        return not is_metadata(address) and any(
            address in network for network in self.allowed_networks
        )

    def prefix_length(self, address: Address) -> int:
        """The prefix length of the smallest allowed network that contains the address; 0 if none
        does."""
        return max(
            (network.prefixlen for network in self.allowed_networks if address in network),
            default=0,
        )

    @property
    def allows_loopback(self) -> bool:
        return any(
            network.overlaps(loopback)
            for network in self.allowed_networks
            for loopback in LOOPBACK
            if network.version == loopback.version
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL that may be called, split into what a connection needs."""

    #: `http` or `https`.
    scheme: str
    #: A name in lower case without a trailing dot, or an address without brackets.
    host: str
    port: int
    #: Path and query as they are sent, completely encoded.
    target: str
    #: The address, if the host is one.
    address: Address | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A URL that may not be called. The reasons are predicates about the URL."""

    reasons: tuple[str, ...]


def why_not_url(url: str, policy: AddressPolicy) -> list[str]:
    """Return the reasons why this URL is refused. If there are none, its text is acceptable; its
    name is not resolved here."""
    found = judge_url(url, policy)
    return [*found.reasons] if isinstance(found, Refusal) else []


def why_no_secrets(url: str, policy: AddressPolicy) -> list[str]:
    """Return the reasons why headers that a caller set are not sent to this URL, even if it may be
    called: over http anyone on the way can read them. If the deployment allows the network, the
    operator has decided that this is fine. A name counts as in an allowed network if it has no
    meaning anywhere else."""
    endpoint = judge_url(url, policy)
    if isinstance(endpoint, Refusal):
        return [*endpoint.reasons]
    if endpoint.scheme == "https" or _is_on_allowed_network(endpoint, policy):
        return []
    return ["need an https callbackUrl: over http others can read them"]


def _is_on_allowed_network(endpoint: Endpoint, policy: AddressPolicy) -> bool:
    if endpoint.address is not None:
        return policy.allows(endpoint.address)
    return bool(policy.allowed_networks) and hostnames.is_local(endpoint.host)


def judge_url(url: str, policy: AddressPolicy) -> Endpoint | Refusal:
    """Read a URL in the only way it is read. Anything that another parser could read differently is
    refused."""
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
    """Return the kind of an address that may not be called, such as "a loopback address". An IPv4
    address hidden in an IPv6 one is judged too, even if the outer one is allowed."""
    hidden = _why_not_hidden(address, policy)
    if policy.allows(address):
        return hidden
    kind = why_not_public(address)
    return f"{kind}, hiding {hidden}" if kind and hidden else kind


_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[^/?#@\[\]]*\]|[^/?#@:\[\]]*)"
    r"(?::(?P<port>[^/?#@]*))?"
    r"(?P<target>[/?][^#]*)?"
    r"(?P<fragment>#.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,  # ASCII, because otherwise U+017F is an s too
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NAME = re.compile(r"(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
_HEXADECIMAL = re.compile(r"0x[0-9a-f]*")
#: Letters that the two standards for international names (IDNA 2003 and 2008) map differently, and
#: invisible ones, which only one of them drops.
_DISPUTED_LETTERS = frozenset("ßẞς\u115f\u1160\u17b4\u17b5\u180f\u200c\u200d\u3164\uffa0")
#: What path and query keep besides letters and digits: RFC 3986, and the brackets that every client
#: sends.
_SENT_AS_THEY_ARE = "%/?:@!$&'()*+,;=-._~[]"
_BEGINS_NO_CODE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A host as it would be called, or what is wrong with it."""

    host: str = ""
    address: Address | None = None
    fault: str | None = None


def _why_unreadable(url: str, parts: re.Match[str] | None) -> list[str]:
    """Return why this URL cannot be split into parts."""
    if len(url) > MAX_URL_CHARACTERS:
        return [f"is {len(url)} characters long, over the limit of {MAX_URL_CHARACTERS}"]
    if not url.isprintable() or " " in url or "\\" in url:
        return ["must not hold spaces, backslashes, control or invisible characters"]
    if not re.match("https?:", url, re.IGNORECASE | re.ASCII):
        return ["must be http or https"]
    return [] if parts else ["is not a URL: it must look like https://host:port/path"]


def _why_not_extras(parts: re.Match[str]) -> str | None:
    if parts["user"] is not None:
        return "must not hold a user or a password"
    if parts["fragment"] is not None:
        return "must not hold a fragment (#): it would never be sent"
    return None


def _read_port(written: str | None, scheme: str) -> int | None:
    if written is None:
        return DEFAULT_PORTS[scheme]
    return int(written) if _PORT.fullmatch(written) else None


def _why_not_port(port: int | None) -> str | None:
    if port is None:
        return "the port is not a number"
    if port in DEFAULT_PORTS.values() or 1024 <= port <= 65_535:
        return None
    return f"port {port} is not allowed: use 80, 443 or 1024 to 65535"


def _judge_host(written: str, policy: AddressPolicy) -> _Host:
    if not written:
        return _Host(fault="must name a host")
    if "%" in written:
        return _Host(
            fault="must not have a % in its host: percent-encoding and zones are not accepted"
        )
    if written.startswith("["):
        return _judge_ipv6(written, policy)
    name = _ascii_name(written)
    if name is None:
        return _Host(fault=f"{written[:100]} is not a host name")
    if _ends_in_number(name):
        return _judge_ipv4(written, name, policy)
    return _Host(host=name, fault=_why_not_name(name, policy))


def _ends_in_number(name: str) -> bool:
    """Whether this can only be an address: no top-level domain is a number.
    https://url.spec.whatwg.org/#ends-in-a-number-checker, applied to digits of every script."""
    last = name.rpartition(".")[2]
    return hostnames.is_number(last) or _HEXADECIMAL.fullmatch(last) is not None


def _judge_ipv6(written: str, policy: AddressPolicy) -> _Host:
    try:
        address = IPv6Address(written[1:-1])
    except AddressValueError:
        return _Host(fault=f"{written[:100]} is not an IPv6 address")
    kind = why_not_address(address, policy)
    return _Host(host=str(address), address=address, fault=kind and f"{written} is {kind}")


def _judge_ipv4(written: str, name: str, policy: AddressPolicy) -> _Host:
    """Judge an IPv4 address. Unusual spellings are read so that the fault can name the address, but
    they are refused even if the address is fine: some programs read `010.1.1.1` as 10.1.1.1, others
    as a name."""
    address = _read_ipv4(name)
    if address is None:
        return _Host(fault=f"{written[:100]} looks like an IP address but is not one")
    spelling = "" if written == str(address) else f"{address}, "
    kind = why_not_address(address, policy)
    if kind:
        return _Host(fault=f"{written[:100]} is {spelling}{kind}")
    fault = f"{written[:100]} must be written {address}" if spelling else None
    return _Host(host=str(address), address=address, fault=fault)


def _read_ipv4(text: str) -> IPv4Address | None:
    """Read an address as inet_aton does, which is the most lenient way: one to four numbers,
    decimal, octal or hexadecimal, of which the last fills the remaining bytes."""
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
    """Return a name as DNS knows it, with international letters, digits and dots converted to
    ASCII."""
    name = written
    if not written.isascii():
        if len(written) > _MAX_NAME_CHARACTERS or _DISPUTED_LETTERS.intersection(written):
            return None
        try:
            name = written.encode("idna").decode("ascii").lower()
            if not _is_read_alike(written, name):
                return None
        except UnicodeError:
            return None
    return name.lower().removesuffix(".")


def _is_read_alike(written: str, name: str) -> bool:
    """Whether current libraries (UTS 46) convert the name to the same text. Python's codec follows
    Unicode 3.2, which lacks the letters that were added later and distinguishes some that are equal
    now."""
    today = normalize("NFKC", normalize("NFKC", written).casefold()).replace("。", ".").split(".")
    labels = name.split(".")
    return len(today) == len(labels) and all(
        each in {label, label.encode().decode("idna")}
        for each, label in zip(today, labels, strict=True)
    )


def _why_not_name(name: str, policy: AddressPolicy) -> str | None:
    """Return why a name may not be called. Local names pass if a local network is allowed, because
    the addresses they lead to are judged like all others."""
    if len(name) > _MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        return f"{name[:100]} is not a host name"
    if hostnames.is_metadata(name):
        return f"{name} is the name of a cloud's metadata service"
    if hostnames.is_loopback(name):
        return None if policy.allows_loopback else f"{name} is the name of the machine itself"
    if hostnames.is_local(name) and not policy.allowed_networks:
        return f"{name} is a name of a local network"
    return _why_not_written(name, policy)


def _why_not_written(name: str, policy: AddressPolicy) -> str | None:
    for address in hostnames.written_addresses(name):
        kind = why_not_address(address, policy)
        if kind:
            return f"{name[:100]} leads to {address}, {kind}"
    return None


def _target(written: str) -> str:
    """Return the target as it was written, because the receiver may have signed it. Only characters
    that no request line can hold are encoded, and a `%` that does not begin a code."""
    target = written if written.startswith("/") else f"/{written}"
    return _BEGINS_NO_CODE.sub("%25", quote(target, safe=_SENT_AS_THEY_ARE))


def _why_not_hidden(address: Address, policy: AddressPolicy) -> str | None:
    length = policy.prefix_length(address)
    kinds = (why_not_address(hidden, policy) for hidden in hidden_ipv4(address, length))
    return next((kind for kind in kinds if kind), None)
