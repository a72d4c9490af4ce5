"""Which URLs and addresses may be called. The hostile URLs are data: vectors/hostile-urls.json."""

import json
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3.util import parse_url

from chalicelib.domain.address import (
    MAX_URL_CHARACTERS,
    AddressPolicy,
    Endpoint,
    judge_url,
    why_no_secrets,
    why_not_address,
    why_not_url,
)
from chalicelib.domain.networks import Address, Network

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "hostile-urls.json").read_text("utf-8")
)
PUBLIC_ONLY = AddressPolicy()
#: Every range in the contract and in IANA's registries, written down independently.
REFUSED_IPV4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
)
REFUSED = (
    *REFUSED_IPV4,
    "::/3",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "4000::/2",
    "8000::/1",
)
METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
PUBLIC = ("1.1.1.1", "8.8.8.8", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::200e")


def allowing(*networks: str) -> AddressPolicy:
    return AddressPolicy(allowed_networks=tuple(ip_network(network) for network in networks))


def address_in(network: Network) -> st.SearchStrategy[Address]:
    first, last = int(network[0]), int(network[-1])
    kind = IPv4Address if network.version == 4 else IPv6Address
    return st.integers(first, last).map(kind)


refused_addresses = st.sampled_from(REFUSED).map(ip_network).flatmap(address_in)
ipv4_addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
refused_ipv4 = refused_addresses.filter(lambda address: address.version == 4)


def number_spellings(number: int) -> list[str]:
    return [f"{number}", f"0{number:o}", f"0x{number:x}", f"0X{number:X}", f"0x000{number:x}"]


def full_width(text: str) -> str:
    return text.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})


@st.composite
def spellings(draw: st.DrawFn, addresses: st.SearchStrategy[Address]) -> str:
    """A host that stands for one of the addresses, in any known spelling."""
    address = draw(addresses)
    if isinstance(address, IPv6Address):
        written = draw(st.sampled_from([address.compressed, address.exploded]))
        return f"[{draw(st.sampled_from([written, written.upper()]))}]"
    number = int(address)
    count = draw(st.integers(1, 4))
    heads = [number >> (24 - 8 * place) & 0xFF for place in range(count - 1)]
    tail = number & (256 ** (5 - count) - 1)
    parts = [draw(st.sampled_from(number_spellings(part))) for part in [*heads, tail]]
    host = draw(st.sampled_from([".", "。", "．", "｡"])).join(parts)
    host += draw(st.sampled_from(["", "."]))
    return draw(st.sampled_from([host, full_width(host)]))


def hiding_places(address: IPv4Address) -> list[IPv6Address]:
    number = int(address)
    return [
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x64FF9B << 96 | number),
        IPv6Address(0x64FF9B0001 << 80 | number),
        IPv6Address(0x2002 << 112 | number << 80 | 1),
        IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (number ^ 0xFFFFFFFF)),
        IPv6Address(0x2A001450 << 96 | 0x5EFE << 32 | number),
        IPv6Address(0x2A001450 << 96 | 0x2005EFE << 32 | number),
    ]


@pytest.mark.parametrize("row", VECTORS["hostile"], ids=lambda row: ascii(row["url"])[1:60])
def test_a_hostile_url_is_refused_for_its_fault(row: dict[str, str]) -> None:
    """Each URL is refused for its own fault, not by luck for another one."""
    reasons = why_not_url(row["url"], PUBLIC_ONLY)
    assert any(row["reason"] in reason for reason in reasons), reasons


def test_there_are_enough_hostile_urls() -> None:
    """The table is long and has no duplicates."""
    urls = [row["url"] for row in VECTORS["hostile"]]
    assert len(set(urls)) == len(urls) >= 120


@pytest.mark.parametrize("row", VECTORS["acceptable"], ids=lambda row: ascii(row["url"])[1:60])
def test_an_acceptable_url_becomes_the_endpoint_that_is_called(row: dict[str, str]) -> None:
    """The endpoint is plain ASCII with a port, and reading it again changes nothing."""
    assert why_not_url(row["url"], PUBLIC_ONLY) == []
    found = judge_url(row["url"], PUBLIC_ONLY)
    assert isinstance(found, Endpoint)
    assert found.url == row["called"]
    assert judge_url(found.url, PUBLIC_ONLY) == found or len(found.url) > MAX_URL_CHARACTERS


