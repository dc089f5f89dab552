from __future__ import annotations

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench.accuracy import Plan, Report, accuracy
from cleancut.bench.accuracy_page import to_html
from cleancut.bench.accuracy_table import comparisons, to_markdown
from cleancut.bench.rivals import OurModel
from cleancut.errors import BadOption, InputNotFound, UnknownModel, UnreadableImage
from cleancut.options import Options
from tests.bench.scenes import disc, two_sets, write

EVAL = os.environ.get("CLEANCUT_EVAL", "")


def quiet(*_: object) -> None:
    pass


def scored(plan: Plan) -> Report:
    return accuracy(plan, quiet, quiet)


def echo(folder: Path, **changes: object) -> Plan:
    changes.setdefault("options", Options(model="echo", refine="off"))
    return Plan(folder=folder, models=("echo",), **changes)  # type: ignore[arg-type]


def rivals_mattes(pictures: Path, folder: Path) -> Path:
    """Another tool's mattes: the truth, dimmed."""
    for alpha in pictures.glob("*/alpha/*.png"):
        matte = cv2.imread(str(alpha), cv2.IMREAD_GRAYSCALE)
        assert matte is not None
        write(folder / alpha.parent.parent.name / alpha.name, (matte * 0.8).astype(np.uint8))
    return folder


def test_every_picture_of_every_set_is_scored(tmp_path: Path) -> None:
    report = scored(echo(two_sets(tmp_path)))
    assert [(item.set, item.stem) for item in report.rows[0].scored] == [
        ("hard", "p"), ("hard", "q"), ("soft", "a"), ("soft", "b"), ("soft", "c"),
    ]  # fmt: skip
    assert report.binary == {"hard": True, "soft": False}
    assert report.complete
    assert report.skipped == []
    by_stem = {item.stem: item.figures for item in report.rows[0].scored}
    assert by_stem["a"]["mad"] < 1
    assert by_stem["b"]["mad"] > 50
    assert by_stem["b"]["iou"] == pytest.approx(0.5, abs=0.05)
    assert report.summaries("hard")["cleancut echo"].figures["iou"] > 0.99


def test_options_reach_the_models(tmp_path: Path) -> None:
    two_sets(tmp_path)
    plain = scored(echo(tmp_path, only=("soft",)))
    hard = scored(
        echo(tmp_path, only=("soft",), options=Options(model="echo", refine="off", threshold=0.5))
    )
    assert hard.summaries("soft")["cleancut echo"].figures["mad"] > 2 * min(
        item.figures["mad"] for item in plain.rows[0].scored
    )
    assert json.loads(hard.options) == {"refine": "off", "threshold": 0.5}


def test_another_tools_mattes_are_scored_on_the_same_pictures(tmp_path: Path) -> None:
    pictures = two_sets(tmp_path / "pictures")
    mattes = rivals_mattes(pictures, tmp_path / "other")
    (mattes / "soft" / "b.png").unlink()  # ours fails on this one, so leaving it out is fair
    report = scored(echo(pictures, mattes=(mattes,)))
    means = report.summaries("soft")
    assert means["other"].pictures == means["cleancut echo"].pictures == 2
    assert means["cleancut echo"].figures["mad"] < 1
    assert report.skipped == ["other, soft/b: other has no such matte"]
    found = {(item.set, item.measure.key): item for item in comparisons(report)}
    assert float(found["soft", "mad"].change) < 0.1
    assert found["hard", "iou"].change == "+0.0000"
    assert found["soft", "mad"].met is None


def test_mattes_of_no_set_at_all_do_not_empty_the_others(tmp_path: Path) -> None:
    pictures = two_sets(tmp_path / "pictures")
    mattes = rivals_mattes(pictures, tmp_path / "other")
    for path in (mattes / "hard").iterdir():
        path.unlink()
    means = scored(echo(pictures, mattes=(mattes,))).summaries("hard")
    assert means["other"].pictures == 0
    assert means["cleancut echo"].pictures == 2


def test_the_targets_are_held_against_rembgs_isnet_only(tmp_path: Path) -> None:
    pictures = two_sets(tmp_path / "pictures")
    (pictures / "soft").rename(pictures / "composite_people")
    for name, met in (("isnet-general-use", [True, True]), ("other", [])):
        mattes = rivals_mattes(pictures, tmp_path / name)
        (pictures / "composite_people" / "image" / "b.png").unlink(missing_ok=True)
        report = scored(echo(pictures, mattes=(mattes,), only=("composite_people",)))
        assert [item.met for item in comparisons(report) if item.met is not None] == met


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    two_sets(tmp_path)
    (tmp_path / "soft" / "image" / "a.png").write_bytes(b"not a picture")
    write(tmp_path / "soft" / "alpha" / "c.png", disc(40, 41))
    colours = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write(tmp_path / "hard" / "alpha" / "p.png", colours)
    report = scored(echo(tmp_path))
    assert [item.stem for item in report.rows[0].scored] == ["q", "b"]
    assert [line.partition(":")[0] for line in report.skipped] == ["hard/p", "soft/a", "soft/c"]
    assert "40x40" in report.skipped[-1]
    assert "41x40" in report.skipped[-1]
    text = to_markdown(report)
    assert "3 skipped" in text
    assert all(line in text for line in report.skipped)


