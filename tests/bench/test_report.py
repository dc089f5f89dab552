from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleancut.bench.measure import Figure
from cleancut.bench.report import BEGIN, END, Report, Row, to_markdown, write_block
from cleancut.errors import BadOption, InputNotFound


def report(*rows: Row) -> Report:
    return Report("2030-01-02", 3, "Some CPU, 2 cores", ("ours 1",), rows, ("a note",))


def cells(row: Row) -> list[str]:
    line = next(line for line in to_markdown(report(row)).splitlines() if row.metric in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_shows_median_best_ratio_and_that_the_target_is_met() -> None:
    row = Row(3, "whole process", "s", Figure((4.0, 3.0, 5.0)), Figure((1.0, 0.9, 2.0)), 1.3)
    assert cells(row) == [
        "3. whole process", "4.00 s (3.00)", "1.00 s (0.90)", "4.0x", "<= 1.3 s", "yes",
    ]  # fmt: skip


def test_a_missed_target_is_shown_loudly() -> None:
    row = Row(3, "peak", "MB", Figure((1500.0,)), Figure((751.0,)), 750)
    assert cells(row) == ["3. peak", "1500 MB", "751 MB", "2.0x", "<= 750 MB", "NO"]


def test_what_was_not_measured_is_never_a_figure() -> None:
    assert cells(Row(5, "call", "s", None, None, 0.6)) == [
        "5. call", "not measured", "not measured", "", "<= 0.6 s", "",
    ]  # fmt: skip


def test_a_count_of_none_has_no_ratio() -> None:
    row = Row(1, "modules", "", Figure((23.0, 23.0)), Figure((0.0, 0.0)), 0)
    assert cells(row) == ["1. modules", "23", "0", "", "none", "yes"]
    assert not Row(1, "modules", "", None, Figure((1.0,)), 0).met


def test_a_small_time_keeps_three_digits() -> None:
    assert cells(Row(2, "help", "s", None, Figure((0.0649,)), None))[2] == "0.065 s"


def test_every_line_of_the_table_is_equally_wide() -> None:
    rows = [Row(1, "a", "", None, Figure((0.0,)), 0), Row(4, "much longer", "s", None, None)]
    table = [line for line in to_markdown(report(*rows)).splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({len(line) for line in table}) == 1


def test_json_holds_each_measurement_and_what_follows_from_them() -> None:
    row = Row(3, "whole", "s", None, Figure((1.0, 3.0, 2.0)), 1.3)
    facts = json.loads(json.dumps(report(row).to_dict()))["rows"][0]
    assert facts["cleancut"] == {"values": [1.0, 3.0, 2.0], "median": 2.0, "min": 1.0}
    assert facts["rembg"] is None
    assert facts["met"] is False


def test_the_block_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter ü\n", "utf-8")
    write_block(document, "new")
    write_block(document, "newer")
    assert document.read_text("utf-8") == f"before\n{BEGIN}\nnewer\n{END}\nafter ü\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_one_block_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(text, "utf-8")
    with pytest.raises(BadOption):
        write_block(document, "new")
    assert document.read_text("utf-8") == text


def test_a_missing_document_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        write_block(tmp_path / "none.md", "new")


def test_the_document_of_the_project_has_the_block() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "benchmarks.md").read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)


def test_a_share_must_reach_its_target() -> None:
    row = Row(1, "share", "%", None, Figure((92.0,)), 90.0, at_least=True)
    assert row.met
    assert not Row(1, "share", "%", None, Figure((88.0,)), 90.0, at_least=True).met
    assert ">= 90 %" in to_markdown(Report("d", 1, "m", (), (row,), ()))