def test_every_fault_of_a_url_is_reported_together() -> None:
    """A caller who fixes one fault does not get the next one only then."""
    assert why_not_url("http://user:word@127.0.0.1:22/", PUBLIC_ONLY) == [
        "must not hold a user or a password",
        "127.0.0.1 is a loopback address",
        "port 22 is not allowed: use 80, 443 or 1024 to 65535",
    ]


def test_an_odd_spelling_is_explained() -> None:
    """A caller who writes 2130706433 sees that it was understood."""
    assert why_not_url("http://2130706433/", PUBLIC_ONLY) == [
        "2130706433 is 127.0.0.1, a loopback address"
    ]


@pytest.mark.parametrize("row", VECTORS["addresses"], ids=lambda row: row["address"])
def test_the_kind_of_a_refused_address_is_named(row: dict[str, str]) -> None:
    """The address may come from a resolver."""
    assert why_not_address(ip_address(row["address"]), PUBLIC_ONLY) == row["kind"]


@given(spellings(refused_addresses), st.sampled_from(["http", "https"]), st.integers(1024, 65535))
@example("127。0。0。1", "http", 8080)
def test_no_spelling_of_a_refused_address_passes(host: str, scheme: str, port: int) -> None:
    """Decimal, octal, hexadecimal, short, international, exploded or with a dot: all are
    refused."""
    assert why_not_url(f"{scheme}://{host}:{port}/", PUBLIC_ONLY)


@given(refused_addresses)
def test_no_refused_address_passes(address: Address) -> None:
    """The check of resolved addresses covers every range in the contract."""
    assert why_not_address(address, PUBLIC_ONLY)


@given(ipv4_addresses)
def test_no_ipv4_address_passes_hidden_in_ipv6(address: IPv4Address) -> None:
    """Mapped, NAT64, local NAT64, 6to4, Teredo and ISATAP are refused, whatever they hide."""
    for hidden in hiding_places(address):
        assert why_not_address(hidden, PUBLIC_ONLY)
        assert why_not_url(f"http://[{hidden}]/", PUBLIC_ONLY)


@given(refused_ipv4)
def test_a_hidden_address_is_judged_even_if_the_outer_one_is_allowed(
    address: IPv4Address,
) -> None:
    """A deployment behind NAT64 may allow its prefix without opening its own network."""
    policy = allowing("::/0")
    for hidden in hiding_places(address):
        assert why_not_address(hidden, policy) == why_not_address(address, PUBLIC_ONLY)


@given(ipv4_addresses)
def test_an_ipv4_address_passes_if_and_only_if_it_is_public(address: IPv4Address) -> None:
    """The table refuses only what it lists."""
    named = any(address in ip_network(network) for network in REFUSED_IPV4)
    assert bool(why_not_address(address, PUBLIC_ONLY)) is named
    assert bool(why_not_url(f"http://{address}/", PUBLIC_ONLY)) is named


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    """Public unicast addresses may be called."""
    assert why_not_address(ip_address(address), PUBLIC_ONLY) is None


def test_a_zone_does_not_hide_a_link_local_address() -> None:
    """A resolver returns zones, and a socket would follow them."""
    assert why_not_address(ip_address("fe80::1%eth0"), PUBLIC_ONLY) == "a link-local address"


@given(st.text() | st.text().map("http://{}".format) | st.from_regex(r"https?://[^a-z]{1,20}"))
def test_judging_never_raises(url: str) -> None:
    """Any text from a caller is judged without an exception."""
    reasons = why_not_url(url, PUBLIC_ONLY)
    assert all(reason and len(reason) < 400 for reason in reasons)


@given(
    st.text("ab1.:/@?#[]%\\0x-_é。１ ", max_size=20).map("http://ex{}".format)
    | st.text("18.:/@?%x", max_size=12).map("https://8.8.8.8{}".format)
)
def test_all_parsers_read_an_endpoint_the_same_way(url: str) -> None:
    """Every parser finds the host that was judged in the accepted URL."""
    found = judge_url(url, PUBLIC_ONLY)
    if isinstance(found, Endpoint):
        assert found.url.isascii()
        for parsed in (urlsplit(found.url), parse_url(found.url)):
            assert parsed.scheme == found.scheme
            assert parsed.hostname == found.host
            assert parsed.port == found.port


DIGITS = st.characters(categories=["Nd"])


