"""Charts: the same bytes in every run, names that do not cover each other, hostile names."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from cleancut.compare.charts import bars, charts, radar, scatter
from cleancut.compare.dimensions import DIMENSIONS, main_systems, profile
from cleancut.compare.labels import Box, place
from cleancut.compare.palette import looks
from cleancut.compare.svg import standalone
from cleancut.errors import MissingDependency
from tests.compare.comparisons import HOSTILE, made_up


def test_charts_are_the_same_bytes_in_every_run_and_hold_no_date() -> None:
    once, again = charts(made_up()), charts(made_up())
    assert [chart.svg for chart in once] == [chart.svg for chart in again]
    assert not any(re.search(r"20\d\d-\d\d|matplotlib", chart.svg) for chart in once)


def test_words_stay_words_in_the_ink_of_the_page() -> None:
    chart = scatter(made_up())
    assert chart
    root = ElementTree.fromstring(chart.svg)
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "modnet:raw" in texts
    assert "currentColor" in chart.svg
    assert "style=" not in chart.svg
    assert "<script" not in chart.svg


def test_hostile_names_are_drawn_as_they_are() -> None:
    comparison = made_up()
    name = f"$x_1$ {HOSTILE}"
    systems = tuple(replace(s, id=name) if s.id == "isnet" else s for s in comparison.systems)
    changed = replace(
        comparison,
        systems=systems,
        scores=tuple(
            replace(s, system=name) if s.system == "isnet" else s for s in comparison.scores
        ),
        speed=tuple(
            replace(s, system=name) if s.system == "isnet" else s for s in comparison.speed
        ),
    )
    chart = scatter(changed)
    assert chart
    root = ElementTree.fromstring(chart.svg)  # well-formed
    assert any("$x_1$ <script>" in "".join(one.itertext()) for one in root.iter())
    assert "<script" not in chart.svg


def test_a_chart_as_a_file_has_a_light_ground_and_dark_words() -> None:
    chart = bars(made_up(), "hair", "Hair", {"error": lambda system: 3.0}, "")
    assert chart
    svg = standalone(chart.svg)
    ElementTree.fromstring(svg)
    assert 'fill="#ffffff"' in svg
    assert 'color="#1b1c1e"' in svg


def test_no_chart_without_figures() -> None:
    nothing = replace(made_up(), scores=(), speed=(), resources=())
    assert charts(nothing) == ()


def test_radar_says_every_dimension_and_what_was_not_measured() -> None:
    comparison = replace(made_up(), speed=())
    svg = radar(comparison, main_systems(comparison)[:2], 2)
    label = str(ElementTree.fromstring(svg).get("aria-label"))
    assert label.count("not measured: speed") == 2
    assert label.count("accuracy") == 2


def test_the_best_lies_on_the_rim_and_the_scale_is_logarithmic() -> None:
    comparison = made_up()
    at = {s.id: profile(comparison, s) for s in main_systems(comparison)}
    assert at["auto"]["accuracy"][1] == 1.0
    for axis in DIMENSIONS:
        assert max(own[axis.key][1] for own in at.values()) <= 1.0
    # The distance from the rim of one that is sqrt(worst) times the best is half the way.
    fast = min(own["speed"][0] for own in at.values())
    speed = next(one for one in comparison.speed if one.system == "isnet")
    half = replace(speed, warm=(fast * 30**0.5,))
    slower = tuple(half if one.system == "isnet" else one for one in comparison.speed)
    changed = replace(comparison, speed=slower)
    system = changed.system("isnet")
    assert system
    assert profile(changed, system)["speed"][1] == pytest.approx(0.5)


def test_no_two_systems_that_ran_look_alike() -> None:
    comparison = made_up()
    found = looks(comparison.systems)
    shown = [found[system.id] for system in comparison.ran]
    assert len(set(shown)) == len(shown)
    assert found["modnet"].colour == found["modnet:raw"].colour


def test_names_in_a_scatter_never_cover_each_other_or_a_point() -> None:
    random.seed(4)
    points = [(random.gauss(300, 40), random.gauss(200, 30)) for _ in range(24)]
    frame = Box(0, 0, 620, 400)
    places = place(points, [(90.0, 12.0)] * len(points), frame)
    boxes = [one.box for one in places]
    markers = [Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for number, box in enumerate(boxes):
        assert box.outside(frame) == pytest.approx(0)
        assert not any(box.overlap(other) > 0.01 for other in boxes[number + 1 :])
        assert not any(box.overlap(marker) > 0.01 for marker in markers)


def test_names_that_find_no_room_are_placed_all_the_same() -> None:
    places = place([(5.0, 5.0)] * 9, [(80.0, 12.0)] * 9, Box(0, 0, 60, 20))
    assert len(places) == 9


def test_without_matplotlib_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency) as caught:
        charts(made_up())
    assert "cleancut[compare]" in caught.value.hint
