"""Which addresses are public unicast, and what the others are.

Every row of the IANA special-purpose registries is listed here, including those that are globally
reachable, because nobody runs a server there. Sources:
https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry, and the documentation of the clouds.

This module does not know what a deployment allows.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def why_not_public(address: Address) -> str | None:
    """Return what kind of address this is if it is not public unicast, such as "a loopback
    address"."""
    if is_metadata(address):
        return "a cloud's metadata service"
    kind = next((kind for network, kind in _NOT_PUBLIC if address in network), None)
    if kind is None and _is_isatap(address):
        return "an ISATAP address"
    # A second safety net. It cannot be the first: its result changes with Python's patch releases
    # (CVE-2024-4032), it calls multicast global, and it finds no IPv4 address inside an IPv6 one.
    return kind or (None if address.is_global else "an address that is not public")


def is_metadata(address: Address) -> bool:
    """Whether a cloud serves credentials at this address to anybody who asks."""
    return any(address in network for network in _METADATA)


def hidden_ipv4(address: Address, prefix_length: int = 0) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that something on the way may turn an IPv6 address into. With a
    local NAT64 this depends on the length of its prefix, which is at least `prefix_length`."""
    if isinstance(address, IPv4Address) or address in _NO_IPV4_THERE:
        return ()
    if address in _LOCAL_NAT64:
        return _behind_nat64(address, prefix_length)
    if _is_isatap(address) or any(address in network for network in _LOW_BITS_HIDE_IPV4):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour:
        return (address.sixtofour,)
    return address.teredo or ()


_METADATA: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "169.254.169.254/32",  # AWS, Azure, GCP and most others
        "169.254.170.2/32",  # AWS, credentials of containers
        "169.254.170.23/32",  # AWS, credentials of pods
        "169.254.0.23/32",  # Tencent
        "169.254.42.42/32",  # Scaleway
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "168.63.129.16/32",  # Azure's wire server: a public address
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # GCP
        "fd00:c1::a9fe:a9fe/128",  # Oracle
        "fd00:42::42/128",  # Scaleway
        "fe80::a9fe:a9fe/128",  # OpenStack
    )
)

#: The first row that fits names it.
_NOT_PUBLIC: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this network"),  # RFC 1122; Linux takes it for loopback
        ("10.0.0.0/8", "a private address"),  # RFC 1918
        ("100.64.0.0/10", "a carrier-grade NAT address"),  # RFC 6598; used inside clouds
        ("127.0.0.0/8", "a loopback address"),  # RFC 1122; Lambda's runtime API listens there
        ("169.254.0.0/16", "a link-local address"),  # RFC 3927; Lambda's own services
        ("172.16.0.0/12", "a private address"),  # RFC 1918
        ("192.0.0.0/24", "a reserved address"),  # RFC 6890, protocol assignments
        ("192.0.2.0/24", "a documentation address"),  # RFC 5737
        ("192.31.196.0/24", "an AS112 address"),  # RFC 7535, a sink for misdirected queries
        ("192.52.193.0/24", "a multicast relay"),  # RFC 7450, AMT
        ("192.88.99.0/24", "a 6to4 relay"),  # RFC 7526
        ("192.168.0.0/16", "a private address"),  # RFC 1918
        ("192.175.48.0/24", "an AS112 address"),  # RFC 7534
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
        ("100:0:0:1::/64", "a dummy address"),  # RFC 9780
        ("2001::/32", "a Teredo address"),  # RFC 4380
        ("2001:2::/48", "a benchmarking address"),  # RFC 5180
        ("2001::/23", "a reserved address"),  # RFC 2928, protocol assignments: ORCHID, AMT, ...
        ("2001:db8::/32", "a documentation address"),  # RFC 3849
        ("2002::/16", "a 6to4 address"),  # RFC 3056
        ("2620:4f:8000::/48", "an AS112 address"),  # RFC 7534
        ("3fff::/20", "a documentation address"),  # RFC 9637
        ("5f00::/16", "a segment routing address"),  # RFC 9602
        ("fc00::/7", "a unique local address"),  # RFC 4193
        ("fe80::/10", "a link-local address"),  # RFC 4291
        ("fec0::/10", "a site-local address"),  # RFC 3879, deprecated
        ("ff00::/8", "a multicast address"),  # RFC 4291
        # Only 2000::/3 is assigned as global unicast (RFC 3587).
        ("::/3", "a reserved address"),
        ("4000::/2", "a reserved address"),
        ("8000::/1", "a reserved address"),
    )
)

_LOW_BITS_HIDE_IPV4 = tuple(
    IPv6Network(network)
    for network in (
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
    )
)
#: RFC 8215. RFC 6052, section 2.2, defines these prefix lengths that fit into it.
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_NAT64_PREFIXES = (96, 64, 56, 48)
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_NO_IPV4_THERE = (IPv6Address("::"), IPv6Address("::1"))
#: The first half of an interface identifier, before the IPv4 address (RFC 5214, section 6.1).
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def _behind_nat64(address: IPv6Address, prefix_length: int) -> tuple[IPv4Address, ...]:
    """Return the candidates for all prefix lengths. A longer prefix leaves zeros in the place of
    the address, so a candidate of zeros counts only if there is no other."""
    lengths = [length for length in _NAT64_PREFIXES if length >= prefix_length]
    found = [each for length in lengths for each in _after_prefix(address, length)]
    return tuple(each for each in found if each not in _THIS_NETWORK) or tuple(found[:1])


def _after_prefix(address: IPv6Address, length: int) -> Iterator[IPv4Address]:
    """Yield the 32 bits after the prefix, both as they stand and without the octet that RFC 6052
    reserves (bits 64 to 71)."""
    bits = int(address)
    without_octet = bits >> 64 << 56 | bits & (1 << 56) - 1
    yield IPv4Address(bits >> 96 - length & 0xFFFF_FFFF)
    if length < 96:
        yield IPv4Address(without_octet >> 88 - length & 0xFFFF_FFFF)


def _is_isatap(address: Address) -> bool:
    return address.version == 6 and int(address) >> 32 & 0xFFFF_FFFF in _ISATAP
