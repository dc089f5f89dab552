from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleancut.cli import bench_compare as command
from cleancut.cli.main import main
from cleancut.compare import run as module
from cleancut.compare.comparison import PARTS, Comparison
from cleancut.compare.gallery import Gallery
from cleancut.compare.peers import TOOLS
from cleancut.compare.run import Plan
from tests.bench.scenes import two_sets
from tests.compare.comparisons import made_up

Asked = list[tuple[Plan, Comparison | None]]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """Makes ``compare`` answer so without measuring; the plans it is given."""

    def answer(found: Comparison | None = None, shown: Gallery | None = None) -> Asked:
        asked: Asked = []
        whole = found or made_up()

        def compare(
            plan: Plan, *_: Any, before: Comparison | None, save: Callable[[Comparison], None]
        ) -> tuple[Comparison, Gallery]:
            asked.append((plan, before))
            save(replace(whole, complete=False, skipped=("half of it",)))
            return whole, shown or Gallery()

        monkeypatch.setattr(module, "compare", compare)
        return asked

    return answer


def run(words: Sequence[object], code: int = 0) -> None:
    assert main(["bench", "compare", *map(str, words)]) == code


def test_the_parser_knows_the_parts_and_the_tools_without_loading_them() -> None:
    assert command.PARTS == PARTS
    assert tuple(TOOLS) == command.PEERS


def test_pictures_of_ones_own_are_compared_from_cutting_to_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = two_sets(tmp_path / "private" / "pictures")
    words = ["--data", pictures, "-m", "echo", "echo:raw", "--parts", "accuracy", "--limit", 1]
    files = [tmp_path / name for name in ("r.html", "r.md", "r.json")]
    words += ["--html", files[0], "--markdown", files[1], "--json", files[2], "--no-peers"]
    run(words)
    out = capsys.readouterr().out
    assert "echo:raw" in out
    found = Comparison.read(files[2])
    assert [(one.name, one.pictures) for one in found.sets] == [("hard", 1), ("soft", 1)]
    assert [one.id for one in found.ran] == ["echo", "echo:raw"]
    assert found.commands == (
        "cleancut bench compare --data pictures --models echo echo:raw --parts accuracy"
        " --limit 1 --no-peers",
    )
    assert "<img" in files[0].read_text()
    for path in files:
        assert str(tmp_path) not in path.read_text()
        assert "private" not in path.read_text()
    # From the file alone it is drawn again, and only drawn.
    again = tmp_path / "again.html"
    run(["--from", files[2], "--html", again])
    assert "echo:raw" in again.read_text()
    assert "<img" not in again.read_text()


def test_what_is_asked_for_reaches_the_plan(answered: Callable[..., Asked], tmp_path: Path) -> None:
    asked = answered()
    words = ["--data", tmp_path, "--models", "u2netp,isnet", "modnet", "--only", "a, b", "--fresh"]
    words += ["--limit", 3, "--jobs", 2, "--runs", 7, "--rembg-venv", tmp_path / "r", "--downloads"]
    run(words)
    plan, before = asked[0]
    assert before is None
    assert plan.models == ("u2netp", "isnet", "modnet")
    assert (plan.only, plan.limit, plan.jobs, plan.speed.runs) == (("a", "b"), 3, 2, 7)
    assert plan.parts == frozenset(PARTS)
    assert plan.peers["rembg"] == tmp_path / "r"
    assert plan.peers["backgroundremover"] == Path(".venv-backgroundremover")
    assert (plan.fresh, plan.downloads, plan.install) == (True, True, False)
    assert not plan.drawn, "no page, no gallery"
    assert plan.command.endswith("--only 'a, b' --limit 3 --runs 7 --downloads")


def test_other_tools_are_left_out_if_asked(answered: Callable[..., Asked]) -> None:
    asked = answered()
    run(["--no-peers"])
    assert set(asked[0][0].peers.values()) == {None}


def test_a_quick_look_is_short(answered: Callable[..., Asked]) -> None:
    asked = answered()
    run(["--quick", "--runs", 9])
    plan = asked[0][0]
    assert (plan.speed.runs, plan.speed.large_calls, plan.repeats.runs) == (1, 0, 1)
    assert plan.command == "cleancut bench compare --quick"


def test_the_gallery_is_asked_for_with_a_page(
    answered: Callable[..., Asked], tmp_path: Path
) -> None:
    asked = answered()
    run(["--markdown", tmp_path / "r.md"])
    run(["--html", tmp_path / "r.html"])
    assert [plan.drawn for plan, _ in asked] == [False, True]