def test_where_nothing_can_be_scored_the_reason_is_an_error(tmp_path: Path) -> None:
    two_sets(tmp_path)
    for image in tmp_path.glob("*/image/*.png"):
        image.write_bytes(b"not a picture")
    with pytest.raises(UnreadableImage, match="none of the 5 pictures"):
        scored(echo(tmp_path))


def test_plans_that_score_nothing_are_refused(tmp_path: Path) -> None:
    two_sets(tmp_path)
    with pytest.raises(BadOption):
        Plan(folder=tmp_path, models=())
    with pytest.raises(BadOption):
        Plan(folder=tmp_path, limit=0)
    with pytest.raises(UnknownModel):
        scored(Plan(folder=tmp_path, models=("no-such-model",)))
    with pytest.raises(InputNotFound):
        scored(echo(tmp_path, mattes=(tmp_path / "nowhere",)))
    with pytest.raises(BadOption, match="two rows"):
        scored(echo(tmp_path, mattes=(tmp_path / "soft", tmp_path / "soft")))


def test_an_interrupted_run_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_sets(tmp_path)
    answers = OurModel.answer

    def interrupted(self: OurModel, pair: object, picture: object) -> object:
        if getattr(pair, "stem", "") == "a":
            raise KeyboardInterrupt
        return answers(self, pair, picture)  # type: ignore[arg-type]

    monkeypatch.setattr(OurModel, "answer", interrupted)
    report = scored(echo(tmp_path))
    assert not report.complete
    assert [item.stem for item in report.rows[0].scored] == ["p", "q"]
    assert "INTERRUPTED: 2 of 5" in to_markdown(report)
    with pytest.raises(KeyboardInterrupt):
        scored(echo(tmp_path, only=("soft",)))


def test_progress_ends_at_the_number_of_pictures(tmp_path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    accuracy(echo(two_sets(tmp_path)), quiet, lambda *step: steps.append(step))
    assert steps[0] == (0, 5, "hard/p")
    assert steps[-1][:2] == (5, 5)


def test_the_table_shows_what_means_something_for_the_set(tmp_path: Path) -> None:
    text = to_markdown(scored(echo(two_sets(tmp_path))))
    hard, soft = text.split("**soft**")
    assert "IoU" in hard
    assert "Grad" not in hard
    assert "Grad" in soft
    assert "IoU" not in next(line for line in soft.splitlines() if line.startswith("|"))
    for block in (hard, soft):
        table = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(line) for line in table}) == 1


def test_json_holds_every_picture(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(scored(echo(two_sets(tmp_path))).to_dict()))
    picture = facts["rows"][0]["pictures"][0]
    assert picture["stem"] == "p"
    assert {"mad", "grad", "conn", "iou", "boundary_f", "seconds", "notes"} <= picture.keys()
    assert facts["sets"]["soft"]["rows"]["cleancut echo"]["pictures"] == 3


def test_the_page_shows_the_worst_first_and_loads_nothing(tmp_path: Path) -> None:
    pictures = two_sets(tmp_path / "<b>sets")
    page = to_html(scored(echo(pictures, worst=3)))
    assert re.findall(r"<h3>(.*?)</h3>", page)[0] == "soft/b"
    assert page.count("<section") == 3
    assert page.count("data:image/jpeg;base64,") == 15
    assert not re.search(r"https?://|<script|<link", page)
    assert "<b>sets" not in page


def test_without_a_page_no_picture_is_kept(tmp_path: Path) -> None:
    assert scored(echo(two_sets(tmp_path))).rows[0].gallery.worst == []


@pytest.mark.weights
@pytest.mark.skipif(not EVAL, reason="CLEANCUT_EVAL names no folder of pictures with true mattes")
def test_a_real_model_scores_as_it_should_on_real_pictures(real_models: Path) -> None:
    report = scored(Plan(folder=Path(EVAL), models=("isnet",), limit=1))
    assert report.rows[0].scored
    assert all(0 <= item.figures["iou"] <= 1 for item in report.rows[0].scored)
    assert np.mean([item.figures["iou"] for item in report.rows[0].scored]) > 0.6
