from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cleancut.errors import AddressRefused, BodyTooLarge, FetchFailed, StorageFailed
from cleancut.server.fetch import Fetcher
from cleancut.server.settings import Settings
from tests.server.origin import Origin, moved, origin, plain


def fetcher(**how: Any) -> Fetcher:
    """One that may ask this machine."""
    settings = {name: how.pop(name) for name in ("fetch", "fetch_from") if name in how}
    return Fetcher(Settings(**{"fetch_from": ("127.0.0.1",), **settings}), **how)


def knows(**names: str | list[str]) -> tuple[Callable[[str, int], list[str]], list[str]]:
    """A resolver that knows ``names`` (with _ for a dot), and the list of what it was asked."""
    asked: list[str] = []

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        found = names.get(name.rstrip(".").replace(".", "_"))
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found] if isinstance(found, str) else found

    return resolve, asked


def test_a_picture_is_fetched_into_the_folder(tmp_path: Path) -> None:
    with origin(plain(b"\xff\xd8" * 90_000, "Content-Type: image/JPEG; x=1")) as server:
        url = f"http://127.0.0.1:{server.port}/a%20b.jpg?sig=1#f"
        got = fetcher().get(url, max_bytes=1 << 20, folder=tmp_path)
    assert got.path.parent == tmp_path
    assert got.path.read_bytes() == b"\xff\xd8" * 90_000
    assert got.path.stat().st_mode & 0o077 == 0
    assert (got.content_type, got.size) == ("image/jpeg", 180_000)
    assert got.final_url == url.partition("#")[0]
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a%20b.jpg?sig=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert "Accept-Encoding: identity" in lines
    assert not any(line.lower().startswith(("cookie", "authorization")) for line in lines)


def test_chunks_are_put_together(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with origin(head + b"5\r\nabcde\r\n3;x=y\r\nfgh\r\n0\r\nTrailer: 1\r\n\r\n") as server:
        got = fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=8, folder=tmp_path)
    assert got.path.read_bytes() == b"abcdefgh"


def test_a_body_may_end_with_the_connection(tmp_path: Path) -> None:
    with origin(b"HTTP/1.0 200 OK\r\n\r\nabc") as server:
        got = fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=3, folder=tmp_path)
    assert got.path.read_bytes() == b"abc"