@given(st.text(DIGITS, min_size=1, max_size=3), st.sampled_from(["", "example.", "127.0.0."]))
def test_no_number_of_any_script_ends_a_name(number: str, before: str) -> None:
    """If any parser reads the last label as a number, it is an address or invalid, even in the form
    that DNS uses."""
    for host in (before + number, before + f"xn--{number.encode('punycode').decode()}"):
        assert why_not_url(f"http://{host}/", PUBLIC_ONLY), host


@given(st.from_regex(r"xn--[a-z0-9-]{0,20}", fullmatch=True))
@example("xn--0")
@example("xn--99999999999")
def test_an_invalid_international_label_raises_nothing(label: str) -> None:
    """Not every label with this prefix stands for something."""
    assert isinstance(why_not_url(f"http://{label}/", PUBLIC_ONLY), list)


@given(st.from_regex(r"/([a-zA-Z0-9/?:@!$&'()*+,;=._~\[\]-]|%[0-9a-fA-F]{2})*", fullmatch=True))
@example("/?")
@example("/a%2fb?ids[]=1")
@example("//a//b")
def test_a_target_is_sent_as_it_was_written(target: str) -> None:
    """A receiver may have signed it."""
    found = judge_url(f"http://example.com{target}", PUBLIC_ONLY)
    assert isinstance(found, Endpoint)
    assert found.target == target


@given(st.text("a/?%2fF+;=&~:@!$'()*,|^`{}[]<>\"é\\", max_size=12))
@example("/%2f%zz")
def test_nothing_is_left_to_encode(target: str) -> None:
    """Reading an endpoint's URL again gives the same endpoint."""
    found = judge_url(f"http://example.com/{target}", PUBLIC_ONLY)
    if isinstance(found, Endpoint):
        assert found.target.isascii()
        assert judge_url(found.url, PUBLIC_ONLY) == found


class TestAllowedNetworks:
    def test_literals_in_an_allowed_network_pass(self) -> None:
        """For local use and tests."""
        policy = allowing("10.1.0.0/16", "fd00:1::/32")
        assert why_not_url("http://10.1.2.3:8080/", policy) == []
        assert why_not_url("http://[fd00:1::5]:8080/", policy) == []
        assert why_not_address(ip_address("10.1.2.3"), policy) is None

    def test_other_literals_do_not(self) -> None:
        """Allowing one network allows no other."""
        policy = allowing("10.1.0.0/16")
        assert why_not_url("http://10.2.0.1/", policy) == ["10.2.0.1 is a private address"]
        assert why_not_url("http://[::ffff:10.1.2.3]/", policy)
        assert why_not_url("http://localhost:8080/", policy)

    def test_odd_spellings_stay_refused(self) -> None:
        """Parsers disagree on them, whatever address they stand for."""
        assert why_not_url("http://127.1:8080/", allowing("127.0.0.0/8")) == [
            "127.1 must be written 127.0.0.1"
        ]

    @pytest.mark.parametrize("network", ["127.0.0.0/8", "127.0.0.1/32", "::1/128"])
    def test_localhost_passes_with_a_loopback_network(self, network: str) -> None:
        """The address it leads to is judged when it is called."""
        assert why_not_url("http://localhost:8080/x", allowing(network)) == []
        assert why_not_url("http://localhost:79/x", allowing(network))

    def test_local_names_pass_with_any_network(self) -> None:
        """The addresses they lead to are judged when they are called."""
        policy = allowing("172.17.0.0/16")
        assert why_not_url("http://receiver:8080/", policy) == []
        assert why_not_url("http://host.docker.internal:8080/", policy) == []

    def test_a_clouds_metadata_names_never_pass(self) -> None:
        """No deployment intends to allow those."""
        policy = allowing("0.0.0.0/0", "::/0")
        assert why_not_url("http://metadata.google.internal/", policy)

    @pytest.mark.parametrize("address", METADATA)
    def test_a_clouds_metadata_addresses_never_pass(self, address: str) -> None:
        """A deployment's own network may contain one: 100.64.0.0/10, fd00::/8."""
        for network in ("0.0.0.0/0", "::/0", "169.254.0.0/16", "100.64.0.0/10", "fd00::/8"):
            assert why_not_address(ip_address(address), allowing(network)) == (
                "a cloud's metadata service"
            )

    def test_a_name_with_a_written_address_passes_with_its_network(self) -> None:
        """Names of nip.io and similar domains are convenient on one machine."""
        policy = allowing("127.0.0.0/8")
        assert why_not_url("http://app.127.0.0.1.nip.io:8080/", policy) == []
        assert why_not_url("http://app.localtest.me:8080/", policy) == []
        assert why_not_url("http://app.10.0.0.1.nip.io:8080/", policy) == [
            "app.10.0.0.1.nip.io leads to 10.0.0.1, a private address"
        ]

    def test_loopback_can_be_allowed_by_itself(self) -> None:
        """::1 hides no IPv4 address."""
        assert why_not_address(ip_address("::1"), allowing("::1/128")) is None

    def test_nat64_can_be_allowed_for_public_addresses(self) -> None:
        """In an IPv6-only network public names lead there."""
        policy = allowing("64:ff9b::/96")
        assert why_not_address(ip_address("64:ff9b::8.8.8.8"), policy) is None
        assert why_not_address(ip_address("64:ff9b::10.0.0.1"), policy) == "a private address"

    @pytest.mark.parametrize("length", [48, 56, 64, 96])
    @given(address=refused_ipv4)
    def test_no_private_address_is_reached_behind_a_local_nat64(
        self, length: int, address: IPv4Address
    ) -> None:
        """Wherever RFC 6052, section 2.2, puts the IPv4 address, around the free octet or not."""
        policy = allowing("64:ff9b:1::/48")
        prefix = int(ip_address("64:ff9b:1::"))
        plain = prefix | int(address) << 96 - length
        spread = int(address) << 88 - length if length < 96 else int(address)
        around = prefix | spread >> 56 << 64 | spread & (1 << 56) - 1
        for hidden in (plain, around):
            if address not in ip_network("0.0.0.0/8"):
                assert why_not_address(IPv6Address(hidden), policy)

    @pytest.mark.parametrize(
        "address", ["64:ff9b:1:a9fe:a9fe:0:808:808", "64:ff9b:1:7f00:0:100:808:808"]
    )
    def test_no_private_address_is_reached_behind_a_public_one(self, address: str) -> None:
        assert why_not_address(ip_address(address), allowing("64:ff9b:1::/48"))

    @pytest.mark.parametrize(
        ("prefix", "address"),
        [
            ("64:ff9b:1::/48", "64:ff9b:1:808:8:800::"),
            ("64:ff9b:1::/48", "64:ff9b:1::8.8.8.8"),
            ("64:ff9b:1:fffe::/96", "64:ff9b:1:fffe::8.8.8.8"),
            ("64:ff9b:1:abcd::/64", "64:ff9b:1:abcd:8:808:800:0"),
        ],
    )
    def test_public_addresses_behind_a_local_nat64_are_called(
        self, prefix: str, address: str
    ) -> None:
        assert why_not_address(ip_address(address), allowing(prefix)) is None


