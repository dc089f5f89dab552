from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleancut.cli.cache import add_cache_flags, cache_place
from cleancut.cli.main import main
from cleancut.errors import BadOption

ECHO = ["--model", "echo"]


@pytest.fixture
def photo(disc: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(disc).save("photo.png")
    return Path("photo.png")


def _args(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_cache_flags(parser)
    return parser.parse_args(words)


def test_a_flag_wins_over_the_environment_and_that_over_the_default(tmp_path: Path) -> None:
    home = {"CLEANCUT_CACHE": str(tmp_path)}
    standard = (str(tmp_path / "results"), 2_000_000_000)
    assert cache_place(_args(), home) == standard
    assert cache_place(_args(), {**home, "CLEANCUT_RESULT_CACHE": ""}) == standard
    told = {**home, "CLEANCUT_RESULT_CACHE": "/elsewhere"}
    assert cache_place(_args(), told)[0] == "/elsewhere"
    assert cache_place(_args("--cache", "here"), told)[0] == "here"
    assert cache_place(_args("--cache", "off"), told)[0] is None
    assert cache_place(_args(), {**home, "CLEANCUT_RESULT_CACHE": "off"})[0] is None
    assert cache_place(_args("--cache-size", "5MB"), home)[1] == 5_000_000
    with pytest.raises(BadOption):
        cache_place(_args("--cache-size", "much"), home)
    with pytest.raises(BadOption, match="Redis"):
        cache_place(_args("--cache-size", "1GB", "--cache", "redis://h"), home)


def test_the_second_cut_is_a_hit_with_the_same_bytes(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", "photo.png", "-o", "a.png", *ECHO]) == 0
    assert "(echo, 0." in capsys.readouterr().err
    assert main(["cut", "photo.png", "-o", "b.png", *ECHO]) == 0
    assert "photo.png -> b.png  (echo, cached)" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert main(["cut", "photo.png", "-o", "c.png", "--json", *ECHO]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["cached"] is True
    assert facts["timings_ms"].keys() == {"cache", "write", "total"}
    assert main(["cut", "photo.png", "-o", "d.png", "--json", "--cache", "off", *ECHO]) == 0
    assert json.loads(capsys.readouterr().out)["cached"] is False


@pytest.mark.parametrize(
    "words",
    [
        ["--only-mask"],
        ["--format", "webp"],
        ["--background", "red"],
        ["--keep-points", "64,48"],
        ["--refine", "off"],
    ],
)
def test_another_wish_is_another_result(
    words: list[str], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", "photo.png", "-o", "out/", *ECHO]) == 0
    for cached in ("(echo, 0.", "(echo, cached)"):
        capsys.readouterr()
        assert main(["cut", "photo.png", "-o", "out/", *words, *ECHO]) == 0
        assert cached in capsys.readouterr().err


def test_streams_and_guidance_files_are_cached_too(
    photo: Path, disc: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(disc[..., 0]).save("mask.png")
    words = [sys.executable, "-m", "cleancut", "cut", "-", "--mask", "mask.png"]
    outputs = []
    for cached in (b"(mask, 0.", b"(mask, cached)"):
        done = subprocess.run(words, input=photo.read_bytes(), capture_output=True, timeout=60)
        assert cached in done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] != b""
    Image.fromarray(255 - disc[..., 0]).save("mask.png")
    assert main(["cut", "photo.png", "--mask", "mask.png"]) == 0
    assert "(mask, 0." in capsys.readouterr().err


def test_notes_and_review_work_with_a_hit(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), (3, 3, 3)).save("empty.png")
    for _ in range(2):
        assert main(["cut", "empty.png", "--review-below", "1", *ECHO]) == 0
        text = capsys.readouterr().err
        assert "note [no_subject]" in text
        assert "copied to review" in text
        Path("review/empty.cutout.png").unlink()
    assert "(echo, cached)" in text
    assert main(["cut", "empty.png", "--fail-if-empty", *ECHO]) == 2
    assert "[no-subject]" in capsys.readouterr().err


def test_a_hit_obeys_the_limits(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cut", "photo.png", *ECHO]) == 0
    assert main(["cut", "photo.png", "--max-megapixels", "0.012", *ECHO]) == 2
    assert "[image-too-large]" in capsys.readouterr().err


def test_a_broken_place_costs_a_note_and_no_picture(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert main(["cut", "photo.png", "--cache", "file/x", *ECHO]) == 0
    assert "cleancut: note [cache] photo.png: " in capsys.readouterr().err
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = f"redis://:s3cr3t@127.0.0.1:{port}"
    assert main(["cut", "photo.png", "--cache", place, *ECHO]) == 0
    text = capsys.readouterr().err
    assert f"note [cache] photo.png: redis://127.0.0.1:{port} does not serve" in text
    assert "s3cr3t" not in text
    assert main(["cache", "--cache", place]) == 3
    text = capsys.readouterr().err
    assert "[cache-unavailable]" in text
    assert "s3cr3t" not in text


def test_show_verify_and_clear(photo: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = home / "cache" / "results"
    assert main(["cache"]) == 0
    assert not place.exists()
    for _ in range(3):
        assert main(["cut", "photo.png", *ECHO]) == 0
    capsys.readouterr()
    assert main(["cache"]) == 0
    text = capsys.readouterr().out
    assert str(place) in text
    assert "2 of 2 look-ups (100%)" in text
    assert main(["cache", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["entries"], facts["max_bytes"]) == (1, 2_000_000_000)
    assert main(["cache", "verify"]) == 0
    assert capsys.readouterr().out == "results: 1 sound\n"
    (file,) = (place / "entries").rglob("*" + "[0-9a-f]" * 60)
    file.write_bytes(b"junk")
    assert main(["cache", "verify"]) == 0
    assert "1 damaged and dropped" in capsys.readouterr().out
    assert main(["cut", "photo.png", *ECHO]) == 0
    assert main(["cache", "clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"removed": 1}
    assert main(["cache", "--cache", "off"]) == 0
    assert "off" in capsys.readouterr().out


def test_doctor_says_where_results_are(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", "photo.png", *ECHO]) == 0
    for place, wanted in [
        ("", "results, 1 results, 0.0 MB of 2.00 GB"),
        ("off", "the cache is off"),
        ("photo.png/x", "every picture is cut anew"),
        ("s3://x", "s3:// is no place for a cache"),
    ]:
        monkeypatch.setenv("CLEANCUT_RESULT_CACHE", place)
        main(["doctor"])
        assert wanted in capsys.readouterr().out


def test_an_unknown_action_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "cler"]) == 2
    assert "did you mean clear?" in capsys.readouterr().err


def test_a_hit_imports_no_numpy(photo: Path) -> None:
    from tests.backends.graphs import conv

    conv(Path("tiny.onnx"))
    words = ["cut", "photo.png", "-o", "x.png", "-m", "tiny.onnx", "--recipe", "size=16"]
    assert main(words) == 0
    code = (
        "import sys; from cleancut.cli.main import main\n"
        f"assert main([*{words}, '--json']) == 0\n"
        "heavy = {'numpy', 'cv2', 'PIL', 'onnxruntime', 'openvino'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    facts, heavy = done.stdout.splitlines()
    assert json.loads(facts)["cached"], done.stderr
    assert heavy == "[]"
