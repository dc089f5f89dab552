from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleancut.errors import AddressRefused
from cleancut.server.addresses import is_public
from cleancut.server.urls import follow, read_url


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "whole"),
    [
        ("http://Example.COM", "example.com", 80, "/", "http://example.com/"),
        ("HTTPS://a.b:443/x", "a.b", 443, "/x", "https://a.b/x"),
        ("https://a.b:8443?q=1#f", "a.b", 8443, "/?q=1", "https://a.b:8443/?q=1"),
        ("http://a.b:/x", "a.b", 80, "/x", "http://a.b/x"),
        ("http://a.b./x", "a.b", 80, "/x", "http://a.b/x"),
        ("http://a_b-c.d/ü?ü=%20", "a_b-c.d", 80, "/%C3%BC?%C3%BC=%20", None),
        ("http://bücher.example.com/", "xn--bcher-kva.example.com", 80, "/", None),
        ("http://8.8.8.8:8080/", "8.8.8.8", 8080, "/", None),
        ("http://[2606:4700:0::1]/", "2606:4700::1", 80, "/", "http://[2606:4700::1]/"),
        ("http://a.b/x@y:z", "a.b", 80, "/x@y:z", None),
        ("http://a.b?http://c.d/", "a.b", 80, "/?http://c.d/", None),
        ("http://１.1.1.1/", "1.1.1.1", 80, "/", None),
        ("http://1。1。1。1/", "1.1.1.1", 80, "/", None),
    ],
)
def test_addresses_are_read(
    text: str, host: str, port: int, target: str, whole: str | None
) -> None:
    url = read_url(text)
    assert (url.host, url.port, url.target) == (host, port, target)
    assert (url.address is None) is (not host[0].isdigit())
    if whole:
        assert str(url) == whole


#: Schemes, spellings and tricks that are refused before anything is looked up.
HOSTILE = [
    "",
    " ",
    "x" * 9000,
    "photo.jpg",
    "//example.com/a.jpg",
    "/etc/passwd",
    "file:///etc/passwd",
    "file://example.com/a.jpg",
    "ftp://example.com/a.jpg",
    "gopher://example.com:6379/_INFO",
    "dict://example.com:11211/",
    "data:image/png;base64,AAAA",
    "jar:http://example.com!/a",
    "javascript:alert(1)",
    "ws://example.com/",
    "http:example.com",
    "http:/example.com/",
    "http:///example.com/",
    "http://",
    "http://?x",
    "http://#x",
    "http:\\\\example.com\\a",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://example.com:80@127.0.0.1:80/",
    "http://@example.com/",
    "http://exa\tmple.com/",
    "http://example.com/\r\nHost: internal",
    "http://example.com/a b",
    "http://example.com/\x00",
    "\x0bhttp://example.com/",
    "http://example.com/\u2028",
    "http://exa\u00a0mple.com/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://127.0.0.01/",
    "http://00000127.0.0.1/",
    "http://1.2.3.4.5/",
    "http://256.256.256.256/",
    "http://127.0.0.0x1/",
    "http://0/",
    "http://0x/",
    "http://127.0.0.1../",
    "http://127%2e0%2e0%2e1/",
    "http://%31%32%37.0.0.1/",
    "http://loc%61lhost/",
    "http://example.com%00.evil.com/",
    "http://example.com%2f@127.0.0.1/",
    "http://[::1/",
    "http://::1/",
    "http://[127.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.fe80::1]/",
    "http://[::1].example.com/",
    "http://[]/",
    "http://a..b/",
    "http://.a.b/",
    "http://-a.b/",
    "http://a.b:0/",
    "http://a.b:65536/",
    "http://a.b:999999/",
    "http://a.b:-1/",
    "http://a.b:8O/",
    "http://a.b:80:80/",
    "http://a.b:٨٠/",
    "http://a,b.c/",
    "http://a;b.c/",
    "http://a.b|c/",
    "http://ex＠mple.com/",
    "http://℀.example.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 130 + "com/",
    "http://example.com．127/",
]


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 80


@pytest.mark.parametrize("text", HOSTILE)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        read_url(text)
    assert len(caught.value.message) < 100
    assert "secret" not in caught.value.message


#: Every way of writing one address that ``inet_aton`` knows, and some that nobody does.
@st.composite
def _spellings(draw: st.DrawFn) -> tuple[str, ipaddress.IPv4Address]:
    address = draw(st.ip_addresses(v=4))
    parts = list(address.packed)
    count = draw(st.integers(1, 4))
    tail = int.from_bytes(bytes(parts[count - 1 :]), "big")
    numbers = [*parts[: count - 1], tail]
    written = []
    for number in numbers:
        how = draw(st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "00{}"]))
        written.append(how.format(number))
    return ".".join(written) + draw(st.sampled_from(["", "."])), address


@given(_spellings())
def test_a_spelling_is_the_address_itself_or_refused(
    spelt: tuple[str, ipaddress.IPv4Address],
) -> None:
    text, address = spelt
    try:
        url = read_url(f"http://{text}/")
    except AddressRefused:
        assert text.removesuffix(".") != str(address)
        return
    assert url.host == str(address)
    assert url.address == address


@given(st.text(max_size=40))
def test_any_host_is_a_name_an_address_or_refused(text: str) -> None:
    try:
        url = read_url(f"http://{text}/")
    except AddressRefused:
        return
    assert url.host.isascii()
    assert not set(url.host) & set("@/\\?#% \r\n")
    assert url.target.isascii()
    assert " " not in url.target
    try:
        known = ipaddress.ip_address(url.host)
    except ValueError:
        assert url.address is None
        assert not url.host.rpartition(".")[2].isdigit()
    else:
        assert url.address == known
        assert is_public(known) in (True, False)
    again = read_url(str(url))
    assert again == url


@pytest.mark.parametrize(
    ("location", "whole"),
    [
        ("/b?c", "https://a.b:444/b?c"),
        ("b", "https://a.b:444/x/b"),
        ("//c.d/e", "https://c.d/e"),
        ("https://c.d", "https://c.d/"),
        ("?q", "https://a.b:444/x/y?q"),
    ],
)
def test_redirects_are_followed(location: str, whole: str) -> None:
    assert str(follow(read_url("https://a.b:444/x/y"), location)) == whole


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://a.b/",
        "file:///etc/passwd",
        "ftp://c.d/",
        "//user@c.d/",
        "https://[::1",
        "\\\\c.d",
    ],
)
def test_redirects_that_lead_elsewhere_are_refused(location: str) -> None:
    with pytest.raises(AddressRefused):
        follow(read_url("https://a.b/x/y"), location)
