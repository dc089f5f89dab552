"""Public clients of remove.bg and rembg, unchanged, at our server."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from cleancut import Options, cutout
from tests.server.live import Live, opened, photo, serving

#: What a client must get for a request with the given size.
PREVIEW = Options(model="echo", max_output_megapixels=0.25)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("server"), key=True) as found:
        yield found


@pytest.fixture
def picture(disc: NDArray[Any], tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(photo(disc))
    return path


@pytest.fixture
def removebg(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``RemoveBg`` of the PyPI package removebg 0.4; only where it sends to is changed."""
    module = pytest.importorskip("removebg.removebg")
    monkeypatch.setattr(module, "API_ENDPOINT", f"{live.url}/v1.0/removebg")
    before = list(logging.root.handlers)
    yield lambda key=live.client.headers["x-api-key"]: module.RemoveBg(
        key, str(tmp_path / "error.log")
    )
    for handler in set(logging.root.handlers) - set(before):
        logging.root.removeHandler(handler)
        handler.close()


def test_removebg_sends_a_file(removebg: Any, picture: Path) -> None:
    removebg().remove_background_from_img_file(str(picture))
    made = picture.with_name("photo.png_no_bg.png").read_bytes()
    assert made == cutout(picture, options=PREVIEW).encode("png")


def test_removebg_sends_base64_and_a_colour(removebg: Any, picture: Path, tmp_path: Path) -> None:
    text = base64.b64encode(picture.read_bytes()).decode()
    out = tmp_path / "no-bg.jpg"
    removebg().remove_background_from_base64_img(
        text, size="4k", new_file_name=str(out), bg_color="81d4fa"
    )
    options = PREVIEW.with_(max_output_megapixels=25, background="#81d4fa")
    assert out.read_bytes() == cutout(picture, options=options).encode("jpg")


def test_removebg_sees_a_refusal(removebg: Any) -> None:
    import requests

    with pytest.raises(requests.HTTPError, match="403"):
        removebg("wrong").remove_background_from_base64_img("AAAA")
    with pytest.raises(requests.HTTPError, match="400"):
        removebg().remove_background_from_img_url("http://10.0.0.1/cat.jpg")


#: Sends what a program sends to api.remove.bg to the local server instead.
_REDIRECT = """
const http = require("http"), https = require("https");
https.request = (options, heard) => {
  if ((options.host || options.hostname) !== "api.remove.bg") throw new Error("not for us");
  const local = {protocol: "http:", host: "127.0.0.1", hostname: "127.0.0.1", agent: undefined};
  return http.request({...options, ...local, port: process.env.PORT}, heard);
};
"""
_PROGRAM = """
const {removeBackgroundFromImageFile, removeBackgroundFromImageBase64} = require("remove.bg");
const [path, key] = process.argv.slice(2);
const base64img = require("fs").readFileSync(path).toString("base64");
(async () => {
  const one = await removeBackgroundFromImageFile(
    {path, apiKey: key, size: "regular", type: "product", crop: true, outputFile: "file.png"});
  const two = await removeBackgroundFromImageBase64(
    {base64img, apiKey: key, scale: "50%", position: "0% 100%", outputFile: "base64.png"});
  const refused = await removeBackgroundFromImageFile({path, apiKey: "wrong"}).catch(e => e);
  delete one.base64img; delete two.base64img;
  console.log(JSON.stringify([one, two, refused]));
})();
"""


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
def test_the_npm_package_remove_bg(live: Live, picture: Path, tmp_path: Path) -> None:
    install = ["npm", "install", "remove.bg@1.3.0", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(install, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    (tmp_path / "redirect.js").write_text(_REDIRECT)
    (tmp_path / "program.js").write_text(_PROGRAM)
    key = live.client.headers["x-api-key"]
    done = subprocess.run(
        ["node", "-r", "./redirect.js", "program.js", str(picture), key],
        cwd=tmp_path,
        env={**os.environ, "PORT": live.url.rpartition(":")[2], "NODE_NO_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    one, two, refused = json.loads(done.stdout)
    assert (one["detectedType"], one["resultWidth"], two["resultWidth"]) == ("product", "61", "128")
    assert refused[0]["code"] == "auth_failed"
    cropped = cutout(picture, options=PREVIEW.with_(crop=True)).encode("png")
    assert (tmp_path / "file.png").read_bytes() == cropped
    placed = cutout(picture, options=PREVIEW.with_(scale="50%", position="0% 100%")).encode("png")
    assert (tmp_path / "base64.png").read_bytes() == placed


def test_curl_as_rembg_documents_it(live: Live, picture: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    out = tmp_path / "output.png"
    key = live.client.headers["x-api-key"]
    command = ["curl", "-s", "-H", f"X-API-Key: {key}", "-F", f"file=@{picture}"]
    subprocess.run([*command, f"{live.url}/api/remove", "-o", str(out)], check=True, timeout=20)
    options = Options(model="echo", refine="off", minmax=True, decontaminate=False)
    assert out.read_bytes() == cutout(picture, options=options).encode("png")


@pytest.mark.weights
@pytest.mark.slow
def test_remove_bg_python_on_the_drop_in(
    real_models: Path, disc: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """remove-bg-python 1.0.0 asks no server: it is a caller of rembg's Python functions."""
    import cleancut.rembg

    pytest.importorskip("cv2")
    monkeypatch.setitem(sys.modules, "rembg", cleancut.rembg)
    module = pytest.importorskip("remove_bg_python.remove")
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    source.write_bytes(photo(disc))
    assert module.remove_byte(str(source), str(target)) is True
    assert opened(target.read_bytes()).mode == "RGBA"
    assert module.remove_direct(str(source), str(target)) is True
    assert opened(target.read_bytes()).mode == "RGBA"
    assert real_models.exists()
