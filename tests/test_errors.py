from __future__ import annotations

import pickle
import re

import pytest

from cleancut import errors
from cleancut.arrays import check_alpha, check_rgb
from cleancut.extras import extra


def _leaves() -> list[type[errors.CleancutError]]:
    found, todo = [], [errors.CleancutError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo.extend(cls.__subclasses__())
    return [cls for cls in found if cls.__module__ == "cleancut.errors"]


def test_codes_are_unique_and_drawn_in_the_tree() -> None:
    codes = [cls.code for cls in _leaves()]
    assert len(codes) == len(set(codes))
    for cls in _leaves():
        assert cls.__name__ in (errors.__doc__ or "")
        assert cls.kind in ("input", "setup", "resource", "bug")
        if not cls.__subclasses__():
            assert re.search(rf"{cls.__name__} +{cls.code}\n", errors.__doc__ or "")


def test_message_and_hint_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(errors.WeightsMissing("gone", hint="pull it")))
    assert type(error) is errors.WeightsMissing
    assert (str(error), error.hint) == ("gone", "pull it")


def test_a_missing_extra_becomes_the_pip_line() -> None:
    with (
        pytest.raises(errors.MissingDependency) as caught,
        extra("heic"),
    ):
        import surely_not_installed  # type: ignore[import-not-found]  # noqa: F401
    assert "surely_not_installed" in str(caught.value)
    assert caught.value.hint == "run: pip install 'cleancut[heic]'"


def test_array_guards() -> None:
    import numpy as np

    check_rgb(np.zeros((2, 3, 3), np.uint8))
    check_alpha(np.zeros((2, 3), np.float32))
    bad_pictures = [np.zeros((2, 3), np.uint8), np.zeros((2, 0, 3), np.uint8), np.zeros((1, 1, 3))]
    for array in bad_pictures:
        with pytest.raises(errors.BadArray):
            check_rgb(array)  # type: ignore[arg-type]
    bad_mattes = [
        np.zeros((2, 3)),
        np.full((2, 2), np.nan, np.float32),
        np.full((2, 2), 1.5, np.float32),
        np.zeros((2, 2, 1), np.float32),
    ]
    for array in bad_mattes:
        with pytest.raises(errors.BadArray):
            check_alpha(array)
