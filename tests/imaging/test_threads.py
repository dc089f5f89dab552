from __future__ import annotations

import threading

import cv2
import pytest

from cleancut.imaging.threads import each, few_threads


@pytest.mark.parametrize("allowed", [1, 4])
def test_answers_come_in_order_whatever_the_threads(
    allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleancut.imaging.threads.cv2.getNumThreads", lambda: allowed)
    assert each(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert each(lambda n: n, []) == []


def test_one_thread_of_opencv_means_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleancut.imaging.threads.cv2.getNumThreads", lambda: 1)
    here = threading.current_thread()
    assert set(each(lambda _: threading.current_thread(), range(5))) == {here}


def test_the_first_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleancut.imaging.threads.cv2.getNumThreads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        each(lambda n: 1 // n, [1, 0, 2])


def test_opencv_gets_its_threads_back() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        with few_threads(2):
            assert cv2.getNumThreads() == 2
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(before)
