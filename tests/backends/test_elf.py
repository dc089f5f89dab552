from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cleancut.backends import elf

linux = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


@pytest.fixture
def library() -> Path:
    return next(Path(np.__file__).parent.rglob("_multiarray_umath*.so"))


@linux
def test_a_library_that_loads_misses_nothing(library: Path) -> None:
    assert elf.missing_libraries(library) == []


@linux
def test_each_need_that_is_not_found_is_named(library: Path, tmp_path: Path) -> None:
    data = library.read_bytes()
    assert b"libm.so.6\0" in data
    renamed = tmp_path / "renamed.so"
    renamed.write_bytes(data.replace(b"libm.so.6\0", b"lib_.so.6\0"))
    assert "lib_.so.6" in elf.missing_libraries(renamed)
    assert "libm.so.6" not in elf.missing_libraries(renamed)


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 80, b"MZ" * 99]
)
def test_what_is_not_such_a_file_misses_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(content)
    assert elf.missing_libraries(path) == []
    assert elf.missing_libraries(tmp_path / "none.so") == []
