"""The same picture and options give the same pixels through every surface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut import Engine, Guidance, Options, cutout
from cleancut.cli.main import main
from cleancut.server.services import Services
from cleancut.server.settings import Settings
from tests.server.live import listening

CASES: list[tuple[dict[str, object], list[str]]] = [
    ({}, []),
    ({"crop": True, "margin": "5%"}, ["--crop", "--margin", "5%"]),
    ({"background": "#abc"}, ["--background", "#abc"]),
    ({"background": "#abcdef80"}, ["--background", "#abcdef80"]),
    ({"background": "blur:3"}, ["--background", "blur:3"]),
    ({"only_mask": True}, ["--only-mask"]),
    ({"max_side_px": 50, "keep_hidden_rgb": True}, ["--max-side", "50", "--keep-hidden-rgb"]),
    ({"decontaminate": False}, ["--no-decontaminate"]),
    ({"scale": "60%", "position": "0% 30%"}, ["--scale", "60%", "--position", "0% 30%"]),
    ({"max_output_megapixels": 0.002}, ["--max-output-megapixels", "0.002"]),
    ({"shadow": "drop:50,135,2%,2%"}, ["--shadow", "drop:50,135,2%,2%"]),
    ({"canvas": "90x70", "scale": "80%"}, ["--canvas", "90x70", "--scale", "80%"]),
    (
        {"canvas": "9x12mm@150", "sheet": "5x4cm", "background": "#438edb"},
        ["--canvas", "9x12mm@150", "--sheet", "5x4cm", "--background", "#438edb"],
    ),
]
#: What remove.bg's API calls the same, and what rembg's does; by the options' own texts.
REMOVEBG: list[tuple[dict[str, str], dict[str, object]]] = [
    ({}, {}),
    ({"crop": "true", "crop_margin": "5%"}, {"crop": True, "margin": "5%"}),
    ({"bg_color": "abc"}, {"background": "#abc"}),
    ({"bg_color": "abcdef80"}, {"background": "#abcdef80"}),
    ({"channels": "alpha"}, {"only_mask": True}),
    ({"scale": "60%", "position": "0% 30%"}, {"scale": "60%", "position": "0% 30%"}),
    ({"shadow_type": "drop"}, {"shadow": "drop:50,135,2%,2%"}),
]
REMBG: list[tuple[dict[str, str], dict[str, object]]] = [
    ({}, {}),
    ({"om": "true"}, {"only_mask": True}),
    ({"ppm": "true"}, {"binarise": True}),
    ({"dc": "true"}, {"decontaminate": True}),
    ({"a": "true", "ae": "5"}, {"decontaminate": True, "alpha_matting": "240,10,5"}),
    ({"bgc": "170,187,204,255"}, {"background": "#abc"}),
    ({"bgc": "171,205,239,128"}, {"background": "#abcdef80"}),
]
#: How rembg cuts, in our words.
AS_REMBG: dict[str, object] = {"refine": "off", "minmax": True, "decontaminate": False}


@pytest.fixture
def photo(disc: NDArray[np.uint8], tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    tinted = np.clip(disc * np.array((1, 0.8, 0.6)) + 10, 0, 255).astype(np.uint8)
    Image.fromarray(tinted).save(path)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A whole server with its working process."""
    data = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLEANCUT_HOME", str(data / "home"))
        patch.setenv("CLEANCUT_CACHE", str(data / "cache"))
        with serving(data, Options(model="echo")) as url:
            yield url


@contextmanager
def serving(data: Path, options: Options) -> Iterator[str]:
    """A server with a working process of its own, and ``options`` as its defaults."""
    settings = Settings(data=data, port=0, options=options, cache="off")
    with listening(Services.open(settings)) as (host, port):
        yield f"http://{host}:{port}"


