from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleancut.bench import video_net, video_rows
from cleancut.bench.measure import Figure, Sample, run_once
from cleancut.bench.report import Report
from cleancut.bench.sides import Side
from cleancut.bench.video_net import NetTime
from cleancut.bench.video_rows import VideoBench, measure_network, measure_pipe, measure_truth
from cleancut.bench.video_speed import MARKERS, VideoPlan, video
from cleancut.cli.main import main
from cleancut.errors import BadOption, WeightsMissing
from tests.bench.test_start import no_weights

SIZE = (8, 6)
COPY_AS_RGBA = """
import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data + bytes(len(data) // 3))
"""
PNG_HEAD = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write({0})"


def side(name: str, program: str) -> Side:
    return Side(
        name=name,
        python=sys.executable,
        command=(sys.executable, "-c", program),
        cut=(),
        cut_all=(),
        names={"u2netp": "u2netp", "isnet": "isnet"},
        env={},
    )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VideoBench:
    monkeypatch.setattr(video_rows, "PIPED", {"u2netp": 3})
    raw = tmp_path / "frames.rgb24"
    raw.write_bytes(bytes(range(144)) * 5)
    answer = repr(b"\x89PNG\r\n\x1a\n" * 2)
    return VideoBench(
        ours=side("cleancut", COPY_AS_RGBA),
        rembg=side("rembg", PNG_HEAD.format(answer)),
        remover=None,
        runs=1,
        work=tmp_path,
        clip=tmp_path / "no.mp4",
        raw=raw,
        size=SIZE,
        recurrent=False,
    )


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(BadOption, match="no measurement 9"):
        VideoPlan(only=frozenset({1, 9}))


def test_without_weights_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_weights(tmp_path, monkeypatch)
    with pytest.raises(WeightsMissing) as caught:
        video(VideoPlan(), lambda line: None)
    assert "cleancut models pull" in caught.value.hint


def test_frames_go_through_both_pipes_and_are_counted(bench: VideoBench) -> None:
    rate, memory = measure_pipe(bench)
    assert rate.unit == "/s"
    assert rate.cleancut is not None
    assert rate.rembg is not None
    assert memory.cleancut is not None
    assert any("rembg b wrote 2 of 3 frames" in note for note in bench.notes)


def test_a_side_that_loses_frames_of_ours_has_no_figure(bench: VideoBench) -> None:
    from dataclasses import replace

    short = side("cleancut", "import sys; sys.stdin.buffer.read(10); print('x')")
    broken = replace(bench, ours=short)
    assert measure_pipe(broken)[0].cleancut is None
    assert any("of 3 frames" in note and "cleancut" in note for note in broken.notes)


def test_without_clips_nothing_is_scored_and_a_note_says_so(bench: VideoBench) -> None:
    assert measure_truth(bench) == []
    assert any("no folder of clips" in note for note in bench.notes)


def test_rvm_alone_is_set_beside_its_one_graph(
    bench: VideoBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [
        NetTime(side, where, ms, ms, ms, 3)
        for side, where, ms in (
            ("cleancut auto", "ort f32", 30.0),
            ("cleancut", "ort f32", 40.0),
            ("one graph", "ort f32", 80.0),
        )
    ]
    monkeypatch.setattr(video_net, "time_net", lambda: told)

    chosen, alone = measure_network(replace(bench, recurrent=True))

    assert (chosen.target, chosen.cleancut) == (45.0, Figure((30.0,)))
    assert alone.ratio == 2.0
    assert measure_network(bench) == []


def test_a_fed_command_reads_a_pipe_and_its_answer_is_kept(tmp_path: Path) -> None:
    feed, answer = tmp_path / "in", tmp_path / "out"
    feed.write_bytes(np.arange(3_000_000, dtype=np.uint8).tobytes())
    program = (
        "import os, stat, sys; assert stat.S_ISFIFO(os.fstat(0).st_mode);"
        "assert stat.S_ISFIFO(os.fstat(1).st_mode);"
        "sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    )
    sample = run_once([sys.executable, "-c", program], {}, feed=feed, answer=answer)
    assert answer.read_bytes() == feed.read_bytes()[::-1]
    assert isinstance(sample, Sample)


def test_table_and_document_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cleancut.bench import video_speed as module

    def fake(plan: VideoPlan, tell: object) -> Report:
        assert plan.peer_venv is None
        assert plan.remover_venv is None
        assert plan.only == {1, 4}
        assert plan.clips == Path("clips")
        return Report("2030-01-02", plan.runs, "CPU", (), (), ("the note",), peer="peer")

    monkeypatch.setattr(module, "video", fake)
    document, kept = tmp_path / "video.md", tmp_path / "out.json"
    document.write_text("\n".join(MARKERS), "utf-8")
    words = ["bench", "video", "clips", "--no-rembg", "--no-backgroundremover", "--only", "1,4"]
    assert main([*words, "--json", str(kept), "--write", str(document)]) == 0
    assert "the note" in capsys.readouterr().out
    assert "| metric | peer |" in document.read_text("utf-8")
    assert json.loads(kept.read_text("utf-8"))["peer"] == "peer"
