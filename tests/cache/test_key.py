from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleancut import Guidance, Options
from cleancut.cache import key as module
from cleancut.cache.key import result_key, suits
from cleancut.catalog import ModelSpec
from cleancut.errors import InputNotFound, LicenceRefused

#: A value other than the default for every option, with what else must be set for it to matter;
#: None where it cannot change a byte.
OTHER: dict[str, tuple[Any, dict[str, Any]] | None] = {
    "model": ("u2netp", {}),
    "recipe": ("size=64", {"model": "net.onnx"}),
    "backend": ("ort", {}),
    "device": ("cpu", {}),
    "precision": ("f32", {}),
    "commercial_only": None,
    "minmax": (True, {}),
    "refine": ("off", {}),
    "decontaminate": (False, {}),
    "threshold": (0.5, {}),
    "binarise": (True, {}),
    "alpha_matting": ("240,10,10", {}),
    "keep_largest": (True, {}),
    "min_area": ("9", {}),
    "fill_holes": (True, {}),
    "grow": ("2", {}),
    "shrink": ("2", {}),
    "feather": ("2", {}),
    "background": ("red", {}),
    "shadow": ("drop", {}),
    "format": ("webp", {}),
    "quality": (50, {"format": "webp"}),
    "compress": ("small", {}),
    "only_mask": (True, {}),
    "crop": (True, {}),
    "margin": ("5%", {"crop": True}),
    "scale": ("80%", {}),
    "position": ("center", {}),
    "canvas": ("50x50", {}),
    "head": ("70%", {"canvas": "35x45mm"}),
    "sheet": ("10x15cm", {"canvas": "35x45mm"}),
    "max_side_px": (100, {}),
    "max_output_megapixels": (0.25, {}),
    "keep_hidden_rgb": (True, {}),
    "layers": (True, {}),
    "strip": (True, {}),
    "recut": (True, {}),
    "fail_if_empty": None,
    "max_megapixels": None,
}


def _key(options: Options | None = None, source: bytes = b"x", guidance: Any = None) -> str | None:
    chosen = options or Options(model="echo")
    return result_key(source, chosen, guidance, weights=lambda spec: f"digest of {spec.id}")


def test_a_key_is_a_sha256_and_the_same_every_time() -> None:
    key = _key()
    assert key is not None
    assert len(key) == 64
    assert int(key, 16) >= 0
    assert key == _key() != _key(source=b"y")


def test_every_option_is_in_the_table() -> None:
    assert OTHER.keys() == {field.name for field in fields(Options)}


@pytest.mark.parametrize("name", [name for name, other in OTHER.items() if other])
def test_options_that_change_bytes_change_the_key(name: str, tmp_path: Path) -> None:
    other = OTHER[name]
    assert other is not None
    value, setting = other
    base = {"model": "isnet"} | setting
    assert _key(Options(**base)) != _key(Options(**base | {name: value}))


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"model": "isnet"}, {"model": "isnet-general-use"}),
        ({"model": "isnet"}, {"model": "ISNET"}),
        ({}, {"max_megapixels": 50.0}),
        ({}, {"fail_if_empty": True}),
        ({}, {"format": "png"}),
        ({}, {"quality": 70}),
        ({}, {"margin": "7"}),
        ({"format": "tiff"}, {"format": "tiff", "quality": 70}),
        ({"format": "webp"}, {"format": "webp", "compress": "small"}),
        ({"only_mask": True}, {"only_mask": True, "decontaminate": False, "keep_hidden_rgb": True}),
        ({"background": "white"}, {"background": "#ffffff"}),
        ({"model": "u2netp"}, {"model": "u2netp", "commercial_only": True}),
    ],
)
def test_what_cannot_change_bytes_does_not_change_the_key(
    one: dict[str, Any], same: dict[str, Any]
) -> None:
    assert _key(Options(**{"model": "u2netp"} | one)) == _key(Options(**{"model": "u2netp"} | same))


def test_a_zip_depends_on_what_both_its_files_depend_on() -> None:
    names: list[dict[str, Any]] = [{}, {"quality": 50}, {"compress": "small"}]
    assert len({_key(Options(model="u2netp", format="zip").with_(**more)) for more in names}) == 3


def test_a_refusal_is_not_turned_into_a_hit() -> None:
    assert _key(Options(model="isnet"))
    with pytest.raises(LicenceRefused):
        _key(Options(model="isnet", commercial_only=True))


def test_versions_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _key()
    monkeypatch.setattr(module, "PIPELINE_VERSION", module.PIPELINE_VERSION + 1)
    raised = _key()
    monkeypatch.setattr(module, "__version__", "9.9.9")
    assert len({before, raised, _key()}) == 3


