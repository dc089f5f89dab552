from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from cleancut.catalog import find
from cleancut.models.base import Prediction
from cleancut.options import Options
from cleancut.panel import Panel, single
from cleancut.video.looks import Lookers
from tests.video.scenes import texture

VIEW = texture(3, 60, 230).astype(np.uint8)


def disc(radius: float, soft: float = 1.0) -> Any:
    y, x = np.mgrid[:96, :128].astype(np.float32)
    return np.clip((radius - np.hypot(x - 64, y - 48)) / soft + 0.5, 0, 1).astype(np.float32)


class Member:
    """Answers with ``mattes`` in turn, the last one again and again; counts its calls."""

    def __init__(self, name: str, *mattes: Any) -> None:
        self.spec, self.placement = find(name), SimpleNamespace()
        self.mattes, self.calls = list(mattes), 0

    def predict(self, rgb: Any, state: Any = None) -> Prediction:
        matte = self.mattes[min(self.calls, len(self.mattes) - 1)]
        self.calls += 1
        return Prediction(matte, state=state)

    def __call__(self) -> Any:
        return self


def panel(lead: Any, portrait: Any, glance: Any, second: Any) -> tuple[Panel, dict[str, Member]]:
    names = {"lead": "isnet", "portrait": "modnet", "glance": "modnet", "second": "u2netp"}
    mattes = {"lead": lead, "portrait": portrait, "glance": glance, "second": second}
    members = {role: Member(names[role], *mattes[role]) for role in names}
    return Panel(**members), members


def test_a_trusted_portrait_network_is_asked_without_the_large_one_between_votes() -> None:
    people = (disc(30),)
    asked, members = panel(people, people, people, people)
    lookers, casting = Lookers(asked, Options(refine="off")), None
    for _ in range(15):
        found, casting = lookers.look(VIEW, casting)
    assert members["lead"].calls == 4
    assert members["portrait"].calls == 15 + 4  # each frame, and the votes
    assert np.array_equal(found.alpha, people[0])
    lookers.look(VIEW, casting)
    assert members["lead"].calls == 5
    assert lookers.names == ("isnet", "modnet", "u2netp")


def test_a_slip_of_the_portrait_network_is_outvoted() -> None:
    right = disc(30)
    slipped = np.maximum(right, cv2.GaussianBlur(np.float32(disc(12)), (0, 0), 1))
    slipped[:10, :10] = 1
    asked, _ = panel((right,), (slipped,), (right,), (right,))
    found, casting = Lookers(asked, Options(refine="off")).look(VIEW, None)
    assert casting is not None
    assert casting.portrait
    assert np.array_equal(found.alpha, right)


def test_a_portrait_network_that_sees_nobody_is_left_out_of_the_shot() -> None:
    haze = np.full((96, 128), 0.5, np.float32)
    asked, members = panel((disc(20),), (haze,), (haze,), (disc(20),))
    lookers, casting = Lookers(asked, Options(refine="off")), None
    for _ in range(5):
        found, casting = lookers.look(VIEW, casting)
    assert casting is not None
    assert not casting.portrait
    assert members["portrait"].calls == 0
    assert np.array_equal(found.alpha, disc(20))


def test_one_doubtful_vote_changes_nothing_within_a_shot() -> None:
    person, wrong = disc(30), np.ascontiguousarray(np.roll(disc(30), 50, axis=1))
    asked, _ = panel((person,) * 4 + (wrong, person), (person,), (person,), (person,))
    lookers, casting, told = Lookers(asked, Options(refine="off")), None, []
    for _ in range(30):
        _, casting = lookers.look(VIEW, casting)
        assert casting is not None
        told.append(casting.portrait)
    assert all(told)
    assert casting.trust < 1


def test_a_named_network_is_asked_once_a_frame() -> None:
    only = Member("modnet", disc(25))
    lookers = Lookers(single(only), Options(refine="off"))
    found, casting = lookers.look(VIEW, None)
    assert casting is None
    assert only.calls == 1
    assert np.array_equal(found.alpha, disc(25))
    assert found.confidence is not None
    assert 0 < found.confidence <= 1
