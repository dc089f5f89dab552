"""From a photograph to an ID photo and to a document of layers, on every surface."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleancut import Engine, Options
from cleancut.cli.main import main
from cleancut.errors import BadOption, ManyPeople, NoPerson
from cleancut.guidance import Guidance
from tests.portraits import CHIN, CROWN, Person, drawn

PASSPORT = {"canvas": "35x45mm", "head": "74%,8%"}
#: Rows of the crown and the chin in 531.
CROWN_ROW, CHIN_ROW = 0.08 * 531, 0.82 * 531


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(Options(model="echo"))


def taken(*people: Person):  # type: ignore[no-untyped-def]
    rgb, alpha = drawn(people, (900, 800))
    return rgb, Guidance(matte=np.rint(alpha * 255).astype(np.uint8))


@pytest.mark.parametrize("person", [Person(420, 300), Person(500, 300, 0.8, -11.0)], ids=str)
def test_the_head_is_where_it_was_asked_for(engine: Engine, person: Person) -> None:
    rgb, matte = taken(person)
    result = engine.cutout(rgb, guidance=matte, background="#d0e0ff", **PASSPORT)
    assert result.image.size == (413, 531)
    assert result.dpi == (300, 300)
    rows = np.flatnonzero(result.alpha.max(axis=1) > 0.5)
    assert abs(rows[0] - CROWN_ROW) <= 3
    skin = np.abs(result.foreground.astype(int) - (218, 170, 140)).max(axis=2) < 12
    chin = np.flatnonzero((skin & (result.alpha > 0.9))[:, 196:217].any(axis=1))[-1]
    # The networks see the chin of a drawn face a little higher than it is drawn.
    assert abs(chin - CHIN_ROW) <= 0.06 * (CHIN - CROWN) * 1.7
    head = np.flatnonzero(result.alpha[150] > 0.5)
    assert abs((head[0] + head[-1]) / 2 - 206) <= 6
    assert result.alpha[-1].max() > 0.9


def test_the_room_above_is_shared_out_where_none_is_given(engine: Engine) -> None:
    rgb, matte = taken(Person(420, 300))
    result = engine.cutout(rgb, guidance=matte, canvas="300x400", head="50%")
    assert 0.1 * 400 < np.flatnonzero(result.alpha.max(axis=1) > 0.5)[0] < 0.3 * 400


def test_two_people_and_nobody_are_errors(engine: Engine) -> None:
    rgb, matte = taken(Person(230, 300, 0.8), Person(640, 300, 0.8))
    with pytest.raises(ManyPeople, match="2 people"):
        engine.cutout(rgb, guidance=matte, **PASSPORT)
    alone = np.asarray(matte.matte).copy()
    alone[:, 435:] = 0
    assert engine.cutout(rgb, guidance=Guidance(matte=alone), **PASSPORT).alpha.shape == (531, 413)
    wall = np.full((300, 200, 3), 180, np.uint8)
    with pytest.raises(NoPerson):
        engine.cutout(wall, guidance=Guidance(matte=wall[..., 0]), **PASSPORT)


def test_no_face_is_looked_for_unless_a_head_is_asked_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cleancut.models import faces

    def refuse(threads: int | None) -> None:
        raise AssertionError("looked for a face")

    monkeypatch.setattr(faces, "load_faces", refuse)
    rgb, matte = taken(Person(420, 300))
    engine.cutout(rgb, guidance=matte, canvas="35x45mm")


def test_the_command_line_makes_the_same_picture(engine: Engine, tmp_path: Path) -> None:
    rgb, matte = taken(Person(420, 300, 1.0, 5.0))
    source, drawn_matte, out = (tmp_path / name for name in ("in.png", "matte.png", "id.png"))
    Image.fromarray(rgb).save(source)
    Image.fromarray(np.asarray(matte.matte)).save(drawn_matte)
    words = ["cut", str(source), "-o", str(out), "--matte", str(drawn_matte), "-q"]
    assert main([*words, "--canvas", "35x45mm", "--head", "74%,8%"]) == 0
    result = engine.cutout(source, guidance=Guidance(matte=drawn_matte), **PASSPORT)
    assert out.read_bytes() == result.encode("png")
    (note,) = [note for note in result.notes if note.startswith("levelled")]
    assert "5." in note or "4." in note


@pytest.mark.parametrize("changes", [{}, PASSPORT, {"crop": True, "max_side_px": 300}], ids=str)
def test_a_document_of_layers_looks_like_the_cutout(
    engine: Engine, changes: dict[str, str]
) -> None:
    psd_tools = pytest.importorskip("psd_tools")
    rgb, matte = taken(Person(420, 300, 1.0, 5.0))
    chosen = {**changes, "background": "#204060"}
    result = engine.cutout(rgb, guidance=matte, format="psd", **chosen)
    data = result.encode()
    layers = list(psd_tools.PSDImage.open(io.BytesIO(data)))
    assert [layer.name for layer in layers] == ["Background", "Original", "Subject"]
    flat = np.asarray(engine.cutout(rgb, guidance=matte, **chosen).image).astype(int)
    assert np.abs(np.asarray(Image.open(io.BytesIO(data))).astype(int) - flat).max() <= 1
    height, width = flat.shape[:2]
    assert all(layer.bbox == (0, 0, width, height) for layer in layers)
    original = 255 * layers[1].numpy("color")
    inside = result.alpha > 0.999
    assert np.abs(original - flat)[inside].mean() < 1.5
    if "head" not in changes:
        seen = original[2, 2]  # what was cut away is still there
        assert np.abs(seen - (210, 220, 230)).max() <= 1


def test_a_background_that_was_not_kept_is_an_error_and_no_wrong_layer(
    engine: Engine, tmp_path: Path
) -> None:
    pytest.importorskip("psd_tools")
    rgb, matte = taken(Person(420, 300))
    with pytest.raises(BadOption, match="background was not kept") as caught:
        engine.cutout(rgb, guidance=matte, background="white").save(tmp_path / "out.psd")
    assert "format" in caught.value.hint
    engine.cutout(rgb, guidance=matte).save(tmp_path / "out.psd")
    assert (tmp_path / "out.psd").read_bytes()[:4] == b"8BPS"
