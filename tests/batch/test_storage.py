from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleancut.batch import ledger as ledger_module
from cleancut.batch import remote, storage, web
from cleancut.batch.choose import choose
from cleancut.batch.inputs import LeftOut, resolve
from cleancut.batch.job import Finished, Job, Outcome, Started
from cleancut.batch.ledger import Ledger
from cleancut.batch.move import move_done
from cleancut.batch.plan import count, plan
from cleancut.batch.report import RunFacts, write_report
from cleancut.errors import (
    BadOption,
    CleancutError,
    ImageTooLarge,
    InputNotFound,
    MissingDependency,
    OutputNotWritable,
    StorageFailed,
    UnreadableImage,
)
from cleancut.imaging.files import read_bytes

# -- this machine's disks ----------------------------------------------------------------------


def test_writing_makes_the_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    place = storage.join(str(tmp_path), "new/deep/a.png")
    storage.write(place, b"data")
    storage.write(place, b"other data")
    assert storage.read(place) == b"other data"
    assert storage.listing(str(tmp_path / "new/deep")) == {"a.png"}
    assert storage.stat(place).size == 10
    assert storage.exists(place)
    storage.remove(place)
    storage.remove(place)
    assert not storage.exists(place)


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be synced")
def test_a_file_is_durable_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    monkeypatch.setattr(os, "fsync", noted)
    storage.write(str(tmp_path / "new/a.png"), b"data")
    assert synced[0] == str(tmp_path), "the new folder's name"
    assert synced[1].startswith(str(tmp_path / "new/.cleancut-"))
    assert synced[2] == str(tmp_path / "new")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_to_nothing_is_told_from_a_wrong_path(tmp_path: Path) -> None:
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    for ask in (storage.stat, read_bytes):
        with pytest.raises(InputNotFound) as link:
            ask(str(tmp_path / "link.jpg"))
        assert "link" in link.value.hint
        with pytest.raises(InputNotFound) as path:
            ask(str(tmp_path / "none.jpg"))
        assert path.value.hint == "check the path"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "link.jpg", "zero.jpg"):
        with pytest.raises(InputNotFound, match="a pipe, a socket or a device"):
            storage.read(str(tmp_path / name))
    left_out = LeftOut()
    found = [found.name for found in storage.walk(str(tmp_path), leave_out=left_out)]
    assert found == ["link.jpg", "zero.jpg"]  # these fail, and are told
    assert left_out.counts == {"not-a-picture": 1}


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="no shell substitutes pipes here")  # noqa: PTH112
def test_a_pipe_of_the_shell_s_own_is_a_list() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"https://host/a.jpg\n")
    os.close(writer)
    assert resolve([f"@/dev/fd/{reader}"]).files[0][0] == "https://host/a.jpg"
    os.close(reader)


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputNotWritable) as caught:
        storage.write(str(tmp_path / "a/b/c.png"), b"x")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/a", "a\0b"])
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    for root in ("out", "s3://bucket/out"):
        with pytest.raises(BadOption):
            storage.join(root, name)


def test_too_large_is_found_before_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    with pytest.raises(ImageTooLarge):
        storage.read(str(tmp_path / "a"), max_bytes=99)
    with pytest.raises(ImageTooLarge):
        storage.read(str(tmp_path / "gone"), size=3 << 30)
    assert len(storage.read(str(tmp_path / "a"), max_bytes=100)) == 100


def test_walking_is_sorted_and_relative(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a/b/c", "A"):
        storage.write(str(tmp_path / name), b"x")
    found = list(storage.walk(str(tmp_path)))
    assert [one.name for one in found] == ["A", "b", "a/z", "a/b/c"]
    assert all(one.size == 1 and one.version for one in found)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("s3://b/k", "s3"),
        ("GS://b", "gs"),
        ("a/b", ""),
        ("C:\\x", ""),
        ("c://x", ""),
        ("http://h", "http"),
    ],
)
def test_places_are_told_apart(place: str, kind: str) -> None:
    assert storage.scheme(place) == kind
    assert storage.is_remote(place) == bool(kind)


