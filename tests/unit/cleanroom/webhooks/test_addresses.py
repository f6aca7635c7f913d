"""The room calls the public internet and what its operator has named, whatever an address looks like."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from cleanroom.webhooks.addresses import MAX_URL, Guard, Target, resolved
from cleanroom.webhooks.errors import AddressError

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PUBLIC = ["203.0.114.7", "2606:4700::1111"]
PRIVATE = [
    *("127.0.0.1", "127.255.0.3", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1", "192.0.0.8", "198.18.0.1"),
    *(
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
    ),
    *("2001:db8::1", "fec0::1", "64:ff9b:1::1"),
    # Version 4 inside version 6: mapped, compatible, NAT64, 6to4, Teredo.
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "2001:0:a00:1:0:0:f5ff:fffe"),
]


def of(*addresses: str, networks=()) -> Guard:
    """A guard whose resolver knows one answer to everything."""
    return Guard(networks, lambda _host, _port: addresses)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_called_whether_written_or_resolved(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressError):
        Guard().check(f"https://{host}/")
    with pytest.raises(AddressError):
        of(address).target("https://hooks.example.org/")
    # One among public ones is enough: the next connection could go there.
    with pytest.raises(AddressError):
        of(*PUBLIC, address).target("https://hooks.example.org/")


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "10.1", "0"],
)
def test_numbers_that_resolvers_read_as_addresses_are_no_names(host: str) -> None:
    for networks in ((), LOOPBACK):
        with pytest.raises(AddressError):
            Guard(networks).check(f"https://{host}/")


def test_the_resolver_does_read_such_numbers_which_is_why_they_are_refused() -> None:
    assert resolved("2130706433", 443) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks.example.org", "//hooks.example.org/", "ftp://hooks.example.org/", "file:///etc/passwd"),
        *("https://", "https:///x", "https://u:p@hooks.example.org/", "https://u@hooks.example.org/"),
        *("https://hooks.example.org/#x", "https://hooks.example.org:0/", "https://hooks.example.org:99999/"),
        *(
            "https://[::1/",
            "https://hooks.example.org\\@127.0.0.1/",
            "https://a b/",
            "https://x\n.example.org/",
        ),
        *(
            "https://ёлки.рф/",
            "https://%31%30.0.0.1/",
            "https://localhost/",
            "https://db/",
            "https://a.local/",
        ),
        *(
            "https://metadata.internal/",
            "http://hooks.example.org/",
            "http://127.0.0.1/",
            "http://localhost/",
        ),
        "https://hooks.example.org/" + "x" * MAX_URL,
    ],
)
def test_what_is_not_an_address_of_https_is_refused(url: str) -> None:
    with pytest.raises(AddressError) as error:
        Guard().check(url)
    assert error.value.remedy


def test_a_public_name_leads_to_all_of_its_addresses() -> None:
    url = "https://hooks.example.org./in?token=x"
    assert Guard().check(url) == url
    assert of(*PUBLIC, PUBLIC[0]).target(url) == Target("hooks.example.org", tuple(map(ip_address, PUBLIC)))
    assert Guard().target("https://203.0.114.7:8443/").addresses == (ip_address("203.0.114.7"),)


def test_a_name_without_an_address_is_told_like_one_with_a_private_one() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror

    texts = set()
    for guard in (Guard((), unknown), of("10.0.0.1"), of()):
        with pytest.raises(AddressError) as error:
            guard.target("https://hooks.example.org/")
        texts.add(str(error.value))
    assert len(texts) == 1


def test_the_operator_names_networks_and_only_loopback_goes_without_tls() -> None:
    guard = of("127.0.0.1", networks=LOOPBACK)
    assert guard.target("http://localhost:8080/").addresses == (ip_address("127.0.0.1"),)
    assert guard.target("http://[::ffff:127.0.0.1]:8080/")
    with pytest.raises(AddressError, match="https"):
        guard.check("http://10.0.0.1/")
    with pytest.raises(AddressError, match="private"):
        guard.check("https://10.0.0.1/")
    # A name of loopback that leads elsewhere.
    with pytest.raises(AddressError):
        of("203.0.114.7", networks=LOOPBACK).target("http://localhost/")
    named = of("10.1.2.3", networks=(ip_network("10.1.2.0/24"),))
    assert named.target("https://hooks.internal/").addresses == (ip_address("10.1.2.3"),)
    with pytest.raises(AddressError):
        named.check("http://10.1.2.3/")
    with pytest.raises(AddressError):
        of("10.1.3.3", networks=(ip_network("10.1.2.0/24"),)).target("https://hooks.internal/")
