from __future__ import annotations

import pytest
from starlette.requests import Request

from cleancut.errors import Busy
from cleancut.server.answers import Answers, answered
from cleancut.server.order import megapixels_of


def _request() -> Request:
    return Request({"type": "http", "headers": []})


def test_answers_beyond_the_limit_wait_for_others_to_be_taken() -> None:
    answers = Answers(most=100)
    first, second = _request(), _request()
    answers.take(first, 80)
    with pytest.raises(Busy) as refused:
        answers.take(second, 30)
    assert refused.value.retry_after_s == 5
    answers.take(second, 20)
    for request in (first, first, second):
        answered(request.scope)
    assert answers.held == 0


def test_one_answer_goes_whatever_its_size() -> None:
    answers = Answers(most=100)
    answers.take(_request(), 500)
    assert answers.held == 500


def test_a_request_that_held_nothing_frees_nothing() -> None:
    answered({"type": "http"})
    answered(_request().scope)


def test_the_larger_of_what_was_sent_and_made_counts() -> None:
    assert megapixels_of({"size": [1000, 1000], "output_size": [500, 500]}) == 1.0
    assert megapixels_of({"size": [100, 100], "output_size": [2000, 1000]}) == 2.0
    assert megapixels_of({}) == 0.0
