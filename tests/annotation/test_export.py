"""Files as the tools that they are for read them."""

import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO

from cleancut.annotation import coco, labelme, yolo
from cleancut.annotation.export import Export, is_ours
from cleancut.annotation.outline import annotate
from cleancut.errors import BadOption


def ring_and_disc() -> NDArray[np.float32]:
    """A ring, whose hole shows, and a disc beside it."""
    rows, columns = np.mgrid[:240, :400].astype(np.float32)
    far = np.hypot(rows - 120, columns - 120)
    other = np.hypot(rows - 110, columns - 320)
    return np.maximum(np.clip(90 - far, 0, 1) * (far > 40), np.clip(50 - other, 0, 1))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def read(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


# pycocotools' own, with numpy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("holes", [True, False])
def test_pycocotools_reads_the_same_subject(tmp_path: Path, holes: bool) -> None:
    alpha = ring_and_disc()
    if not holes:
        alpha[:, :240] = 0
    annotation = annotate(alpha)
    pieces = [coco.piece(annotation, "a/b.jpg"), coco.piece(annotate(alpha * 0), "empty.jpg")]
    (tmp_path / "c.json").write_bytes(coco.document(pieces, "bolt"))
    found = read(tmp_path / "c.json")
    assert found.loadCats(found.getCatIds())[0]["name"] == "bolt"
    assert [row["file_name"] for row in found.dataset["images"]] == ["a/b.jpg", "empty.jpg"]
    (row,) = found.dataset["annotations"]
    assert isinstance(row["segmentation"], dict) is holes
    assert overlap(found.annToMask(row).astype(bool), alpha >= 0.5) > (0.999 if holes else 0.98)
    assert row["area"] == annotation.area
    left, top, right, bottom = annotation.box or ()
    assert row["bbox"] == [left, top, right - left, bottom - top]


def test_ids_follow_from_names_and_later_pieces_win() -> None:
    one, two = annotate(ring_and_disc()), annotate(ring_and_disc()[:200])
    first = coco.document([coco.piece(one, "a.jpg"), coco.piece(one, "b.jpg")], "x")
    again = coco.document([*coco.pieces_of(first), coco.piece(two, "a.jpg")], "x")
    before, after = json.loads(first), json.loads(again)
    ids = [[row["id"] for row in table["images"]] for table in (before, after)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2
    assert [row["height"] for row in after["images"]] == [200, 240]
    for wrong in (b"[]", b"{}", b'{"images": 3}'):
        with pytest.raises(ValueError):
            coco.pieces_of(wrong)


def test_labelme_gets_a_polygon_an_island(tmp_path: Path) -> None:
    annotation = annotate(ring_and_disc())
    facts = json.loads(labelme.document(annotation, "../a.jpg", "bolt"))
    assert facts["imagePath"] == "../a.jpg"
    assert facts["imageData"] is None
    assert (facts["imageWidth"], facts["imageHeight"]) == (400, 240)
    assert [shape["shape_type"] for shape in facts["shapes"]] == ["polygon", "polygon"]
    assert {shape["group_id"] for shape in facts["shapes"]} == {1}
    ring = np.array(facts["shapes"][0]["points"], np.float32)
    assert cv2.contourArea(ring) == pytest.approx(np.pi * (90**2 - 40**2), rel=0.02)
    assert (
        json.loads(labelme.document(annotate(np.zeros((9, 9), np.float32)), "a", "b"))["shapes"]
        == []
    )


def test_yolo_says_class_and_corners_as_shares() -> None:
    alpha = ring_and_disc()
    (line,) = yolo.lines(annotate(alpha)).decode().splitlines()
    kind, *corners = line.split()
    assert kind == "0"
    shares = np.array(corners, float).reshape(-1, 2)
    assert shares.min() >= 0
    assert shares.max() <= 1
    drawn = np.zeros((2400, 4000), np.uint8)  # tenfold, where a bridge is thin
    cv2.fillPoly(drawn, [np.rint(shares * [4000, 2400]).astype(np.int32)], 1)
    truth = cv2.resize((alpha >= 0.5).astype(np.uint8), (4000, 2400), interpolation=0)
    assert overlap(drawn > 0, truth > 0) > 0.98
    assert yolo.lines(annotate(alpha * 0)) == b""
    assert b'0: "a: b"' in yolo.data_yaml("a: b")


def test_files_that_a_person_edited_are_theirs() -> None:
    annotation = annotate(ring_and_disc())
    made = labelme.document(annotation, "a.jpg", "x")
    facts = json.loads(made)
    own = {**{key: value for key, value in facts.items() if key != "cleancut"}, "cleancut": "1"}
    assert is_ours(made)
    assert not is_ours(json.dumps(own).encode())  # as LabelMe writes it: strangers' keys last
    assert is_ours(coco.document([], "x"))
    assert is_ours(yolo.data_yaml("x"))
    assert not is_ours(b'{"info": {}, "images": []}')


def test_an_export_is_checked_and_survives_json() -> None:
    export = Export("yolo", "bolt", 2.5)
    assert Export.from_json(export.to_json()) == export
    assert export.name("a/b") == "labels/a/b.txt"
    assert Export("labelme").name("a/b") == "a/b.json"
    for wrong in (("voc",), ("coco", " "), ("coco", "a\nb"), ("coco", "a", -1), ("coco", "a", 101)):
        with pytest.raises(BadOption):
            Export(*wrong)  # type: ignore[arg-type]
