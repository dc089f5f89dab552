from __future__ import annotations

from cleancut.matting.confidence import judge_matte


def test_a_sharp_matte_that_another_network_confirms_is_sure() -> None:
    sure = judge_matte(0.08, 0.97)
    assert sure.value > 0.9
    assert sure.reasons == ()


def test_indecision_and_disagreement_lower_it_and_are_named() -> None:
    lost = judge_matte(0.9, 0.4)
    assert lost.value < 0.3
    assert [reason.split(":")[0] for reason in lost.reasons] == ["undecided", "disagreement"]
    assert "40%" in lost.reasons[1]
    assert judge_matte(0.08, 0.4).value < judge_matte(0.08, 0.97).value


def test_one_network_alone_is_less_sure_than_two_that_agree() -> None:
    assert judge_matte(0.1, None).value < judge_matte(0.1, 0.97).value


def test_it_is_a_share_whatever_comes_in() -> None:
    for softness in (0.0, 1e-6, 4.0):
        for agreement in (None, 0.0, 1.0):
            assert 0 <= judge_matte(softness, agreement).value <= 1