def asked(url: str, path: str, name: str, picture: Path, fields: Mapping[str, str]) -> bytes:
    """The picture that the server answers with."""
    files = {name: (picture.name, picture.read_bytes())}
    answer = httpx.post(f"{url}{path}", files=files, data=dict(fields), timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.content


def as_fields(values: Mapping[str, object]) -> dict[str, str]:
    """Options as form fields."""
    return {
        name: str(value).lower() if value in (True, False) else str(value)
        for name, value in values.items()
    }


@pytest.mark.parametrize(("values", "flags"), CASES, ids=lambda value: str(value))
def test_library_engine_command_line_batch_and_server_agree(
    values: dict[str, object], flags: list[str], photo: Path, server: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.png"
    assert main(["cut", str(photo), "-o", str(out), "--model", "echo", "-q", *flags]) == 0
    options = Options.from_mapping({**values, "model": "echo"})
    by_function = cutout(photo, options=options).encode("png")
    by_engine = Engine(options).cutout(photo).encode("png")
    words = ["-o", str(tmp_path / "many"), "--model", "echo", "-q", *flags]
    assert main(["batch", str(photo), *words]) == 0
    by_batch = (tmp_path / "many" / "photo.png").read_bytes()
    by_server = asked(server, "/v1/cutouts", "image", photo, as_fields(values))
    assert by_function == by_engine == out.read_bytes() == by_batch == by_server


def test_a_retouched_matte_is_the_same_everywhere(photo: Path, server: str, tmp_path: Path) -> None:
    with Image.open(photo) as opened:
        size = opened.size
    grey = np.linspace(0, 255, size[0] * size[1]).astype(np.uint8).reshape(size[::-1])
    marks = np.zeros((*grey.shape, 3), np.uint8)
    marks[5:9, 5:40, 1] = marks[60:70, 5:40, 0] = marks[20:50, 10:60, 2] = 255
    files, flags = {}, []
    for name, pixels in (("matte", grey), ("scribbles", marks)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "photo.png")
        files[name] = (tmp_path / name / "photo.png").read_bytes()
        flags += [f"--{name}", str(tmp_path / name)]
    out = tmp_path / "out.png"
    assert main(["cut", str(photo), "-o", str(out), "-q", *flags]) == 0
    answer = httpx.post(
        f"{server}/v1/cutouts", files={"image": photo.read_bytes(), **files}, timeout=60
    )
    assert answer.headers["X-Model"] == "matte"
    guidance = Guidance(matte=files["matte"], scribbles=files["scribbles"])
    by_function = cutout(photo, guidance=guidance).encode("png")
    assert by_function == out.read_bytes() == answer.content
    alpha = np.asarray(Image.open(out))[..., 3]
    changed = np.flatnonzero((alpha != grey).any(axis=1))
    assert (changed.min(), changed.max()) == (5, 69)
    assert (alpha[60:70, 5:40] == 0).all()


def test_a_preset_means_the_same_everywhere(photo: Path, server: str, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    flags = ["--preset", "google", "--canvas", "150x150", "--model", "echo", "-q"]
    assert main(["cut", str(photo), "-o", str(out), *flags]) == 0
    assert main(["batch", str(photo), "-o", str(tmp_path / "many"), *flags]) == 0
    options = Options.of_preset("google", canvas="150x150", model="echo")
    fields = {"preset": "google", "canvas": "150x150"}
    by_server = asked(server, "/v1/cutouts", "image", photo, fields)
    by_batch = (tmp_path / "many" / "photo.png").read_bytes()
    by_function = cutout(photo, options=options).encode("png")
    assert by_function == out.read_bytes() == by_batch == by_server


@pytest.mark.parametrize(("fields", "values"), REMOVEBG, ids=lambda value: str(value))
def test_the_door_of_remove_bg_agrees(
    fields: dict[str, str], values: dict[str, object], photo: Path, server: str
) -> None:
    options = Options.from_mapping({**values, "model": "echo"})
    wanted = {"size": "full", "format": "png", **fields}
    by_door = asked(server, "/v1.0/removebg", "image_file", photo, wanted)
    assert by_door == cutout(photo, options=options).encode("png")


@pytest.mark.parametrize(("fields", "values"), REMBG, ids=lambda value: str(value))
def test_the_door_of_rembg_agrees(
    fields: dict[str, str], values: dict[str, object], photo: Path, server: str
) -> None:
    options = Options.from_mapping({**AS_REMBG, **values, "model": "echo"})
    by_door = asked(server, "/api/remove", "file", photo, fields)
    assert by_door == cutout(photo, options=options).encode("png")


@pytest.mark.weights
def test_all_agree_with_a_real_network(real_models: Path, tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.jpg", tmp_path / "out.png"
    y, x = np.mgrid[:300, :400]
    ball = np.clip(90 - np.hypot(y - 150, x - 190), 0, 1)[..., None]
    red, green = np.array((200, 40, 30)), np.array((90, 160, 90))
    shade = (0.6 + 0.4 * y / 300)[..., None]
    Image.fromarray((ball * red * shade + (1 - ball) * green).astype(np.uint8)).save(photo)
    options = Options(model="u2netp", precision="f32", crop=True, margin="5%")
    flags = ["--model", "u2netp", "--precision", "f32", "--crop", "--margin", "5%", "-q"]
    expected = cutout(photo, options=options).encode("png")
    assert main(["cut", str(photo), "-o", str(out), *flags]) == 0
    assert main(["batch", str(photo), "-o", str(tmp_path / "many"), *flags]) == 0
    assert expected == out.read_bytes() == (tmp_path / "many" / "photo.png").read_bytes()
    network = Options(model="u2netp", precision="f32")
    plain = cutout(photo, options=network.with_(**AS_REMBG)).encode("png")
    with serving(tmp_path / "server", network) as url:
        own = {"crop": "true", "margin": "5%"}
        assert asked(url, "/v1/cutouts", "image", photo, own) == expected
        door = {"crop": "true", "crop_margin": "5%", "size": "full"}
        assert asked(url, "/v1.0/removebg", "image_file", photo, door) == expected
        assert asked(url, "/api/remove", "file", photo, {}) == plain
    assert real_models.exists()