def test_other_weights_and_other_recipes_are_other_keys(tmp_path: Path) -> None:
    options = Options(model=str(tmp_path / "net.onnx"))
    key = result_key(b"x", options, weights=lambda spec: "a")
    assert key != result_key(b"x", options, weights=lambda spec: "b")
    (tmp_path / "net.toml").write_text("mean = 0.4\n")
    assert key != result_key(b"x", options, weights=lambda spec: "a")


def _pretend_pulled(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    from cleancut.models import choose

    def is_pulled(spec: ModelSpec) -> Path | None:
        return Path(spec.id) if spec.id in names else None

    monkeypatch.setattr(choose, "is_pulled", is_pulled)


def test_auto_is_who_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for names in (("isnet",), ("u2netp",), ("isnet", "modnet"), ("isnet", "modnet", "u2netp")):
        _pretend_pulled(monkeypatch, *names)
        keys.append(_key(Options()))
    keys.append(_key(Options(model="isnet")))
    assert len(set(keys)) == len(keys)


def test_a_background_is_its_bytes_not_its_name(tmp_path: Path) -> None:
    for name, data in (("a.png", b"1"), ("b.png", b"1"), ("c.png", b"2")):
        (tmp_path / name).write_bytes(data)
    a, b, c = (
        _key(Options(model="echo", background=str(tmp_path / name)))
        for name in ("a.png", "b.png", "c.png")
    )
    assert a == b != c
    with pytest.raises(InputNotFound):
        _key(Options(model="echo", background=str(tmp_path / "d.png")))


def test_guidance_is_in_the_key(tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    path.write_bytes(b"1")
    said: list[Guidance] = [
        Guidance(trimap=path),
        Guidance(mask=path),
        Guidance(scribbles=path),
        Guidance(trimap=b"2"),
        Guidance(keep_points="1,2"),
        Guidance(remove_points="1,2"),
        Guidance(keep_points="1%,2"),
        Guidance(keep_box="1,2,3,4"),
        Guidance(roi="1,2,3,4"),
        Guidance(matte=path),
        Guidance(matte=path, scribbles=b"2"),
    ]
    keys = [_key(), *(_key(guidance=guidance) for guidance in said)]
    assert len(set(keys)) == len(keys)
    assert (
        keys[1] == _key(guidance=Guidance(trimap=str(path))) == _key(guidance=Guidance(trimap=b"1"))
    )
    assert keys[5] == _key(guidance=Guidance(keep_points=[(1, 2)]))
    assert keys[0] == _key(guidance=Guidance()) == _key(guidance=Guidance(keep_points=[]))


def test_guidance_without_bytes_has_no_key(tmp_path: Path) -> None:
    assert _key(guidance=Guidance(mask=np.zeros((2, 2), np.uint8))) is None
    with (tmp_path / "f").open("wb+") as file:
        assert _key(guidance=Guidance(trimap=file)) is None
    assert _key(guidance="trimap.png") is None


def test_who_brings_the_matte_needs_no_model() -> None:
    with_model = _key(Options(model="isnet"), guidance=Guidance(trimap=b"1"))
    assert with_model == _key(Options(model="u2netp"), guidance=Guidance(trimap=b"1"))
    assert result_key(b"x", Options(), Guidance(mask=b"1"), weights=lambda spec: "")


FACTS = {"size": [2000, 1000], "notes": ["a: b"]}


@pytest.mark.parametrize(
    ("facts", "options", "suited"),
    [
        (FACTS, Options(), True),
        (FACTS, Options(max_megapixels=2), True),
        (FACTS, Options(max_megapixels=1.9), False),
        (FACTS, Options(fail_if_empty=True), True),
        ({**FACTS, "notes": ["no_subject: x"]}, Options(), True),
        ({**FACTS, "notes": ["no_subject: x"]}, Options(fail_if_empty=True), False),
        ({}, Options(), False),
        ({"size": None, "notes": []}, Options(), False),
        ({"size": [1, 2], "notes": 7}, Options(), False),
    ],
)
def test_limits_are_looked_at_anew(facts: dict[str, Any], options: Options, suited: bool) -> None:
    assert suits(facts, options) is suited


def test_a_key_needs_neither_numpy_nor_a_runtime() -> None:
    code = (
        "import sys; from cleancut import Options, Guidance\n"
        "from cleancut.cache.key import result_key\n"
        "import cleancut.cache.recall, cleancut.cache.disk\n"
        "options = Options(model='isnet', background='blur:3', format='webp')\n"
        "assert result_key(b'x', options, Guidance(mask=b'1'), weights=lambda spec: '')\n"
        "assert result_key(b'x', options, weights=lambda spec: '')\n"
        "heavy = {'numpy', 'cv2', 'PIL', 'onnxruntime', 'openvino', 'redis', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_boxes_that_differ_by_a_hair_are_not_one() -> None:
    boxes = ("1234.9999,0,2000,9", "1235,0,2000,9")
    keys = {_key(guidance=Guidance(roi=box)) for box in boxes}
    assert len(keys) == 2
