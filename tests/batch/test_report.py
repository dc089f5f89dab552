from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cleancut.batch import contact_sheet
from cleancut.batch.job import Finished, Job, Notice, Outcome, Started
from cleancut.batch.ledger import Ledger
from cleancut.batch.report import RunFacts, write_report

HOSTILE = "</script><img src=x onerror=alert(1)> \u2028 & \" ' %%STYLE%% %%DATA%%"


def _record(ledger: Ledger, name: str, *, source: str = "", **outcome: Any) -> None:
    number = len(list(ledger.records())) + 1
    source = source or f"/photos/{name}.jpg"
    job = Job(f"{number:016x}", source, f"{ledger.out}/{name}", name, "v", path=f"{name}.jpg")
    ledger.assigned(job)
    ledger.record(Started(job))
    ledger.record(Finished(job, Outcome(job.id, **outcome)))


def _facts(confidence: float | None, *notes: str) -> dict[str, Any]:
    reasons = ["undecided: it is not clear"] if confidence and confidence < 0.6 else []
    return {
        "confidence": confidence,
        "reasons": reasons,
        "notes": list(notes),
        "output_size": [40, 30],
        "timings_ms": {"model": 60.0},
    }


@pytest.fixture
def page(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The report, the page's data and the page, of a run with everything in it."""
    with Ledger.open(str(tmp_path)) as ledger:
        _record(ledger, "good.png", status="done", seconds=0.2, written=100, facts=_facts(0.9))
        _record(
            ledger,
            "sub/unsure.png",
            status="done",
            seconds=3,
            written=10,
            thumb="2.webp",
            facts=_facts(0.3, "no_subject: nothing there"),
        )
        _record(ledger, "told.png", status="done", cached=True, facts=_facts(None))
        error = {"code": "unreadable-image", "kind": "input", "message": HOSTILE, "hint": "h"}
        _record(ledger, HOSTILE, status="failed", error=error)
        _record(
            ledger,
            "caf\udce9.png",
            source="/photos/caf\udce9.jpg",
            status="done",
            facts=_facts(0.8),
        )
        ledger.record(Notice("memory", "one at a time"))
        run = RunFacts(
            began=0.0,
            seconds=4.0,
            stopped="interrupted",
            skipped={"done": 7},
            left_out={"hidden": 2},
            options={"model": "isnet"},
            versions={"openvino": "1"},
        )
        report = write_report(ledger, str(tmp_path), run)
    facts = json.loads(Path(report.json_place).read_text("ascii"))
    html = Path(report.html_place).read_text("utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert match is not None
    return facts, json.loads(match[1]), html


def test_the_report_holds_what_a_shop_asks_for(page: tuple[dict[str, Any], Any, str]) -> None:
    facts = page[0]
    assert facts["schema"] == 1
    run = facts["run"]
    assert (run["done"], run["failed"], run["cached"]) == (4, 1, 1)
    assert run["pictures_per_second"] == 1.25
    assert run["began"] == "1970-01-01T00:00:00Z"
    assert (run["stopped"], run["skipped"], run["left_out"]) == (
        "interrupted",
        {"done": 7},
        {"hidden": 2},
    )
    assert run["notices"] == [{"code": "memory", "text": "one at a time"}]
    assert facts["totals"]["written_bytes"] == 110
    assert facts["failures_by_code"] == {"unreadable-image": 1}
    assert facts["failures"][0]["message"] == HOSTILE
    assert facts["failures"][0]["hint"] == "h"
    assert [entry["name"] for entry in facts["low_confidence"]] == ["sub/unsure.png"]
    assert facts["low_confidence"][0]["reasons"]
    assert facts["notes"] == {"no_subject": 1}
    assert [entry["name"] for entry in facts["slowest"]][:2] == ["sub/unsure.png", "good.png"]
    assert facts["options"] == {"model": "isnet"}
    assert facts["versions"]["openvino"] == "1"


def test_the_page_needs_nothing_from_elsewhere(page: tuple[Any, Any, str]) -> None:
    html = page[2]
    assert "%%POLICY%%" not in html
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", html)
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_page_s_policy_lets_its_own_script_run_and_no_other(
    page: tuple[Any, Any, str],
) -> None:
    html = page[2]
    for tag in ("style", "script"):
        match = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert match is not None
        assert contact_sheet._digest(match[1]) in html
    assert "unsafe-inline" not in html
    assert not re.search(r"\son\w+=", html.partition('id="data"')[0])


def test_hostile_names_are_data_and_never_markup(page: tuple[Any, dict[str, Any], str]) -> None:
    _, data, html = page
    assert "<img src=x" not in html
    failed = data["rows"][0]
    assert failed[0] == HOSTILE
    assert data["texts"][failed[10][1]] == HOSTILE


def test_rows_lead_to_result_small_picture_and_source(
    page: tuple[Any, dict[str, Any], str], tmp_path: Path
) -> None:
    data = page[1]
    rows = {row[0]: row for row in data["rows"]}
    unsure = rows["sub/unsure.png"]
    assert unsure[4] == "2.webp"
    folder, name = unsure[5]
    href, place = data["folders"][folder]
    assert (tmp_path / href / name).resolve() == Path("/photos/sub/unsure.png.jpg")
    assert place == "/photos/sub/"
    assert rows["caf?.png"][5][1] == "caf%E9.jpg"


def test_failed_pictures_come_first_then_the_unsure(page: tuple[Any, dict[str, Any], str]) -> None:
    assert [row[1] for row in page[1]["rows"]] == [1, 0, 0, 0, 0]
    assert page[1]["rows"][1][0] == "sub/unsure.png"


def test_a_page_that_would_be_too_large_leaves_out_the_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_sheet, "MAX_ROWS", 5)
    sheet = contact_sheet.Sheet(str(tmp_path), low_confidence=0.6)
    for at in range(20):
        sheet.add({"name": f"{at}.png", "status": "done", "facts": _facts(0.9)})
    sheet.add({"name": "bad.png", "status": "failed", "error": {}})
    facts = dict.fromkeys(("cleancut", "output", "run", "totals", "options", "failures_by_code"))
    html = sheet.html(facts).decode()
    match = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert match is not None
    data = json.loads(match[1])
    assert len(data["rows"]) == 5
    assert data["rows"][0][0] == "bad.png"
    assert data["total"] == 21


def test_a_report_of_nothing_is_a_report(tmp_path: Path) -> None:
    with Ledger.open(str(tmp_path)) as ledger:
        report = write_report(ledger, str(tmp_path), RunFacts(began=0.0, seconds=0.0))
    assert report.facts["run"]["pictures_per_second"] is None
    assert Path(report.html_place).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"error": "boom", "status": "failed"},
        {"facts": [1]},
        {"facts": {"confidence": "high"}},
        {"facts": {"confidence": float("nan")}},
        {"facts": {"notes": 5}},
        {"facts": {"output_size": 3}},
        {"written": "x"},
        {"seconds": "x"},
    ],
)
def test_a_tampered_line_costs_no_report(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with Ledger.open(str(tmp_path)) as ledger:
        _record(ledger, "good.png", status="done", seconds=0.2, written=100, facts=_facts(0.9))
        _record(ledger, "bad.png", status="done", seconds=0.2, written=100, facts=_facts(0.9))
    path = tmp_path / ".cleancut/ledger.jsonl"
    *lines, last = path.read_text().splitlines()
    tampered = json.dumps(json.loads(last) | wrong, separators=(",", ":"))
    path.write_text("\n".join([*lines, tampered]) + "\n")
    with Ledger.open(str(tmp_path)) as ledger:
        report = write_report(ledger, str(tmp_path), RunFacts(began=0.0, seconds=0.0))
    assert report.facts["totals"]["damaged_ledger_lines"] == 1
    assert report.facts["totals"]["written_bytes"] == 100