def test_parts_beside_a_file_are_those_that_are_named(
    answered: Callable[..., Asked], tmp_path: Path
) -> None:
    old = tmp_path / "secret" / "old.json"
    old.parent.mkdir()
    old.write_text(made_up().to_json())
    asked = answered()
    run(["--from", old])
    run(["--from", old, "--parts", "speed,video"])
    assert [plan.parts for plan, _ in asked] == [frozenset(), {"speed", "video"}]
    assert asked[0][1] == made_up()
    assert asked[1][0].command == "cleancut bench compare --parts speed,video --from old.json"


def test_folders_are_named_in_the_command_by_their_last_name(
    answered: Callable[..., Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = answered()
    run(["--data", tmp_path / "my photos", "--models", "/home/me/nets/mine.onnx", "--quick"])
    run(["--data", "."])
    assert [plan.command for plan, _ in asked] == [
        "cleancut bench compare --data 'my photos' --models mine.onnx --quick",
        f"cleancut bench compare --data {tmp_path.name}",
    ]


@pytest.mark.parametrize(
    ("found", "shown"),
    [(replace(made_up(), complete=False), Gallery()), (made_up(), Gallery(complete=False))],
)
def test_what_was_interrupted_is_reported_and_ends_with_130(
    found: Comparison, shown: Gallery, answered: Callable[..., Asked], tmp_path: Path
) -> None:
    answered(found, shown)
    page = tmp_path / "r.html"
    run(["--html", page, "--json", tmp_path / "r.json"], 130)
    assert "modnet" in page.read_text()
    assert Comparison.read(tmp_path / "r.json") == found


def test_figures_are_on_disk_before_the_last_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "r.json"

    def killed(*_: Any, save: Callable[[Comparison], None], **__: Any) -> None:
        save(made_up())
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compare", killed)
    run(["--json", target], 130)
    assert json.loads(target.read_text())["data"] == "eval"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--parts", "speed,looks"], "there is no part 'looks'"),
        (["--limit", "0"], "--limit"),
        (["--jobs", "0"], "--jobs"),
        (["--runs", "0"], "--runs"),
        (["--from", "nowhere.json"], "nowhere.json"),
        (["--html", "nowhere/r.html"], "cannot be written"),
        (["--markdown", "nowhere/r.md"], "cannot be written"),
        (["--json", "."], "cannot be written"),
        (["--json", "same", "--html", "./same"], "cannot both be"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    words: list[str],
    said: str,
    answered: Callable[..., Asked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = answered()
    assert main(["bench", "compare", *words]) in (2, 3)
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) <= 2
    assert asked == []


def test_a_place_without_permission_is_told_before_anything_is_measured(
    answered: Callable[..., Asked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = answered()
    (tmp_path / "old.json").touch()
    for locked in (tmp_path, tmp_path / "old.json"):  # root may write anywhere
        monkeypatch.setattr("os.access", lambda place, _, locked=locked: Path(place) != locked)
        assert main(["bench", "compare", "--json", str(tmp_path / "old.json")]) == 2
        assert "may not be written" in capsys.readouterr().err
    assert asked == []


def test_reports_are_written_though_nobody_reads_the_table(
    answered: Callable[..., Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    answered()
    monkeypatch.setattr("builtins.print", gone)
    main(["bench", "compare", "--markdown", str(tmp_path / "r.md")])
    assert "modnet" in (tmp_path / "r.md").read_text()


def test_a_page_needs_its_extra_before_anything_is_measured(
    answered: Callable[..., Asked],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    asked = answered()
    run(["--html", tmp_path / "r.html"], 3)
    assert "cleancut[compare]" in capsys.readouterr().err
    assert asked == []


def test_without_a_file_the_figures_are_kept_and_the_report_needs_no_second_run(
    answered: Callable[..., Asked], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered()
    run(["--data", tmp_path])
    out = capsys.readouterr().out
    assert "## " not in out, "a summary, not the whole report"
    (line,) = (line for line in out.splitlines() if "bench compare --from" in line)
    words = shlex.split(line)
    assert words[words.index("--data") + 1] == str(tmp_path)
    kept = Path(words[words.index("--from") + 1])
    assert Comparison.read(kept).data == "eval"
    run(["--from", kept])
    assert f"--figures {kept}" in capsys.readouterr().out


def test_a_report_that_is_written_is_named(
    answered: Callable[..., Asked], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answered()
    page = tmp_path / "r.md"
    run(["--markdown", page])
    out = capsys.readouterr().out
    assert f"The whole report: {page}\n" in out
    assert "--from" not in out
    assert "## The answer" in page.read_text()


def test_a_wrong_word_points_at_this_command(capsys: pytest.CaptureFixture[str]) -> None:
    run(["pictures"], 2)
    assert "cleancut bench compare --help" in capsys.readouterr().err
