from __future__ import annotations

import subprocess
import sys

from cleancut.compare.measures import BY_KEY, MEASURES, OF_EDGES


def test_every_measure_has_a_key_of_its_own_and_explains_itself_in_one_sentence() -> None:
    assert len(BY_KEY) == len(MEASURES)
    for measure in MEASURES:
        assert measure.about.endswith(".")
        assert measure.exact or measure.binary


def test_edges_are_judged_by_soft_truths_only() -> None:
    assert {measure.key for measure in OF_EDGES} == {"hair", "hard", "jagged", "blurred"}
    assert all(measure.exact and not measure.binary for measure in OF_EDGES)


def test_measures_are_listed_without_numpy() -> None:
    code = "import sys, cleancut.compare.measures; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
