from __future__ import annotations

import xml.etree.ElementTree as ET

from cleancut.bench.flame import flame

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_share_one_scale_and_stages_fill_their_picture() -> None:
    root = ET.fromstring(flame({"small": {"decode": 10, "model": 90}, "large": {"decode": 200}}))
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect")]
    small, decode, model, large, whole = widths
    assert abs(decode + model - small) < 0.2
    assert abs(large - 2 * small) < 0.2
    assert whole == large


def test_what_is_too_narrow_for_its_name_is_named_below() -> None:
    text = flame({"picture": {"decode": 1.0, "model": 300.0}})
    assert "decode 1" in text
    assert ">model 300<" in text


def test_titles_are_escaped() -> None:
    root = ET.fromstring(flame({"<script>": {"a&b": 100.0}}))
    assert any("<script>" in (text.text or "") for text in root.iter(f"{SVG}text"))
