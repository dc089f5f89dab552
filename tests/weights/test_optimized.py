from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cleancut.errors import WeightsCorrupt, WeightsMissing
from cleancut.weights.lock import held
from cleancut.weights.manifest import manifest_path
from cleancut.weights.optimized import (
    SetScore,
    copy_path,
    copy_text,
    find_copy,
    is_of,
    read_copy,
)
from cleancut.weights.store import delete_copy, lock_path, put_copy, remove, verify
from tests.weights.copies import manifest, put_copy_of, stored_row


def score(grad: float = 0.1, mad: float = 20.0) -> SetScore:
    return SetScore("people", 10, (20.0, mad), (0.1, grad), (0.9, 0.9))


def test_a_manifest_is_read_as_it_was_written() -> None:
    spec = stored_row()
    copy = put_copy_of(spec)
    assert read_copy(spec) == copy
    path, found = find_copy(spec, spec.weights[0].sha256)
    assert (path, found) == (copy_path(spec), copy)


@pytest.mark.parametrize(
    ("sets", "ms", "why"),
    [
        ((score(grad=0.119),), (100.0, 50.0), ""),
        ((score(grad=0.125),), (100.0, 50.0), "Grad is 25% worse, more than 20%"),
        ((score(), score(grad=0.125)), (100.0, 50.0), "Grad is 25%"),
        ((score(mad=23.0),), (100.0, 50.0), "MAD is 15% worse, more than 10%"),
        ((score(),), (100.0, 95.0), "not clearly faster"),
    ],
)
def test_auto_refuses_what_is_worse_or_not_faster(
    sets: tuple[SetScore, ...], ms: tuple[float, float], why: str
) -> None:
    spec = stored_row()
    refused = put_copy_of(spec, sets=sets, ms=ms).refused
    assert refused.startswith(why) if why == "Grad is 25%" else why in refused
    assert bool(refused) == bool(why)


def test_without_true_mattes_the_answers_must_be_near_the_originals() -> None:
    spec = stored_row()
    assert "differ from the original's" in put_copy_of(spec, apart_iou=0.93).refused
    assert put_copy_of(spec, apart_iou=0.93, truth="pairs").refused == ""


def test_two_perfect_mattes_are_no_reason_to_refuse() -> None:
    perfect = SetScore("empty", 3, (0.0, 0.0), (0.0, 0.0), (1.0, 1.0))
    assert put_copy_of(stored_row(), sets=(perfect,)).refused == ""


def test_no_copy_names_the_command_that_makes_one() -> None:
    spec = stored_row()
    assert read_copy(spec) is None
    with pytest.raises(WeightsMissing) as caught:
        find_copy(spec, spec.weights[0].sha256)
    assert caught.value.hint == "run: cleancut models optimize tiny"


def test_a_copy_of_other_weights_is_out_of_date() -> None:
    spec = stored_row()
    copy = put_copy_of(spec, made_from="1" * 64)
    assert not is_of(spec, copy)
    with pytest.raises(WeightsMissing, match="made from other weights"):
        find_copy(spec, spec.weights[0].sha256)


def test_a_changed_file_is_refused_whatever_its_size() -> None:
    spec = stored_row()
    put_copy_of(spec)
    path = copy_path(spec)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsCorrupt, match="damaged"):
        find_copy(spec, spec.weights[0].sha256)
    path.write_bytes(data[:-1])
    with pytest.raises(WeightsCorrupt, match="damaged"):
        find_copy(spec, spec.weights[0].sha256)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"sha256": "short"},
        {"ms": [1, 2, 3]},
        {"sets": [{"name": "x"}]},
        {"kept": None},
        {"bytes": "many"},
        {"curve": 7},
    ],
)
def test_a_manifest_that_is_none_counts_as_no_copy(change: dict[str, Any]) -> None:
    spec = stored_row()
    put_copy_of(spec)
    text = manifest_path(copy_path(spec))
    text.write_text(json.dumps({**json.loads(text.read_text("utf-8")), **change}), "utf-8")
    assert read_copy(spec) is None


def test_an_endless_or_broken_manifest_counts_as_no_copy() -> None:
    spec = stored_row()
    put_copy_of(spec)
    text = manifest_path(copy_path(spec))
    for data in (b"[" * 100_000, b"\xff\xfe", b"{" + b" " * (1 << 18) + b"}", b"null"):
        text.write_bytes(data)
        assert read_copy(spec) is None


def test_the_figures_are_spelled_out_for_readers() -> None:
    copy = put_copy_of(stored_row(), sets=(score(grad=0.2),))
    assert json.loads(copy_text(copy))["refused"] == copy.refused != ""


def test_verify_finds_a_damaged_and_an_outdated_copy(use_rows: Any) -> None:
    spec = stored_row()
    use_rows(spec)
    copy = put_copy_of(spec)
    assert [(s.int8, s.problem) for s in verify()] == [(False, ""), (True, "")]
    copy_path(spec).write_bytes(b"not it")
    bad = verify()[1]
    assert "not the file that was measured" in bad.problem
    assert bad.remedy == "cleancut models optimize tiny"
    put_copy_of(spec, made_from="1" * 64)
    assert "other weights" in verify()[1].problem
    assert copy.model == "tiny"


def test_the_copy_goes_alone_or_with_its_model(
    use_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = stored_row()
    use_rows(spec)
    monkeypatch.setattr("cleancut.weights.store.find", lambda _name: spec)
    put_copy_of(spec)
    assert [path.name for path in delete_copy(spec)] == ["tiny.int8.onnx", "tiny.int8.onnx.json"]
    assert [stored.int8 for stored in verify()] == [False]
    with pytest.raises(WeightsMissing, match="no int8 copy"):
        delete_copy(spec)
    put_copy_of(spec)
    assert len(remove(["tiny"])) == 3
    assert verify() == []


def test_a_new_copy_replaces_the_old_one_whole(use_rows: Any) -> None:
    spec = stored_row()
    use_rows(spec)
    old = put_copy_of(spec)
    ready = copy_path(spec).parent / ".optimize" / "step.onnx"
    ready.parent.mkdir()
    ready.write_bytes(copy_path(spec).read_bytes() + b"\x00\x00")
    new = replace(manifest(spec, ready), file=old.file)
    with held(lock_path(spec)):
        put_copy(spec, new, ready)
    assert read_copy(spec) == new != old
    assert verify()[1].problem == ""
