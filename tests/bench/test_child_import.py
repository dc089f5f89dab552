from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cleancut.bench import child_import
from cleancut.bench.measure import printed_json, run_once


def test_only_foreign_top_level_modules_are_named(tmp_path: Path) -> None:
    for name in ("foreign", "_hidden"):
        (tmp_path / f"{name}.py").touch()
    own = tmp_path / "mine"
    own.mkdir()
    own.joinpath("__init__.py").write_text(
        "import colorsys, foreign, _hidden\nfrom mine import part\n", "utf-8"
    )
    own.joinpath("part.py").touch()
    script = str(Path(child_import.__file__))
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    told = printed_json(run_once([sys.executable, "-P", script, "mine"], env))
    assert told["modules"] == ["foreign"]
    assert told["seconds"] > 0


def test_importing_cleancut_loads_nothing_foreign() -> None:
    script = str(Path(child_import.__file__))
    sample = run_once([sys.executable, "-P", script, "cleancut"], own_environ())
    assert json.loads(sample.stdout)["modules"] == []


def own_environ() -> dict[str, str]:
    source = str(Path(child_import.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": source}
