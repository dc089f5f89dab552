from __future__ import annotations

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cleancut
from cleancut import Engine, Guidance, Options, cutout, sources
from cleancut.cache.disk import DiskCache
from cleancut.errors import (
    BadArray,
    BadOption,
    CleancutError,
    ImageTooLarge,
    InputNotFound,
    LicenceRefused,
    OutOfMemory,
    UnknownModel,
    UnreadableImage,
    WeightsMissing,
)


@pytest.fixture
def png(disc: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(disc).save(buffer, "PNG")
    return buffer.getvalue()


def test_every_kind_of_source_gives_the_same_pixels(
    disc: NDArray[np.uint8], png: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "disc.png"
    path.write_bytes(png)
    sources = [str(path), path, png, bytearray(png), io.BytesIO(png), Image.fromarray(disc), disc]
    results = [np.asarray(cutout(source, model="echo").image) for source in sources]
    assert results[0].shape == (96, 128, 4)
    for other in results[1:]:
        assert (other == results[0]).all()


def test_a_background_is_decoded_once_until_it_changes(
    disc: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wall.png"
    Image.fromarray(disc).save(path)
    engine = Engine(Options(model="echo", background=str(path)))
    read: list[object] = []
    decode = sources.read

    def watched(source: Any, **more: Any) -> Any:
        read.append(source if isinstance(source, str) else None)
        return decode(source, **more)

    monkeypatch.setattr(sources, "read", watched)
    first = engine.cutout(disc).composite
    assert first is not None
    assert np.array_equal(first, engine.cutout(disc).composite)
    assert read.count(str(path)) == 1
    Image.fromarray(255 - disc[:50]).save(path)
    assert not np.array_equal(first, engine.cutout(disc).composite)
    path.unlink()
    with pytest.raises(InputNotFound, match="--background"):
        engine.cutout(disc)


def test_under_a_limit_of_memory_no_background_is_held(
    disc: NDArray[np.uint8], tmp_path: Path
) -> None:
    place = tmp_path / "back.png"
    Image.new("RGB", (64, 48), (1, 2, 3)).save(place)
    engine = Engine(Options(model="echo"), max_model_bytes=1 << 30)
    assert engine.cutout(disc, background=str(place)).image.getpixel((0, 0)) == (1, 2, 3)
    assert engine._backdrops._last is None


def test_bgr_is_told_apart_only_by_the_argument() -> None:
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 2] = 200
    rgb = cutout(blue, model="echo", keep_hidden_rgb=True).foreground
    bgr = cutout(blue, bgr=True, model="echo", keep_hidden_rgb=True).foreground
    assert rgb[0, 0].tolist() == [0, 0, 200]
    assert bgr[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    "array",
    [
        np.full((4, 4, 3), np.nan, np.float32),
        np.zeros((4, 4, 7), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.full((4, 4, 3), 300, np.int64),
        np.full((4, 4), "a"),
    ],
)
def test_bad_arrays_are_typed_errors(array: NDArray[np.generic]) -> None:
    with pytest.raises(BadArray):
        cutout(array, model="echo")


def test_other_sources_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        cutout(tmp_path / "nope.jpg", model="echo")
    with pytest.raises(InputNotFound, match="folder"):
        cutout(tmp_path, model="echo")
    with pytest.raises(BadOption, match="int"):
        cutout(7, model="echo")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="colour"):
        cutout(tmp_path, model="echo", colour="red")  # type: ignore[call-arg]


def test_a_picture_over_the_limit_is_refused(png: bytes) -> None:
    with pytest.raises(ImageTooLarge, match="megapixel"):
        cutout(png, model="echo", max_megapixels=0.01)


def test_arrays_and_pil_images_are_held_to_the_limit_too(disc: NDArray[np.uint8]) -> None:
    for source in (disc, Image.fromarray(disc)):
        with pytest.raises(ImageTooLarge):
            cutout(source, model="echo", max_megapixels=0.01)


def test_the_first_cutout_needs_no_pull_and_no_place_to_write(
    png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLEANCUT_HOME", "CLEANCUT_CACHE", "HOME"):
        monkeypatch.setenv(name, "/dev/null/nowhere")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("went to the network"))
    result = cutout(png)
    assert result.alpha.shape == (96, 128)
    assert [note for note in result.notes if note.startswith("auto_model: cleancut-nano")]
    assert cutout(png, model="nano").model == "cleancut-nano"


def test_without_weights_the_error_names_the_command(png: bytes) -> None:
    with pytest.raises(WeightsMissing) as caught:
        cutout(png, model="silueta")
    assert caught.value.hint == "run: cleancut models pull silueta"
    with pytest.raises(WeightsMissing) as caught:
        cutout(png, commercial_only=True)
    assert caught.value.hint == "run: cleancut models pull u2netp modnet"


def test_model_and_licence_errors(png: bytes) -> None:
    with pytest.raises(UnknownModel):
        cutout(png, model="u3net")
    with pytest.raises(LicenceRefused):
        cutout(png, model="isnet", commercial_only=True)
    with pytest.raises(LicenceRefused):
        cutout(png, model="some.onnx", commercial_only=True)


def test_results_save_by_suffix_and_report_facts(png: bytes, tmp_path: Path) -> None:
    result = cutout(png, model="echo")
    for name in ("x.png", "x.webp", "x.jpg", "x.avif", "x.tiff"):
        with Image.open(result.save(tmp_path / name)) as saved:
            assert saved.size == (128, 96)
            assert (saved.mode == "RGB") == name.endswith("jpg")
            if name.endswith("jpg"):  # no transparency: on white
                assert min(saved.getpixel((0, 0))) > 250
    facts = result.to_dict()
    assert facts["model"] == "echo"
    assert facts["size"] == [128, 96]
    assert facts["box"][2] - facts["box"][0] == pytest.approx(60, abs=3)
    assert facts["coverage"] == pytest.approx(np.pi * 30**2 / (96 * 128), rel=0.02)
    stages = {"decode", "load", "model", "refine", "checks", "edges", "foreground", "compose"}
    assert set(facts["timings_ms"]) == stages
    assert facts["models"] == ["echo"]
    assert 0 < facts["confidence"] < 1


def test_small_files_hold_the_same_pixels(png: bytes) -> None:
    y, x = np.mgrid[:200, :300]
    waves = 128 + 60 * np.sin(x / 17) + 50 * np.cos(y / 23)
    grain = np.random.default_rng(0).normal(0, 2, (200, 300, 3))
    photo = np.clip(waves[..., None] + grain, 0, 255).astype(np.uint8)
    fast = cutout(photo, model="echo").encode("png")
    small = cutout(photo, model="echo", compress="small").encode("png")
    assert len(small) < len(fast)
    with Image.open(io.BytesIO(fast)) as one, Image.open(io.BytesIO(small)) as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    with pytest.raises(BadOption, match="compress"):
        cutout(png, model="echo", compress="tiny")  # type: ignore[arg-type]


def test_the_mask_can_be_written_alone(png: bytes) -> None:
    result = cutout(png, model="echo", only_mask=True)
    mask = Image.open(io.BytesIO(result.encode()))
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), np.asarray(result.mask))