def test_other_schemes_are_refused() -> None:
    for place in ("ftp://host/a", "file:///etc/passwd", "memory://a"):
        with pytest.raises(BadOption):
            storage.read(place)


def test_messages_hold_no_secrets() -> None:
    assert storage.plain("https://me:secret@host/a.jpg?sig=secret#secret") == "https://host/a.jpg"
    assert storage.plain("https://host?token=secret") == "https://host"
    assert storage.plain("s3://bucket/a b?c.jpg") == "s3://bucket/a b?c.jpg"


# -- the web -----------------------------------------------------------------------------------


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/a.jpg":
            self._answer(200, b"picture")
        elif path == "/empty.jpg":
            self._answer(200, b"")
        elif path == "/huge.jpg":
            self._answer(200, b"", {"Content-Length": str(1 << 40)})
        elif path == "/endless.jpg":
            self._answer(200, b"x" * 5000, {"Connection": "close"}, length=False)
        elif path == "/short.jpg":
            self._answer(200, b"abc", {"Content-Length": "10"})
        elif path.startswith("/to/"):
            self._answer(302, b"", {"Location": path[3:] + "?key=secret"})
        elif path == "/loop":
            self._answer(302, b"", {"Location": "/loop"})
        elif path == "/file":
            self._answer(302, b"", {"Location": "file:///etc/passwd"})
        elif path.startswith("/status/"):
            self._answer(int(path[8:]), b"no")
        elif path == "/caf%C3%A9%20x.jpg":
            self._answer(200, b"accent")
        else:
            self._answer(404, b"no")

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, length: bool = True
    ) -> None:
        self.send_response(status)
        facts = headers or {}
        if length and "Content-Length" not in facts:
            facts = {**facts, "Content-Length": str(len(body))}
        for name, value in facts.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    web._opener.cache_clear()


def test_a_picture_of_the_web_is_read(site: str) -> None:
    assert storage.read(f"{site}/a.jpg?w=800") == b"picture"
    assert storage.read(f"{site}/to/a.jpg") == b"picture"
    assert storage.read(f"{site}/café x.jpg") == b"accent"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/gone.jpg", InputNotFound),
        ("/status/403", InputNotFound),
        ("/status/503", StorageFailed),
        ("/status/429", StorageFailed),
        ("/loop", InputNotFound),
        ("/file", InputNotFound),
        ("/empty.jpg", UnreadableImage),
        ("/huge.jpg", ImageTooLarge),
        ("/endless.jpg", ImageTooLarge),
        ("/short.jpg", StorageFailed),
        ("/to/status/404", InputNotFound),
    ],
)
def test_what_goes_wrong_on_the_web_is_said_without_secrets(
    site: str, path: str, kind: type[CleancutError]
) -> None:
    with pytest.raises(kind) as caught:
        storage.read(f"{site}{path}?token=secret", max_bytes=1000)
    assert "secret" not in caught.value.message + caught.value.hint
    assert caught.value.hint


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(StorageFailed, match="refused"):
        storage.read("http://127.0.0.1:9/a.jpg")


def test_addresses_with_a_password_are_refused_and_it_is_not_shown() -> None:
    with pytest.raises(BadOption) as caught:
        storage.read("https://me:secret@127.0.0.1/a.jpg")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/b.jpg?w=1#x", "b.jpg"),
        ("https://h/a%20b.jpg", "a b.jpg"),
        ("https://h/photo?id=7", "photo"),
        ("https://h", "picture"),
        ("https://h/?u=x/y.jpg", "picture"),
    ],
)
def test_addresses_have_sane_names(url: str, name: str) -> None:
    assert storage.base_name(url) == name


def test_the_web_is_read_only() -> None:
    with pytest.raises(OutputNotWritable):
        storage.write("https://host/a.png", b"x")


