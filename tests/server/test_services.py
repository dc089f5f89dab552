from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.errors import SetupError, StorageFailed
from cleancut.options import Options
from cleancut.server.keys import Keys
from cleancut.server.services import Services, refuse_open_door
from cleancut.server.settings import Settings


def settings(tmp_path: Path, **more: object) -> Settings:
    return Settings(data=tmp_path / "data", options=Options(model="echo"), **more)  # type: ignore[arg-type]


def test_one_server_a_folder_until_it_stops(tmp_path: Path) -> None:
    first = Services.open(settings(tmp_path))
    with pytest.raises(SetupError, match="another server uses the data folder"):
        Services.open(settings(tmp_path))
    first.stop(0)
    Services.open(settings(tmp_path)).stop(0)


def test_the_spool_is_emptied_and_nobody_else_may_look(tmp_path: Path) -> None:
    made = settings(tmp_path)
    made.spool.mkdir(parents=True)
    (made.spool / "old").write_bytes(b"x")
    (made.spool / "folder").mkdir()
    (made.spool / "folder" / "old").write_bytes(b"x")
    (made.spool / "link").symlink_to(tmp_path)
    services = Services.open(made)
    assert list(made.spool.iterdir()) == []
    assert made.spool.stat().st_mode & 0o777 == 0o700
    assert tmp_path.exists()
    services.stop(0)


def test_a_keys_file_that_is_missing_ends_the_start(tmp_path: Path) -> None:
    made = settings(tmp_path, keys_file=tmp_path / "secret")
    with pytest.raises(SetupError, match="keys file is missing"):
        Services.open(made)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageFailed, match="cannot be made"):
        Services.open(settings(tmp_path))


@pytest.mark.parametrize(
    ("host", "insecure", "key", "open_"),
    [
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("localhost", False, False, True),
        ("0.0.0.0", False, False, False),
        ("::", False, False, False),
        ("192.168.1.5", False, False, False),
        ("0.0.0.0", True, False, True),
        ("0.0.0.0", False, True, True),
    ],
)
def test_other_addresses_need_a_key(
    tmp_path: Path, host: str, insecure: bool, key: bool, open_: bool
) -> None:
    made = settings(tmp_path, host=host, insecure=insecure)
    keys = Keys.of(made)
    if key:
        keys.add("shop")
    if open_:
        refuse_open_door(made, keys)
    else:
        with pytest.raises(SetupError, match="without an API key"):
            refuse_open_door(made, keys)


def test_the_front_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from cleancut.options import Options
from cleancut.server.services import Services
from cleancut.server.settings import Settings
place = Path({str(tmp_path)!r})
services = Services.open(
    Settings(data=place, options=Options(model="echo"), cache=str(place / "cache"))
)
from cleancut.server.app import create_app
from cleancut.server.listen import Listener
Listener(create_app(services), services)
services.engine.kept(b"no picture")
services.obstacles()
services.stop(0)
heavy = {{"numpy", "cv2", "PIL", "onnxruntime", "openvino", "onnx", "isal"}}
print(sorted(heavy & {{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
