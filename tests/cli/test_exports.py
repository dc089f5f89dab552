"""``--export`` of ``cut`` and ``batch``: original coordinates, nobody's file replaced."""

import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cleancut import Engine, Options
from cleancut.annotation.export import Export
from cleancut.batch.request import BatchRequest
from cleancut.batch.run import run_batch
from cleancut.cli.main import main
from tests.batch.pictures import Ear

#: What the echo model cuts out of ``bar``: left, top, width, height.
BAR = [20, 10, 60, 50]


def bar(path: Path, *, there: bool = True) -> Path:
    """A picture with a white bar, or without."""
    pixels = np.zeros((100, 160, 3), np.uint8)
    if there:
        pixels[10:60, 20:80] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def coco(folder: Path) -> tuple[list[str], list[list[int]]]:
    """Names of the pictures, sorted, and the boxes that are there."""
    found: dict[str, Any] = json.loads((folder / "annotations.coco.json").read_bytes())
    return sorted(row["file_name"] for row in found["images"]), [
        row["bbox"] for row in found["annotations"]
    ]


def cut(*words: object) -> int:
    return main(["cut", *map(str, words), "-m", "echo", "-q"])


def test_outlines_are_the_originals_whatever_is_written(tmp_path: Path) -> None:
    source, out = bar(tmp_path / "a.png"), tmp_path / "out"
    ways = ["--crop", "--max-side", "30", "--shadow", "drop"], ["--only-mask", "--canvas", "50x50"]
    for number, way in enumerate(ways):
        folder = f"{out}{number}/"
        assert cut(source, "-o", folder, "--export", "coco", *way) == 0
        assert coco(Path(folder)) == (["a.png"], [BAR])


def test_a_later_cut_adds_to_the_file_and_a_picture_without_a_subject_has_no_row(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    assert cut(bar(tmp_path / "a.png"), "-o", f"{out}/", "--export", "coco") == 0
    assert cut(bar(tmp_path / "b.png", there=False), "-o", f"{out}/", "--export", "coco") == 0
    assert cut(bar(tmp_path / "a.png"), "-o", f"{out}/", "--export", "coco") == 0
    assert coco(out) == (["a.png", "b.png"], [BAR])


def test_labelme_lies_beside_and_points_at_the_picture(tmp_path: Path) -> None:
    source = bar(tmp_path / "shop" / "a.png")
    assert cut(source, "-o", f"{tmp_path}/out/", "--export", "labelme", "--label", "bar") == 0
    place = tmp_path / "out" / "a.json"
    facts = json.loads(place.read_bytes())
    assert (place.parent / facts["imagePath"]).resolve() == source
    assert facts["shapes"][0]["label"] == "bar"
    assert cut(source, "--export", "labelme") == 0  # beside the picture, where LabelMe looks
    assert json.loads((tmp_path / "shop" / "a.json").read_bytes())["imagePath"] == "a.png"


@pytest.mark.parametrize(
    ("kind", "name"), [("coco", "annotations.coco.json"), ("labelme", "a.json"),
                       ("yolo", "data.yaml"), ("yolo", "labels/b.txt")]
)  # fmt: skip
@pytest.mark.parametrize("command", ["cut", "batch"])
def test_a_persons_file_is_never_replaced(
    tmp_path: Path, kind: str, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = bar(tmp_path / "in" / "a.png")
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b'{"images": []}')
    words = [command, str(source.parent if command == "batch" else source)]
    out = ["-o", f"{tmp_path}/out/", "-m", "echo", "-q", "--export", kind]
    assert main([*words, *out]) in (2, 5)
    assert theirs.read_bytes() == b'{"images": []}'
    if command == "cut" or kind != "labelme":
        assert "[output-not-writable]" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["coco", "yolo"])