def test_the_key_in_an_address_is_in_no_ledger_and_report(tmp_path: Path) -> None:
    places = ["https://joe:SECRET@h/a.jpg", "https://h/b.jpg?sig=SECRET", "s3://k:SECRET@b/c.jpg"]
    assert [storage.keyless(place) for place in places] == [
        "https://h/a.jpg",
        "https://h/b.jpg?...",
        "s3://b/c.jpg",
    ]
    out = tmp_path / "out"
    with Ledger.open(str(out)) as ledger:
        for choice in choose(plan(places[:2], str(out), suffix="png"), ledger):
            ledger.record(Started(choice.job))
            ledger.record(Finished(choice.job, Outcome(choice.job.id, "done")))
        write_report(ledger, str(out), RunFacts(began=0, seconds=1))
    for file in out.rglob("*"):
        assert file.is_dir() or b"SECRET" not in file.read_bytes()
    with Ledger.open(str(out)) as ledger:  # and is known again all the same
        assert {ledger.reason(job) for job in plan(places[:2], str(out), suffix="png")} == {
            "output-missing"
        }


def test_a_broken_address_is_told_without_its_key() -> None:
    with pytest.raises(BadOption) as caught:
        storage.read("http://[::1/a.jpg?sig=SECRET")
    assert "SECRET" not in caught.value.message


def test_an_address_out_of_a_report_is_refused() -> None:
    with pytest.raises(BadOption, match="question mark"):
        storage.read("https://h/b.jpg?...")


def test_pictures_of_one_name_with_other_queries_are_two() -> None:
    jobs = list(plan(["https://h/p?id=1", "https://h/p?id=2"], "out", suffix="png"))
    assert len({job.name for job in jobs}) == len({job.id for job in jobs}) == 2
    assert [job.source for job in jobs] == ["https://h/p?id=1", "https://h/p?id=2"]


# -- an object store ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    remote._system.cache_clear()
    system = remote._system("s3")
    system.clear_instance_cache()
    remote._system.cache_clear()
    system = remote._system("s3")
    name = f"bucket-{os.urandom(4).hex()}"
    system.mkdir(name)
    yield f"s3://{name}"
    remote._system.cache_clear()


def test_objects_are_read_and_written_like_files(bucket: str) -> None:
    place = storage.join(bucket, "in/sub/a.jpg")
    assert not storage.exists(place)
    storage.write(place, b"picture")
    assert storage.read(place) == b"picture"
    found = storage.stat(place)
    assert (found.size, bool(found.version)) == (7, True)
    storage.write(place, b"another")
    assert storage.stat(place).version != found.version
    assert storage.listing(storage.join(bucket, "in/sub")) == {"a.jpg"}
    storage.remove(place)
    storage.remove(place)
    assert storage.listing(storage.join(bucket, "in/sub")) == set()


def test_what_goes_wrong_with_objects_is_said(bucket: str) -> None:
    storage.write(storage.join(bucket, "large"), b"x" * 100)
    storage.write(storage.join(bucket, "empty"), b"")
    with pytest.raises(ImageTooLarge):
        storage.read(storage.join(bucket, "large"), max_bytes=99)
    with pytest.raises(UnreadableImage):
        storage.read(storage.join(bucket, "empty"))
    with pytest.raises(InputNotFound, match="gone"):
        storage.read(storage.join(bucket, "gone"))
    with pytest.raises(CleancutError) as caught:
        storage.write("s3://no-such-bucket-at-all/a", b"x")
    assert "topsecret" not in caught.value.message
    for place in ("s3://", "s3:///a", "s3://me:secret@bucket/a"):
        with pytest.raises(BadOption) as refused:
            storage.read(place)
        assert "secret" not in refused.value.message


def test_a_store_that_is_not_there_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    remote._system.cache_clear()
    remote._system("s3").clear_instance_cache()
    remote._system.cache_clear()
    with pytest.raises(StorageFailed) as caught:
        storage.read(storage.join(bucket, "a"))
    assert "topsecret" not in caught.value.message


