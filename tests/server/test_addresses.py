from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleancut.errors import BadOption
from cleancut.server.addresses import Allowed, is_public, read_address

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2 168.63.129.16 172.16.0.1 172.31.255.255
192.0.0.1 192.0.0.192 192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1
198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1
::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8 100::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1
2002:a9fe:a9fe:: 2002:808:808::1 3ffe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456::1
fe80::1 fec0::1 ff02::1 ff0e::1 4000::1
"""
PUBLIC = """
1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 198.20.0.1
223.255.255.255 11.0.0.1 9.255.255.255 2606:4700::1111 2a00:1450:4001::1 2400:cb00::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:4860:4860::8888 2003::1
"""


@pytest.mark.parametrize("text", REFUSED.split())
def test_what_is_not_a_public_host_is_refused(text: str) -> None:
    address = read_address(text)
    assert address is not None
    assert not is_public(address)


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_are_public(text: str) -> None:
    address = read_address(text)
    assert address is not None
    assert is_public(address)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "1.2.3", "1.2.3.04", "x", "", "1.2.3.4 "])
def test_other_spellings_are_no_addresses(text: str) -> None:
    assert read_address(text) is None


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_knows_better(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not is_public(address):
        return
    inner: ipaddress.IPv4Address | ipaddress.IPv6Address = address
    if isinstance(address, ipaddress.IPv6Address):
        assert address.sixtofour is None
        assert address.teredo is None
        inner = address.ipv4_mapped or address
    assert inner.is_global
    for wrong in ("multicast", "private", "loopback", "link_local", "reserved", "unspecified"):
        if inner not in ipaddress.ip_network("64:ff9b::/96"):  # "reserved", and checked inside
            assert not getattr(inner, f"is_{wrong}"), wrong


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_changes_nothing(address: ipaddress.IPv4Address) -> None:
    for prefix in ("::ffff:", "64:ff9b::"):
        assert is_public(ipaddress.ip_address(f"{prefix}{address}")) == is_public(address)
    assert not is_public(ipaddress.ip_address(f"::{address}"))


def test_hosts_and_networks_may_be_allowed() -> None:
    allowed = Allowed(["10.1.0.0/16", "FD00::1", "Images.Example.Internal.", "minio", "[fd00::2]"])
    for text, known in (("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False)):
        address = read_address(text)
        assert address is not None
        assert allowed.address(address) is known
    assert allowed.host("images.example.internal")
    assert allowed.host("minio")
    assert not allowed.host("x.images.example.internal")
    assert not Allowed().host("")


@pytest.mark.parametrize("entry", ["", "*", "http://a.b", "10.1.0.0/33", "a b", "1.2.3", "a..b"])
def test_a_wrong_entry_is_an_error_at_once(entry: str) -> None:
    with pytest.raises(BadOption, match="fetch-from"):
        Allowed([entry])