@pytest.mark.parametrize("command", ["cut", "batch"])
def test_subjects_of_another_kind_are_not_put_under_the_first_ones_label(
    tmp_path: Path, kind: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "out" / {"coco": "annotations.coco.json", "yolo": "data.yaml"}[kind]
    ways = ["-o", f"{tmp_path}/out/", "-m", "echo", "-q", "--export", kind]

    def export(name: str, label: str) -> int:
        source = bar(tmp_path / name / f"{name}.png")
        where = str(source.parent if command == "batch" else source)
        return main([command, where, *ways, "--label", label])

    assert export("one", 'a "shoe"') == 0
    before = place.read_bytes()
    assert export("two", "hat") == 2
    assert """--label 'a "shoe"'""" in capsys.readouterr().err
    assert place.read_bytes() == before
    assert not list((tmp_path / "out").rglob("two*"))
    assert export("two", 'a "shoe"') == 0
    assert list((tmp_path / "out").rglob("two*"))


def test_what_was_added_to_a_file_of_all_pictures_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = bar(tmp_path / "in" / "a.png"), tmp_path / "out"
    assert cut(source, "-o", f"{out}/", "--export", "coco") == 0
    place = out / "annotations.coco.json"
    tables = json.loads(place.read_bytes())
    tables["annotations"].append(tables["annotations"][0] | {"id": 7})  # a second object
    place.write_text(json.dumps(tables))
    assert cut(bar(tmp_path / "b.png"), "-o", f"{out}/", "--export", "coco") == 2
    assert "edited since" in capsys.readouterr().err
    assert json.loads(place.read_bytes()) == tables

    both = [f"{source.parent}", "-o", f"{tmp_path}/yolo/", "-m", "echo", "-q", "--export", "yolo"]
    assert main(["batch", *both]) == 0
    data = tmp_path / "yolo" / "data.yaml"
    data.write_text(data.read_text().replace("val: images", "val: checked  # our own"))
    bar(tmp_path / "in" / "c.png")
    assert main(["batch", *both]) == 0
    assert (tmp_path / "yolo" / "labels" / "c.txt").exists()
    assert "val: checked" in data.read_text()


@pytest.mark.parametrize("first", ["cut", "batch"])
def test_cut_and_batch_do_not_drop_each_others_rows(
    tmp_path: Path, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = bar(tmp_path / "in" / "a.png"), tmp_path / "out"
    second = {"cut": "batch", "batch": "cut"}[first]
    words = {"cut": ["cut", str(source)], "batch": ["batch", str(source.parent)]}
    ways = ["-o", f"{out}/", "-m", "echo", "-q", "--export", "coco"]
    assert main([*words[first], *ways]) == 0
    assert main([*words[second], *ways]) == 2
    assert f"belongs to cleancut {first}" in capsys.readouterr().err
    assert coco(out) == (["a.png"], [BAR])


def test_pictures_of_one_name_from_several_inputs_stay_apart(tmp_path: Path) -> None:
    for shop in "xyz":
        bar(tmp_path / shop / "a.png")
    bar(tmp_path / "z" / "b.png")
    words = ["-o", f"{tmp_path}/out", "-m", "echo", "-q", "--export", "coco"]
    two = [str(tmp_path / shop / "a.png") for shop in "xy"]
    assert main(["batch", *two, *words]) == 0
    assert main(["batch", str(tmp_path / "z"), *words]) == 0
    names, boxes = coco(tmp_path / "out")
    assert names == [*(f"../{shop}/a.png" for shop in "xyz"), "b.png"]
    assert boxes == [BAR] * 4
    found = json.loads((tmp_path / "out" / "annotations.coco.json").read_bytes())
    pictures, annotated = ({row["id"] for row in found[k]} for k in ("images", "annotations"))
    assert pictures == annotated
    assert len(pictures) == 4


def test_labelmes_files_are_not_left_pointing_at_what_moves_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = bar(tmp_path / "in" / "a.png")
    words = ["batch", str(source.parent), "-o", f"{tmp_path}/out", "-m", "echo", "-q"]
    assert main([*words, "--export", "labelme", "--move-done", f"{tmp_path}/done"]) == 2
    assert "--move-done" in capsys.readouterr().err
    assert source.exists()


def test_what_cannot_be_exported_is_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = bar(tmp_path / "x" / "a.png"), bar(tmp_path / "y" / "a.png")
    for words in (
        [one, two, "-o", f"{tmp_path}/out/", "--export", "coco"],  # two of one name
        [one, bar(tmp_path / "y" / "b.png"), "--export", "coco"],  # two folders
        [one, "-o", "-", "--export", "coco"],
        [one, "--label", "x"],
        [one, "--export", "coco", "--tolerance", "200"],
        [one, "--export", "coco", "--cache", str(tmp_path / "cache")],
    ):
        assert cut(*words) == 2
        assert "[bad-option]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupted_batch_yields_one_whole_file(tmp_path: Path) -> None:
    for number in range(6):
        bar(tmp_path / "in" / f"shelf{number % 2}" / f"{number}.png", there=number != 3)
    out, stop = tmp_path / "out", threading.Event()

    class Stops(Ear):
        def event(self, event: Any) -> None:
            super().event(event)
            if len(self.outcomes()) >= 2:
                stop.set()

    asked = BatchRequest(
        inputs=[str(tmp_path / "in")],
        out=str(out),
        options=Options(model="echo", crop=True),
        export=Export("coco"),
        workers=1,
        cache=str(tmp_path / "cache"),
    )
    first = run_batch(asked, Stops(), stop=stop)
    assert first.interrupted
    assert 2 <= len(coco(out)[0]) < 6
    second = run_batch(asked, Ear())
    assert second.done + first.done == 6
    names = [f"shelf{number % 2}/{number}.png" for number in range(6)]
    assert coco(out) == (sorted(names), [BAR] * 5)
    before = (out / "annotations.coco.json").read_bytes()
    assert run_batch(asked, Ear()).done == 0
    assert (out / "annotations.coco.json").read_bytes() == before
    assert not list(out.glob(".cleancut-*"))


def test_yolo_of_a_batch_mirrors_the_tree(tmp_path: Path) -> None:
    bar(tmp_path / "in" / "labels" / "a.png")
    bar(tmp_path / "in" / "b.png", there=False)
    words = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", "echo", "-q"]
    assert main([*words, "--export", "yolo", "--label", "bar"]) == 0
    labels = tmp_path / "out" / "labels"
    assert (labels / "b.txt").read_bytes() == b""
    found = [path for path in labels.rglob("a.txt") if path.read_text().startswith("0 ")]
    assert len(found) == 1
    assert not list(labels.rglob("*.png"))  # an input's folder of this name has moved aside
    assert '0: "bar"' in (tmp_path / "out" / "data.yaml").read_text()


def test_the_library_says_the_same(tmp_path: Path) -> None:
    result = Engine(Options(model="echo", crop=True)).cutout(bar(tmp_path / "a.png"))
    assert result.alpha.shape != (100, 160)
    found = result.annotation()
    assert (found.width, found.height) == (160, 100)
    assert found.box == (20, 10, 80, 60)