def test_image_carries_profile_and_resolution(disc: NDArray[np.uint8]) -> None:
    image = Image.fromarray(disc)
    image.info["dpi"] = (300, 300)
    assert cutout(image, model="echo").image.info["dpi"] == (300, 300)


def test_background_pictures_are_read_by_the_engine(
    disc: NDArray[np.uint8], tmp_path: Path
) -> None:
    beach = tmp_path / "beach.png"
    Image.new("RGB", (50, 50), (1, 2, 3)).save(beach)
    result = cutout(disc, model="echo", background=str(beach))
    assert result.image.mode == "RGB"
    assert result.image.getpixel((0, 0)) == (1, 2, 3)
    assert result.image.getpixel((64, 48)) == (255, 255, 255)
    with pytest.raises(InputNotFound):
        cutout(disc, model="echo", background=str(tmp_path / "none.png"))


def test_one_model_is_loaded_once_by_many_threads(
    disc: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleancut.models import load as loading

    loads = []
    gate = threading.Barrier(4)
    real = loading.load

    def counted(spec, placing=None):  # type: ignore[no-untyped-def]
        loads.append(spec.id)
        return real(spec, placing)

    monkeypatch.setattr(loading, "load", counted)
    engine = Engine(Options(model="echo"))

    def work(_: int) -> bytes:
        gate.wait()
        return engine.cutout(disc).encode("png")

    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(work, range(4)))
    assert loads == ["echo"]
    assert len(set(files)) == 1


