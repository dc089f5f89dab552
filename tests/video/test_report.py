from __future__ import annotations

from cleancut.video.report import PartReport, clock, joined_notes, unsure_spans


def test_unsure_frames_that_are_near_are_one_span() -> None:
    times = [number / 10 for number in range(100)]
    sure = [0.9] * 100
    for number in (10, 11, 12, 17, 60, 61):
        sure[number] = 0.4
    sure[12] = 0.2
    assert unsure_spans(times, sure) == ((1.0, 1.7, 0.2), (6.0, 6.1, 0.4))


def test_one_unsure_frame_alone_is_not_worth_a_look() -> None:
    assert unsure_spans([0.0, 0.1, 0.2], [0.9, 0.1, 0.9]) == ()
    assert unsure_spans([0.0], [0.1]) == ((0.0, 0.0, 0.1),)


def test_a_note_is_told_once_with_how_often_and_since_when() -> None:
    one, two = PartReport(), PartReport()
    one.note("dark: too dark", 12.2)
    two.note("dark: too dark", 15.0)
    two.note("once: only", 16.0)
    assert joined_notes([one, two]) == (
        "dark: too dark (2 frames, first at 0:12)",
        "once: only",
    )


def test_a_report_survives_json() -> None:
    report = PartReport(3, size=(4, 2), weights={"rvm": "ab"}, times=[0.5], confidence=[0.9])
    report.note("a: b", 0.5)
    assert PartReport.from_json(report.to_json()) == report


def test_clocks_have_hours_where_needed() -> None:
    assert [clock(s) for s in (0.9, 72, 3725)] == ["0:00", "1:12", "1:02:05"]
