"""Every Python block of the documentation runs, or stands in ``NOT_RUN``."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.docs import scene
from tests.docs.fences import PAGES, ROOT, Fence, fences

#: What is not run here -> why. It is still read by Python's own parser.
NOT_RUN = {
    "standardwebhooks": "a package of those who receive webhooks: tests/server/test_webhooks.py",
    r"read_labels": "what `distill label` writes: tests/distill/test_labels.py",
}
NEEDS_WEIGHTS = re.compile(r"isnet|modnet|u2netp")
#: Names that a block takes for given, by page.
GIVEN: dict[str, dict[str, Any]] = {
    "docs/library.md": {"paths": [Path("photo.jpg"), Path("a.jpg")]},
    "docs/video.md": {"frames": [np.zeros((48, 64, 3), np.uint8)] * 2},
}
BLOCKS = [fence for page in PAGES for fence in fences(page) if fence.language == "python"]


def reason_for(fence: Fence) -> str | None:
    return next((why for row, why in NOT_RUN.items() if re.search(row, fence.text)), None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene.build(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def folder(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(scene.copied(built, tmp_path / "page"))
    return tmp_path / "page"


def run(page: Path) -> None:
    """All blocks of a page in one namespace: a block may go on from the one before."""
    name = str(page.relative_to(ROOT))
    space: dict[str, Any] = {"__name__": "__docs__", **GIVEN.get(name, {})}
    for fence in fences(page):
        if fence.language == "python" and reason_for(fence) is None:
            code = compile("\n" * (fence.line - 1) + fence.text, name, "exec")
            exec(code, space)  # the documentation's own


def _pages(*, weights: bool) -> list[Any]:
    """Pages with something to run; those that name a model of `models pull`, or the others."""
    found = {fence.page: False for fence in BLOCKS if reason_for(fence) is None}
    for fence in BLOCKS:
        if fence.page in found and NEEDS_WEIGHTS.search(fence.text):
            found[fence.page] = True
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page, named in found.items()
        if named == weights
    ]


@pytest.mark.parametrize("page", _pages(weights=False))
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_every_block_runs(page: Path, folder: Path) -> None:
    run(page)


@pytest.mark.weights
@pytest.mark.parametrize("page", _pages(weights=True))
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_blocks_that_name_a_model_run(page: Path, folder: Path, real_models: Path) -> None:
    run(page)


@pytest.mark.parametrize("fence", BLOCKS, ids=lambda fence: fence.place)
def test_every_block_is_python(fence: Fence) -> None:
    ast.parse(fence.text)


def test_no_row_is_left_over() -> None:
    for row in NOT_RUN:
        assert any(re.search(row, fence.text) for fence in BLOCKS), f"nothing needs {row}"