class TestWhereSecretsGo:
    @pytest.mark.parametrize("url", ["https://example.com", "HTTPS://93.184.216.34:8443/a?b"])
    def test_secrets_go_anywhere_over_https(self, url: str) -> None:
        assert why_no_secrets(url, PUBLIC_ONLY) == []

    @pytest.mark.parametrize("url", ["http://example.com", "HTTP://93.184.216.34/"])
    @pytest.mark.parametrize("policy", [PUBLIC_ONLY, allowing("10.0.0.0/8", "127.0.0.0/8")])
    def test_secrets_go_nowhere_over_http(self, url: str, policy: AddressPolicy) -> None:
        assert why_no_secrets(url, policy) == [
            "need an https callbackUrl: over http others can read them"
        ]

    @pytest.mark.parametrize(
        "host", ["10.1.2.3", "127.0.0.1", "[fd00::1]", "localhost", "receiver", "a.internal"]
    )
    def test_secrets_go_to_allowed_networks_over_http(self, host: str) -> None:
        policy = allowing("10.0.0.0/8", "127.0.0.0/8", "fd00::/8")
        assert why_no_secrets(f"http://{host}:8080/", policy) == []
        assert why_no_secrets(f"http://{host}:8080/", PUBLIC_ONLY) != []

    @pytest.mark.parametrize("host", ["localtest.me", "10-1-2-3.nip.io", "10.1.2.3.nip.io"])
    def test_secrets_do_not_go_to_a_name_that_somebody_else_can_redirect(self, host: str) -> None:
        policy = allowing("10.0.0.0/8", "127.0.0.0/8")
        assert why_not_url(f"http://{host}/", policy) == []
        assert why_no_secrets(f"http://{host}/", policy) != []
