"""The handler for AWS Lambda, by itself and where Lambda would run it."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.portraits import Person, drawn

FOLDER = Path(__file__).parents[1] / "deploy" / "lambda"


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("lambda_handler", FOLDER / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn([Person(160, 130)], (320, 320))[0]).save(file, "JPEG")
    return file.getvalue()


def _event(body: bytes, **more: Any) -> dict[str, Any]:
    text = base64.b64encode(body).decode("ascii")
    return {"version": "2.0", "body": text, "isBase64Encoded": True, "headers": {}, **more}


def _image(answer: dict[str, Any]) -> Image.Image:
    assert answer["statusCode"] == 200, base64.b64decode(answer["body"])
    return Image.open(io.BytesIO(base64.b64decode(answer["body"])))


def _error(answer: dict[str, Any]) -> dict[str, str]:
    told: dict[str, str] = json.loads(base64.b64decode(answer["body"]))
    return told


def test_a_picture_comes_back_as_a_cutout(module: Any, photo: bytes) -> None:
    answer = module.handler(_event(photo), None)
    image = _image(answer)
    assert answer["headers"]["Content-Type"] == "image/png"
    assert 0 <= float(answer["headers"]["X-Confidence"]) <= 1
    assert image.size == Image.open(io.BytesIO(photo)).size
    assert image.getchannel("A").getextrema() == (0, 255)


def test_options_come_by_query_or_as_json(module: Any, photo: bytes) -> None:
    query = {"background": "white", "format": "jpg"}
    assert _image(module.handler(_event(photo, queryStringParameters=query), None)).mode == "RGB"
    asked = {"image": base64.b64encode(photo).decode(), "options": {"max_side_px": 40}}
    headers = {"Content-Type": "application/json; charset=utf-8"}
    event = {"httpMethod": "POST", "headers": headers, "body": json.dumps(asked)}
    assert max(_image(module.handler(event, None)).size) == 40


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"body": None}, 400, "bad-request"),
        ({"body": "!!"}, 400, "bad-request"),
        ({"body": base64.b64encode(b"no picture").decode()}, 400, "unreadable-image"),
        ({"isBase64Encoded": False}, 400, "bad-request"),
        ({"queryStringParameters": {"nonsense": "1"}}, 400, "bad-option"),
        ({"queryStringParameters": {"backend": "openvino"}}, 400, "bad-option"),
        ({"queryStringParameters": {"background": "/etc/passwd"}}, 400, "bad-option"),
        ({"headers": {"content-type": "application/json"}}, 400, "bad-request"),
    ],
)
def test_what_cannot_be_is_answered_not_raised(
    module: Any, photo: bytes, change: dict[str, Any], status: int, code: str
) -> None:
    answer = module.handler({**_event(photo), **change}, None)
    assert (answer["statusCode"], _error(answer)["error"]) == (status, code)
    assert "etc" not in answer["headers"]["Content-Type"]


def test_what_lambda_cannot_answer_is_said(
    module: Any, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    answer = module.handler(_event(photo), None)
    assert answer["statusCode"] == 413
    assert "max_side_px" in _error(answer)["hint"]


CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from handler import handler
print(handler(json.load(open(sys.argv[2])), None)["statusCode"])
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="mounts need root on Linux",
)
def test_it_runs_where_only_a_small_tmp_can_be_written(photo: bytes, tmp_path: Path) -> None:
    home, small, given = tmp_path / "home", tmp_path / "tmp", tmp_path / "given"
    for folder in (home, small, given):
        folder.mkdir()
    (given / "event.json").write_text(json.dumps(_event(photo)), "utf-8")
    (given / "child.py").write_text(CHILD, "utf-8")
    confined = (
        f"mount -t tmpfs -o size=16m tmpfs {small} && mount -t tmpfs -o ro tmpfs {home} && "
        f'exec "$@"'
    )
    command = [sys.executable, str(given / "child.py"), str(FOLDER), str(given / "event.json")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", confined, "sh", *command],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(small)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.stderr.startswith(("unshare:", "mount:")):
        pytest.skip("no mounts here")
    assert done.stdout == "200\n", done.stderr