def test_the_least_recently_used_model_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from cleancut.models import load as loading
    from cleancut.models.echo import EchoModel

    loads: list[str] = []

    def fake(spec, placing=None):  # type: ignore[no-untyped-def]
        loads.append(spec.id)
        return EchoModel()

    monkeypatch.setattr(loading, "load", fake)
    engine = Engine(max_models=2)
    for name in ("u2netp", "isnet", "u2netp", "modnet", "u2netp", "isnet"):
        engine.model_for(Options(model=name))
    assert loads == ["u2netp", "isnet", "modnet", "isnet"]


def test_memory_errors_are_typed(disc: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    from cleancut import pipeline

    def hungry(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "cutout", hungry)
    with pytest.raises(OutOfMemory):
        cutout(disc, model="echo")


def test_custom_models_need_a_file(disc: NDArray[np.uint8]) -> None:
    with pytest.raises(WeightsMissing, match=r"net\.onnx"):
        cutout(disc, model="/nowhere/net.onnx")


def test_matte_is_the_alpha(disc: NDArray[np.uint8]) -> None:
    alpha = cleancut.matte(disc, model="echo")
    assert alpha.dtype == np.float32
    assert (alpha == cutout(disc, model="echo").alpha).all()


@pytest.mark.parametrize(
    "values", [{"max_models": 0}, {"max_model_bytes": 0}, {"threads": -1}, {"threads": "two"}]
)
def test_an_engine_of_impossible_size_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        Engine(**values)


@pytest.mark.parametrize("source", ["", " ", "https://example.org/a.jpg"])
def test_what_is_no_path_is_told_as_such(source: str) -> None:
    with pytest.raises(InputNotFound, match=r"empty|address"):
        Engine().read(source)


def test_an_unreadable_companion_is_named_not_the_picture(png: bytes, tmp_path: Path) -> None:
    junk = tmp_path / "junk.png"
    junk.write_bytes(b"no picture")
    for name in ("trimap", "mask", "matte", "scribbles"):
        guidance = cleancut.Guidance(**{name: str(junk)})
        with pytest.raises(UnreadableImage, match=rf"--{name} .*junk\.png: this is not"):
            cutout(png, model="echo", guidance=guidance)
    with pytest.raises(UnreadableImage, match=r"--mask: the data is empty|--mask: .*empty"):
        cutout(png, model="echo", guidance=cleancut.Guidance(mask=b""))
    with pytest.raises(UnreadableImage, match=r"--background .*junk\.png: this is not"):
        cutout(png, model="echo", background=str(junk))


def _file(pixels: NDArray[Any]) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def test_a_finished_matte_comes_out_as_it_went_in(disc: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(1)
    for most, kind in ((255, np.uint8), (65535, np.uint16)):
        grey = rng.integers(0, most, disc.shape[:2]).astype(kind)
        result = cutout(disc, model="/nowhere/net.onnx", guidance=Guidance(matte=_file(grey)))
        assert np.array_equal(result.alpha, grey / np.float32(most))
        assert (result.models, result.confidence) == (("matte",), None)
    byte = rng.integers(0, 255, disc.shape[:2]).astype(np.uint8)
    mask = cutout(disc, guidance=Guidance(matte=byte), only_mask=True).encode("png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(mask))), byte)


def test_a_cutouts_own_alpha_is_its_matte(disc: NDArray[np.uint8]) -> None:
    veil = np.linspace(0, 255, disc.shape[0] * disc.shape[1]).reshape(disc.shape[:2])
    picture = np.dstack([disc, veil.astype(np.uint8)])
    first = np.asarray(cutout(picture, model="echo").image)
    again = np.asarray(cutout(picture, guidance=Guidance(matte=first)).image)
    assert np.array_equal(first[..., 3], again[..., 3])
    more = np.full(disc.shape[:2], 255, np.uint8)
    lifted = np.asarray(cutout(picture, guidance=Guidance(matte=more)).image)
    assert np.array_equal(lifted[..., 3], picture[..., 3])  # what it lacks cannot be kept


def test_points_and_boxes_on_a_matte_mean_whole_objects() -> None:
    rgb = np.full((120, 200, 3), 200, np.uint8)
    rgb[30:90, 20:80] = (180, 30, 30)
    rgb[40:80, 130:170] = (20, 60, 150)
    grey = np.where(rgb[..., 1] < 100, np.uint8(255), np.uint8(0))
    gone = cutout(rgb, guidance=Guidance(matte=grey, remove_points=[(150, 60)])).alpha
    assert gone[40:80, 130:170].mean() < 0.02
    assert (gone[30:90, 20:80] == 1).all()
    boxed = cutout(rgb, guidance=Guidance(matte=grey, keep_box=(0, 0, 50, 120))).alpha
    assert (boxed[:, 50:] == 0).all()
    assert np.array_equal(boxed[:, :50], grey[:, :50] / np.float32(255))


def test_strokes_on_a_matte_hold_through_edge_options(disc: NDArray[np.uint8]) -> None:
    sheet = np.zeros((*disc.shape[:2], 3), np.uint8)
    sheet[5:15, 5:15], sheet[30:36, 30:36], sheet[20:26, :] = (0, 255, 0), (255, 0, 0), (0, 0, 255)
    grey = np.full(disc.shape[:2], 200, np.uint8)
    guidance = Guidance(matte=grey, scribbles=sheet)
    alpha = cutout(disc, guidance=guidance, grow="3", feather="2").alpha
    assert (alpha[5:15, 5:15] == 1).all()
    assert (alpha[30:36, 30:36] == 0).all()


def test_marks_on_parts_that_the_picture_lacks_are_refused(disc: NDArray[np.uint8]) -> None:
    sheet = np.full(disc.shape[:2], 255, np.uint8)
    sheet[:, :10] = 0
    picture = np.dstack([disc, sheet])
    with pytest.raises(BadOption, match="transparent"):
        cutout(picture, model="echo", guidance=cleancut.Guidance(keep_points=[(5, 5)]))


@pytest.mark.parametrize("guidance", ["trimap.png", {"trimap": "trimap.png"}])
def test_guidance_of_another_kind_is_refused(guidance: Any, png: bytes) -> None:
    with pytest.raises(BadOption, match=r"guidance: a (str|dict) is not") as caught:
        cutout(png, model="echo", guidance=guidance)
    assert "Guidance(trimap=" in caught.value.hint


def test_encoded_is_the_file_and_its_facts(png: bytes, disc: NDArray[np.uint8]) -> None:
    engine = Engine(Options(model="echo"))
    for source in (png, disc, io.BytesIO(png)):
        made = engine.encoded(source, format="webp")
        assert made.format == "webp"
        assert not made.cached
        assert made.result is not None
        assert made.data == engine.cutout(disc, format="webp").encode()
        assert made.facts == {**made.result.to_dict(), "cached": False}
        assert {"decode", "encode"} <= set(made.facts["timings_ms"])
    assert engine.encoded(png).format == "png"


def test_a_file_is_cut_once_with_a_cache(
    png: bytes, disc: NDArray[np.uint8], tmp_path: Path
) -> None:
    cache = DiskCache(tmp_path / "results")
    path = tmp_path / "disc.png"
    path.write_bytes(png)
    engine = Engine(Options(model="echo"), cache=cache)
    first = engine.encoded(path)
    for source in (str(path), png, memoryview(png), io.BytesIO(png)):
        again = engine.encoded(source)
        assert again.cached
        assert again.data == first.data
    other = Engine(Options(model="echo"), cache=cache)
    assert other.encoded(path).data == first.data
    for source in (disc, Image.fromarray(disc), Image.open(path)):  # not files: cut each time
        assert not engine.encoded(source).cached
    assert not engine.encoded(path, refine="off").cached
    assert engine.encoded(path, refine="off").cached
    cache.close()


def test_what_is_kept_is_found_without_cutting(png: bytes, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "results")
    engine = Engine(Options(model="echo"), cache=cache)
    other = Options(model="echo", only_mask=True)
    assert engine.kept(png) is None
    made = engine.encoded(png)
    engine.encoded(png, guidance=Guidance(mask=png))
    kept = engine.kept(png)
    assert kept is not None
    assert (kept.data, kept.cached, kept.facts["cached"]) == (made.data, True, True)
    assert engine.kept(png, options=other) is None
    assert engine.kept(png, guidance=Guidance(mask=png)) is not None
    assert engine.kept(png, guidance=Guidance(mask=png[:-1])) is None
    assert engine.kept(b"no picture") is None
    assert engine.kept(png, options=Options(model="isnet")) is None  # an error, when it is cut
    assert Engine(Options(model="echo")).kept(png) is None
    assert cache.contents().hits == 2
    cache.close()


def test_a_kept_result_is_found_without_heavy_imports(png: bytes, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "results")
    Engine(Options(model="echo"), cache=cache).encoded(png)
    cache.close()
    (tmp_path / "disc.png").write_bytes(png)
    code = f"""if True:
        import sys
        from pathlib import Path
        from cleancut import Engine, Options
        from cleancut.cache import open_cache
        engine = Engine(Options(model="echo"), cache=open_cache({str(tmp_path / "results")!r}))
        assert engine.kept(Path({str(tmp_path / "disc.png")!r}).read_bytes()).cached
        print([n for n in ("numpy", "cv2", "PIL", "onnxruntime", "openvino") if n in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_options_that_need_the_same_weights_share_one_model(
    disc: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleancut.models import load as loading

    loads = []
    real = loading.load

    def counted(spec, placing):  # type: ignore[no-untyped-def]
        loads.append(spec.id)
        return real(spec, placing)

    monkeypatch.setattr(loading, "load", counted)
    engine = Engine(Options(model="echo"), max_model_bytes=1 << 30)
    for changes in ({}, {"minmax": True}, {"refine": "best"}, {"format": "webp"}, {"crop": True}):
        engine.encoded(disc, **changes)  # type: ignore[arg-type]
    assert loads == ["echo"]
    assert [model.name for model in engine.loaded()] == ["echo"]


def test_errors_are_the_same_with_a_cache(png: bytes, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "results")
    plain, cached = Engine(Options(model="echo")), Engine(Options(model="echo"), cache=cache)
    for source, changes in [
        (b"no picture", {}),
        (b"", {}),
        ("", {}),
        ("https://example.org/a.jpg", {}),
        (tmp_path, {}),
        (7, {}),
        (png, {"max_megapixels": 0.01}),
        (png, {"model": "isnet"}),
        (png, {"model": "none"}),
        (png, {"background": str(tmp_path / "none.png")}),
        (png, {"guidance": "trimap.png"}),
    ]:
        with pytest.raises(CleancutError) as one:
            plain.encoded(source, **changes)  # type: ignore[arg-type]
        with pytest.raises(CleancutError) as other:
            cached.encoded(source, **changes)  # type: ignore[arg-type]
        assert (type(one.value), str(one.value)) == (type(other.value), str(other.value))
    cache.close()


def test_weights_that_are_replaced_make_another_result(png: bytes, tmp_path: Path) -> None:
    from tests.backends.graphs import conv

    net = tmp_path / "net.onnx"
    conv(net)
    cache = DiskCache(tmp_path / "results")
    options = Options(model=str(net), recipe="size=16 mean=0.5 output=alpha", backend="ort")
    first = Engine(options, cache=cache)
    assert not first.encoded(png).cached
    assert first.encoded(png).cached
    net.write_bytes(net.read_bytes() + b"\x32\x00")  # an empty domain: the same graph
    assert first.encoded(png).cached  # the network that this engine has loaded
    assert not Engine(options, cache=cache).encoded(png).cached
    cache.close()
