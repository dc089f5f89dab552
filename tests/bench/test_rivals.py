from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleancut.bench import rivals
from cleancut.bench.peer import Peer
from cleancut.bench.rivals import run_rembg
from cleancut.bench.sides import Side
from cleancut.engine import Engine
from cleancut.errors import UnreadableImage
from cleancut.imaging.pairs import Pair, find_pairs
from tests.bench.scenes import two_sets

CHILD = Path(rivals.__file__).with_name("child_mattes.py")
#: A rembg that takes a picture's red as its matte, and counts its sessions.
FAKE_REMBG = """
from pathlib import Path

def new_session(name):
    with Path(__file__).with_name("sessions").open("a") as log:
        log.write(name + "\\n")
    return name

def remove(image, session):
    cut = image.convert("RGBA")
    cut.putalpha(image.convert("RGB").getchannel("R"))
    return cut
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder whose ``rembg`` is a fake."""
    (tmp_path / "fake" / "rembg").mkdir(parents=True)
    (tmp_path / "fake" / "rembg" / "__init__.py").write_text(FAKE_REMBG)
    return tmp_path / "fake"


@pytest.fixture
def prepared(fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``run_rembg`` runs the fake; the list tells how often an environment was prepared."""
    calls: list[str] = []
    weights = tmp_path / "isnet.onnx"
    weights.touch()

    def prepare(folder: Path, **_: object) -> Peer:
        calls.append(str(folder))
        return Peer(Path(sys.executable), Path("rembg"), {})

    def side(peer: Peer, home: Path) -> Side:
        assert (home / "isnet-general-use.onnx").exists()
        env = {**os.environ, "PYTHONPATH": str(fake)}
        return Side("rembg", str(peer.python), (), (), (), {}, env)

    class Resolved:
        path = weights

    monkeypatch.setattr(rivals.rembg_peer, "prepare", prepare)
    monkeypatch.setattr(rivals, "rembg_side", side)
    monkeypatch.setattr(rivals, "resolve", lambda _: Resolved)
    return calls


def cut(pairs: tuple[Pair, ...], tmp_path: Path) -> rivals.Rembg:
    return run_rembg(pairs, tmp_path / "venv", tmp_path / "cache", tell=lambda _: None)


def test_rembg_cuts_all_pictures_in_one_process_and_never_again(
    tmp_path: Path, fake: Path, prepared: list[str]
) -> None:
    pairs = find_pairs(two_sets(tmp_path / "pictures")).pairs
    for _ in range(2):
        rembg = cut(pairs, tmp_path)
        for pair in pairs:
            picture = Engine().read(pair.image)
            answer = rembg.answer(pair, picture)
            expected = picture.rgb[..., 0].astype(np.float32) / np.float32(255)
            assert np.array_equal(answer.alpha, expected)
            assert answer.seconds is not None
            assert answer.foreground is picture.rgb
    assert len(prepared) == 1
    assert (fake / "rembg" / "sessions").read_text() == "isnet-general-use\n"


def test_a_changed_picture_is_cut_again(tmp_path: Path, fake: Path, prepared: list[str]) -> None:
    pairs = find_pairs(two_sets(tmp_path / "pictures")).pairs
    cut(pairs, tmp_path)
    image = cv2.imread(str(pairs[0].image))
    assert image is not None
    cv2.imwrite(str(pairs[0].image), 255 - image)
    rembg = cut(pairs, tmp_path)
    assert len(prepared) == 2
    picture = Engine().read(pairs[0].image)
    assert rembg.answer(pairs[0], picture).alpha[0, 0] == 1.0


def test_a_picture_that_rembg_fails_on_says_why_and_ends_nothing(
    tmp_path: Path, prepared: list[str]
) -> None:
    pairs = find_pairs(two_sets(tmp_path / "pictures")).pairs
    picture = Engine().read(pairs[0].image)
    pairs[0].image.write_bytes(b"not a picture")
    rembg = cut(pairs, tmp_path)
    with pytest.raises(UnreadableImage, match="UnidentifiedImageError"):
        rembg.answer(pairs[0], picture)
    assert rembg.answer(pairs[1], Engine().read(pairs[1].image)).alpha.any()


def test_the_child_leaves_no_half_matte_behind(tmp_path: Path, fake: Path) -> None:
    pair = find_pairs(two_sets(tmp_path / "pictures")).pairs[0]
    (tmp_path / "out").mkdir()
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([[str(pair.image), str(tmp_path / "out" / "x.png")]]))
    done = subprocess.run(
        [sys.executable, "-P", str(CHILD), "isnet-general-use", str(jobs)],
        env={**os.environ, "PYTHONPATH": str(fake)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"done": 1, "failed": 0}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.png", "x.txt"]