def test_a_missing_package_comes_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, package in (("gs", "gcsfs"), ("az", "adlfs"), ("s3", "s3fs")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        remote._system.cache_clear()
        with pytest.raises(MissingDependency) as caught:
            storage.read(f"{kind}://bucket/a")
        assert caught.value.hint == f"run: pip install 'cleancut[{kind}]'"
    remote._system.cache_clear()


def _run(source: str, out: str, **more: object) -> list[tuple[str, str]]:
    done = []
    with Ledger.open(out, settings={"a": 1}) as ledger:
        jobs: Iterator[Job] = plan([source], out, suffix="png")
        for choice in choose(jobs, ledger, **more):  # type: ignore[arg-type]
            done.append((choice.job.name, choice.reason))
            if choice.do == "todo":
                ledger.record(Started(choice.job))
                storage.write(choice.job.target, storage.read(choice.job.source))
                ledger.record(Finished(choice.job, Outcome(choice.job.id, "done")))
    return done


def test_a_prefix_is_planned_and_its_ledger_lies_beside_the_output(bucket: str) -> None:
    source, out = storage.join(bucket, "in"), storage.join(bucket, "in/out")
    for name in ("a.jpg", "a.png", "sub/b.jpg", "sub/notes.txt", ".hidden.jpg", "odd//c.jpg"):
        storage.write(f"{source}/{name}", name.encode())
    names = ["a.jpg.png", "a.png.png", "sub/b.png"]
    assert count([source], out) == 3
    assert _run(source, out, limit=2) == [(name, "new") for name in names[:2]]
    assert _run(source, out) == [(names[0], "done"), (names[1], "done"), (names[2], "new")]
    storage.remove(f"{out}/a.jpg.png")
    storage.write(f"{source}/sub/b.jpg", b"changed")
    assert dict(_run(source, out)) == dict(
        zip(names, ["output-missing", "done", "changed"], strict=True)
    )
    assert storage.read(f"{out}/sub/b.png") == b"changed"
    left = LeftOut()
    assert len(list(plan([source], out, suffix="png", left_out=left))) == 3
    assert left.counts == {"not-a-picture": 1, "hidden": 1, "output-folder": 1, "odd-name": 1}


def test_many_segments_become_one(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MANY_SEGMENTS", 5)
    out = storage.join(bucket, "out")
    job = Job("0123456789abcdef", "s3://b/a.jpg", f"{out}/a.png", "a.png", "v")
    with Ledger.open(out) as ledger:
        for _ in range(6):
            ledger.assigned(job)
            ledger.record(Started(job))
        ledger.record(Finished(job, Outcome(job.id, "done")))
    folder = f"{out}/.cleancut/ledger"
    assert len(storage.listing(folder)) > 5
    storage.write(job.target, b"x")
    Ledger.open(out).close()
    assert len(storage.listing(folder)) == 2
    with Ledger.open(out) as ledger:
        assert ledger.state(job) == "done"


def test_shards_on_a_store_keep_their_own_segments(bucket: str) -> None:
    out = storage.join(bucket, "out")
    jobs = [Job(f"{at:016x}", "s", f"{out}/{at}.png", f"{at}.png", "v") for at in (1, 2)]
    for index, job in enumerate(jobs, 1):
        with Ledger.open(out, shard=(index, 2)) as ledger:
            ledger.assigned(job)
            ledger.record(Finished(job, Outcome(job.id, "done")))
    names = storage.listing(f"{out}/.cleancut/ledger")
    assert {name.split("-of-")[0] for name in names} == {"ledger-1", "ledger-2"}
    with Ledger.open(out, read_only=True) as ledger:
        assert ledger.summary().done == 2


def test_a_done_object_moves_within_its_store(bucket: str) -> None:
    storage.write(f"{bucket}/in/sub/a.jpg", b"picture")
    (job,) = plan(resolve([f"{bucket}/in"]), f"{bucket}/out", suffix="png")
    assert move_done(job, f"{bucket}/done") == f"{bucket}/done/sub/a.jpg"
    assert storage.read(f"{bucket}/done/sub/a.jpg") == b"picture"
    assert not storage.exists(job.source)
    storage.write(job.source, b"another")
    (again,) = plan(resolve([f"{bucket}/in"]), f"{bucket}/out", suffix="png")
    assert move_done(again, f"{bucket}/done") == f"{bucket}/done/sub/a-{job.id[:6]}.jpg"


def test_an_empty_prefix_is_said_at_once(bucket: str) -> None:
    with pytest.raises(InputNotFound, match="nothing lies under"):
        resolve([f"{bucket}/nothing"])
