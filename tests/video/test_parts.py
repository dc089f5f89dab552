from __future__ import annotations

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from cleancut.errors import OutputNotWritable, WeightsMissing
from cleancut.video.frame import VideoInfo
from cleancut.video.order import Part
from cleancut.video.parts import PartsFolder, fingerprint, plan_parts, source_facts, usual_length_s
from cleancut.video.report import PartReport


def info(duration_s: float | None, start_pts: int = 0) -> VideoInfo:
    return VideoInfo("stream", 64, 48, Fraction(1, 1000), start_pts, duration_s)


def test_parts_are_even_and_follow_each_other_without_gaps() -> None:
    parts = plan_parts(info(97.0, 500), None, None, 10.0)
    assert len(parts) == 10
    assert (parts[0].start, parts[-1].stop) == (None, None)
    assert [part.number for part in parts] == list(range(10))
    assert all(a.stop == b.start for a, b in pairwise(parts))
    lengths = [part.stop - part.start for part in parts[:-1] if part.stop and part.start]
    assert max(lengths) - min(lengths) <= 1


def test_a_short_video_and_one_of_unknown_length_are_one_part() -> None:
    assert plan_parts(info(14.0), None, None, 10.0) == (Part(0, None, None),)
    assert plan_parts(info(None), None, None, 10.0) == (Part(0, None, None),)


def test_a_span_is_divided_and_ends_where_it_was_asked_to() -> None:
    parts = plan_parts(info(1000.0), 20_000, 60_000, 10.0)
    assert len(parts) == 4
    assert (parts[0].start, parts[-1].stop) == (20_000, 60_000)


def test_a_long_video_has_a_limited_number_of_parts() -> None:
    assert len(plan_parts(info(1e6), None, None, 10.0)) == 4096


def test_a_part_is_done_only_when_its_report_is_there_and_its_size_is_right(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.webm", "abc", ".mkv")
    part = Part(0)
    with folder.held():
        folder.prepare()
        folder.path(part).write_bytes(b"12345")
        assert folder.done(part) is None
        folder.finish(part, PartReport(frames=2, notes={"a: b": (2, 1.5)}, size=(4, 2)))
        report = folder.done(part)
        assert report is not None
        assert (report.frames, report.written, report.size) == (2, 5, (4, 2))
        assert report.notes == {"a: b": (2, 1.5)}
        folder.path(part).write_bytes(b"1234")
        assert folder.done(part) is None
        folder.path(part).write_bytes(b"12345")
        (folder.path(part).parent / "00000.json").write_text("{")
        assert folder.done(part) is None
        folder.clear()
    folder.leave()
    assert not list(tmp_path.iterdir())


def test_another_process_at_the_same_target_is_kept_out(tmp_path: Path) -> None:
    target = tmp_path / "out.webm"
    other = PartsFolder(target, "other", ".mkv")
    with (
        PartsFolder(target, "abc", ".mkv").held(),
        pytest.raises(OutputNotWritable, match="another process"),
        other.held(),
    ):
        pass


def test_who_is_kept_out_removes_nothing_of_what_is_in_work(tmp_path: Path) -> None:
    first, second = (PartsFolder(tmp_path / "out.webm", "abc", ".mkv") for _ in range(2))
    with first.held():
        first.prepare()
        first.path(Part(0)).write_bytes(b"half")
        with pytest.raises(OutputNotWritable, match="another process"), second.held():
            pass
        second.leave()
        assert first.path(Part(0)).read_bytes() == b"half"
        with pytest.raises(OutputNotWritable, match="another process"), second.held():
            pass
    first.leave()
    assert not [*tmp_path.iterdir()], "a part that is half done is of no use to anybody"


def test_an_error_of_weights_in_the_middle_stays_what_it_is(tmp_path: Path) -> None:
    folder = PartsFolder(tmp_path / "out.webm", "abc", ".mkv")
    with pytest.raises(WeightsMissing, match="gone"), folder.held():
        raise WeightsMissing("gone")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("planted", [".out.webm.parts", ".out.webm.parts/abc"])
def test_parts_are_not_written_or_removed_through_a_link(tmp_path: Path, planted: str) -> None:
    (others := tmp_path / "others" / ".folder").mkdir(parents=True)
    target = tmp_path / "mine" / "out.webm"
    (link := target.parent / planted).parent.mkdir(parents=True)
    link.symlink_to(others.parent)
    folder = PartsFolder(target, "abc", ".mkv")
    with pytest.raises(OutputNotWritable, match="is a link"), folder.held():
        folder.clear(everybody=True)
    folder.leave()
    assert others.is_dir()
    assert [path.name for path in others.parent.iterdir()] == [".folder"]


def test_parts_of_other_commands_are_counted_and_kept(tmp_path: Path) -> None:
    mine = PartsFolder(tmp_path / "out.webm", "mine", ".mkv")
    other = PartsFolder(tmp_path / "out.webm", "other", ".mkv")
    with mine.held():
        other.prepare()
        mine.prepare()
        assert mine.others() == 1
        mine.clear()
    mine.leave()
    assert other.path(Part(0)).parent.is_dir()


def test_a_folder_that_cannot_be_made_is_the_targets_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = PartsFolder(tmp_path / "file" / "out.webm", "abc", ".mkv")
    with pytest.raises(OutputNotWritable), folder.held():
        pass


def test_a_source_that_changed_has_another_fingerprint(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(b"x" * 3_000_000)
    os.utime(source, ns=(1, 1))
    before = fingerprint(source_facts(str(source)))
    source.write_bytes(b"x" * 2_999_999 + b"y")
    os.utime(source, ns=(1, 1))
    assert fingerprint(source_facts(str(source))) != before
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "1.png").write_bytes(b"1")
    before = fingerprint(source_facts(str(frames)))
    (frames / "2.png").write_bytes(b"1")
    assert fingerprint(source_facts(str(frames))) != before


def test_parts_of_long_videos_are_longer() -> None:
    lengths = [usual_length_s(seconds) for seconds in (1.0, 17.0, 120.0, 3600.0)]
    assert lengths == [10.0, 10.0, 15.0, 30.0]
    assert [len(plan_parts(info(seconds), None, None)) for seconds in (14.9, 17.3, 3600.0)] == [
        1,
        2,
        120,
    ]