REFUSED = [
    "http://127.0.0.1/",
    "http://127.1.2.3:8080/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/metadata",
    "http://192.0.0.192/opc/v2/",
    "http://172.16.9.9/",
    "http://192.168.1.1/",
    "http://198.18.0.1/",
    "http://203.0.113.9/",
    "http://224.0.0.251/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]/",
    "http://[fc00::1]/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://ⓛocalhost/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://router.lan/",
    "http://x.home.arpa/",
    "http://redis:6379/",
    "http://metadata/",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:25/",
    "https://8.8.8.8:445/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_addresses_that_are_not_public_are_refused_unasked(url: str, tmp_path: Path) -> None:
    resolve, asked = knows()
    guarded = fetcher(resolve=resolve, fetch_from=())
    for act in (
        lambda: guarded.get(url, max_bytes=9, folder=tmp_path),
        lambda: guarded.post(url, b"", {}, timeout_s=5),
        lambda: guarded.check(url),
    ):
        with pytest.raises(AddressRefused) as caught:
            act()
        assert str(tmp_path) not in caught.value.message
    assert asked == []


@pytest.mark.parametrize(
    "answer",
    [
        "127.0.0.1",
        "10.0.0.7",
        "169.254.169.254",
        "::1",
        "::ffff:10.0.0.7",
        "fe80::1%eth0",
        "not an address",
        ["8.8.8.8", "10.0.0.7"],
        ["2606:4700::1", "::ffff:127.0.0.1"],
        [],
    ],
)
def test_every_address_of_a_name_has_to_be_public(
    answer: str | list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _never)
    resolve, asked = knows(evil_example_com=answer)
    with pytest.raises(AddressRefused) as caught:
        fetcher(resolve=resolve, fetch_from=()).get(
            "http://evil.example.com:8080/x?secret", max_bytes=9, folder=tmp_path
        )
    said = caught.value.message + caught.value.hint
    assert "evil.example.com" in said
    assert not any(text in said for text in ("10.0.0.7", "127.0.0.1", "169.254", "secret"))
    assert asked == ["evil.example.com."]


def _never(*_: object) -> None:
    raise AssertionError("connected")


def test_the_name_is_resolved_once_and_the_connection_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public, every later one is not (DNS rebinding)."""
    answers = iter([["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]])
    connected: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        connected.append(address)
        real(self, ("127.0.0.1", address[1]))

    monkeypatch.setattr(socket, "getaddrinfo", _never)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with origin(plain()) as server:
        guarded = fetcher(resolve=lambda name, port: next(answers), fetch_from=())
        url = f"http://rebind.example.com:{server.port}/"
        guarded.get(url, max_bytes=99, folder=tmp_path)
        assert connected == [("93.184.215.14", server.port)]
        with pytest.raises(AddressRefused):
            guarded.get(url, max_bytes=99, folder=tmp_path)
    assert len(connected) == 1
    assert f"Host: rebind.example.com:{server.port}".encode() in server.requests[0]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://169.254.169.254/",
        "http://[::1]:{port}/",
        "http://0x7f000001:{port}/",
        "http://localhost:{port}/",
        "http://inner.example.com:{port}/",
        "http://user@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:{port}\\@8.8.8.8/",
    ],
)
def test_redirects_are_judged_like_the_first_address(location: str, tmp_path: Path) -> None:
    resolve, _ = knows(inner_example_com="10.0.0.7")
    with origin(plain()) as server:
        server.answers[0] = moved(location.format(port=server.port))
        with pytest.raises(AddressRefused) as caught:
            fetcher(resolve=resolve).get(
                f"http://127.0.0.1:{server.port}/", max_bytes=99, folder=tmp_path
            )
    assert len(server.requests) == 1
    assert "169.254" not in caught.value.message
    assert "inner" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_five_redirects_are_followed_and_no_more(status: int, tmp_path: Path) -> None:
    hops: list[Any] = [moved(f"/{n}", status) for n in range(5)]
    with origin(*hops, plain(b"there")) as server:
        got = fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=9, folder=tmp_path)
    assert got.path.read_bytes() == b"there"
    assert got.final_url == f"http://127.0.0.1:{server.port}/4"
    with origin(moved("/again")) as server, pytest.raises(FetchFailed, match="more than 5"):
        fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=9, folder=tmp_path)
    assert len(server.requests) == 6


def test_odd_letters_of_a_redirect_are_sent_encoded(tmp_path: Path) -> None:
    with origin(moved("/a b/ü"), plain(b"there")) as server:
        fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=9, folder=tmp_path)
    assert server.requests[1].startswith(b"GET /a%20b/%FC HTTP/1.1")


def _endless(data: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def say(sock: socket.socket) -> None:
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            sock.sendall(data)
            time.sleep(pause_s)

    return say


def _silent(sock: socket.socket) -> None:
    """Say nothing until the client goes."""
    sock.recv(1)


def _then(head: bytes, rest: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    def say(sock: socket.socket) -> None:
        sock.sendall(head)
        rest(sock)

    return say


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        plain(b"x" * 1001),
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nx",
        _then(OK + b"\r\n", _endless(b"x" * 5000)),
        _then(OK + b"Content-Length: -5\r\n\r\n", _endless(b"x" * 5000)),
        _then(CHUNKED, _endless(b"400\r\n" + b"x" * 1024 + b"\r\n")),
        _then(CHUNKED + b"FFFFFFFFFFFFFFF\r\n", _endless(b"x" * 5000)),
        _then(CHUNKED + b"-1\r\n", _endless(b"x" * 5000)),
    ],
    ids=["declared", "absurd", "endless", "negative", "chunks", "one chunk", "negative chunk"],
)
def test_a_body_over_the_limit_is_given_up(answer: Any, tmp_path: Path) -> None:
    with origin(answer) as server, pytest.raises(BodyTooLarge, match="MiB"):
        fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=1000, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (plain(status="404 Not Found"), "answered 404"),
        (plain(status="401 Unauthorized"), "answered 401"),
        (plain(status="500 Oh"), "answered 500"),
        (plain(status="206 Partial Content"), "answered 206"),
        (plain(status="304 Not Modified"), "answered 304"),
        (plain(b""), "empty"),
        (plain(b"x", "Content-Encoding: gzip"), "compressed"),
        (plain(b"x", "Content-Encoding: br"), "compressed"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "compressed"),
        (OK + b"Content-Length: 10\r\n\r\nabc", "ended after 3 of 10"),
        (CHUNKED + b"5\r\nab", "ended early"),
        (CHUNKED + b"zz\r\nab", "HTTP|ended early"),
        (b"", "ended early"),
        (b"SSH-2.0-OpenSSH_9\r\n", "HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "HTTP"),
        (b"\x16\x03\x01\x00\xff", "HTTP"),
        (OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n", "HTTP|headers"),
        (OK + b"X: 1\r\n" * 200 + b"\r\n", "HTTP"),
        (_then(OK, _endless(b"X-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" % 1)), "HTTP|headers"),
        (_endless(b"HTTP/1.1 100 Continue\r\n\r\n"), "headers"),
        (moved(""), "AddressRefused"),
    ],
)
def test_what_is_no_picture_is_told_in_plain_words(answer: Any, said: str, tmp_path: Path) -> None:
    with origin(answer) as server, pytest.raises((FetchFailed, AddressRefused)) as caught:
        fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=1000, folder=tmp_path)
    told = f"{type(caught.value).__name__}: {caught.value.message}"
    assert any(word in told for word in said.split("|")), told
    assert "Errno" not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [
        _silent,
        _endless(b"H", 0.05),
        _then(OK, _endless(b"X", 0.05)),
        _then(OK + b"Content-Length: 900\r\n\r\n", _endless(b"x", 0.05)),
        _then(CHUNKED, _endless(b"1\r\nx\r\n", 0.05)),
        _then(CHUNKED + b"1;", _endless(b"x", 0.05)),
    ],
    ids=["silence", "status", "header", "body", "chunks", "extension"],
)
def test_a_server_that_drips_is_left_in_time(answer: Any, tmp_path: Path) -> None:
    started = time.monotonic()
    with origin(answer) as server:
        with pytest.raises(FetchFailed, match="in time") as caught:
            fetcher(total_s=0.4).get(
                f"http://127.0.0.1:{server.port}/", max_bytes=1000, folder=tmp_path
            )
        assert time.monotonic() - started < 2
    assert caught.value.retry_after_s
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    ended = threading.Event()

    def slow(name: str, port: int) -> list[str]:
        ended.wait(5)
        return ["8.8.8.8"]

    with pytest.raises(FetchFailed, match="in time"):
        fetcher(resolve=slow, total_s=0.2).get("http://a.b/", max_bytes=9, folder=tmp_path)
    ended.set()


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), UnicodeError("x"), OSError(5, "x")])
def test_a_name_that_does_not_resolve_is_told(error: Exception, tmp_path: Path) -> None:
    def fail(name: str, port: int) -> list[str]:
        raise error

    with pytest.raises(FetchFailed, match=r"^nowhere\.example\.com"):
        fetcher(resolve=fail).get("http://nowhere.example.com/", max_bytes=9, folder=tmp_path)


def test_nobody_listening_is_told_and_the_next_address_is_tried(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(FetchFailed, match="refuses"):
        fetcher().get(f"http://127.0.0.1:{port}/", max_bytes=9, folder=tmp_path)
    resolve, _ = knows(two_example_com=["127.0.0.9", "127.0.0.1"])
    with origin(plain(b"here")) as server:
        got = fetcher(resolve=resolve, fetch_from=("127.0.0.0/8",)).get(
            f"http://two.example.com:{server.port}/", max_bytes=9, folder=tmp_path
        )
    assert got.size == 4


def test_hosts_may_be_allowed_by_name(tmp_path: Path) -> None:
    resolve, asked = knows(minio="127.0.0.1")
    with origin(plain(b"here")) as server:
        allowed = fetcher(resolve=resolve, fetch_from=("minio",))
        assert allowed.get(
            f"http://minio:{server.port}/", max_bytes=9, folder=tmp_path
        ).path.read_bytes()
        with pytest.raises(AddressRefused):
            allowed.get(f"http://127.0.0.1:{server.port}/", max_bytes=9, folder=tmp_path)
    assert asked == ["minio"]  # with the search list that container networks need


def test_fetching_can_be_switched_off(tmp_path: Path) -> None:
    off = fetcher(fetch=False)
    with pytest.raises(AddressRefused, match="fetches no URLs"):
        off.get("http://127.0.0.1/", max_bytes=9, folder=tmp_path)
    with pytest.raises(AddressRefused):
        off.post("http://127.0.0.1/", b"", {}, timeout_s=1)


def test_proxies_of_the_environment_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with origin(plain(b"here")) as server:
        assert fetcher().get(f"http://127.0.0.1:{server.port}/", max_bytes=9, folder=tmp_path).size


def test_a_folder_that_cannot_be_written_is_the_servers_trouble(tmp_path: Path) -> None:
    with origin(plain()) as server, pytest.raises(StorageFailed) as caught:
        fetcher().get(
            f"http://127.0.0.1:{server.port}/", max_bytes=99, folder=tmp_path / "not-there"
        )
    assert "not-there" not in caught.value.message


def test_a_webhook_is_posted_and_its_status_told(tmp_path: Path) -> None:
    for status in ("204 No Content", "500 Oh", "302 Found"):
        with origin(plain(b"x" * 100, "Location: http://10.0.0.1/", status=status)) as server:
            got = fetcher().post(
                f"http://127.0.0.1:{server.port}/hook",
                b'{"id": 1}',
                {"Content-Type": "application/json", "X-Signature": "t=1", "Host": "evil"},
                timeout_s=5,
            )
        assert got == int(status[:3])
        assert len(server.requests) == 1
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert body == b'{"id": 1}'
        assert head.startswith(b"POST /hook HTTP/1.1")
        assert b"X-Signature: t=1" in head
        assert b"evil" not in head
    with pytest.raises(FetchFailed), origin(_silent) as server:
        fetcher().post(f"http://127.0.0.1:{server.port}/", b"x", {}, timeout_s=0.3)
    with pytest.raises(FetchFailed, match="line break"):
        fetcher().post("http://127.0.0.1:9/", b"x", {"A": "b\r\nHost: c"}, timeout_s=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for pictures.example.com that signs itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [
        x509.DNSName("pictures.example.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _tls(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext, list[str]]:
    """Contexts of both sides, and the names that clients asked for."""
    asked: list[str] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    serving.sni_callback = lambda sock, name, context: asked.append(name)  # type: ignore[assignment]
    return serving, ssl.create_default_context(cafile=str(certificate)), asked


def _get(client: Fetcher, server: Origin, host: str, folder: Path) -> bytes:
    url = f"https://{host}:{server.port}/"
    return client.get(url, max_bytes=99, folder=folder).path.read_bytes()


def test_the_certificate_has_to_be_the_names(certificate: Path, tmp_path: Path) -> None:
    serving, trusting, asked = _tls(certificate)
    resolve, _ = knows(pictures_example_com="127.0.0.1", other_example_com="127.0.0.1")
    with origin(plain(b"here"), context=serving) as server:
        client = fetcher(resolve=resolve, context=trusting)
        assert _get(client, server, "Pictures.example.com.", tmp_path) == b"here"
        assert asked == ["pictures.example.com"]
        assert b"Host: pictures.example.com:" in server.requests[0]
        assert _get(client, server, "127.0.0.1", tmp_path) == b"here"
        with pytest.raises(FetchFailed, match="certificate"):
            _get(client, server, "other.example.com", tmp_path)
        with pytest.raises(FetchFailed, match="certificate"):
            _get(fetcher(resolve=resolve), server, "pictures.example.com", tmp_path)
    with origin(plain(b"here")) as server, pytest.raises(FetchFailed, match="TLS"):
        _get(client, server, "pictures.example.com", tmp_path)


def test_a_redirect_from_https_to_http_is_refused(certificate: Path, tmp_path: Path) -> None:
    serving, trusting, _ = _tls(certificate)
    with origin(moved("http://127.0.0.1/"), context=serving) as server:
        client = fetcher(context=trusting)
        with pytest.raises(AddressRefused, match="https to http"):
            _get(client, server, "127.0.0.1", tmp_path)


def test_a_handshake_that_hangs_is_given_up(tmp_path: Path, certificate: Path) -> None:
    _, trusting, _ = _tls(certificate)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = fetcher(context=trusting, total_s=0.3)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(FetchFailed, match="in time"):
            client.get(url, max_bytes=9, folder=tmp_path)


def test_many_threads_may_fetch_at_once(tmp_path: Path) -> None:
    client = fetcher()
    with origin(plain(b"x" * 50_000)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        sizes: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: sizes.append(
                    client.get(url, max_bytes=1 << 20, folder=tmp_path).size
                )
            )
            for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sizes == [50_000] * 24
    assert len(list(tmp_path.iterdir())) == 24


def test_both_families_are_tried_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four addresses of a family that does not work leave a try for the other."""
    tried: list[str] = []

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", connect)
    sixes = [f"2606:4700::{n}" for n in range(1, 6)]
    resolve, _ = knows(both_example_com=[*sixes, "1.1.1.1", "1.0.0.1"])
    with pytest.raises(FetchFailed, match="broke") as caught:
        fetcher(resolve=resolve).get("http://both.example.com/", max_bytes=9, folder=tmp_path)
    assert tried == ["2606:4700::1", "1.1.1.1", "2606:4700::2", "1.0.0.1"]
    assert "1.1.1.1" not in caught.value.message
