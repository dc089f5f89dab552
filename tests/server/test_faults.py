from __future__ import annotations

import pytest

from cleancut import errors
from cleancut.errors import CleancutError
from cleancut.server.faults import CODE_STATUS, retry_after, status_of, told


def _all(kind: type[CleancutError]) -> list[type[CleancutError]]:
    kinds = [kind, *(found for child in kind.__subclasses__() for found in _all(child))]
    return [found for found in kinds if found.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", _all(CleancutError), ids=lambda kind: kind.code)
def test_every_error_has_a_status_that_fits_its_kind(kind: type[CleancutError]) -> None:
    status = status_of(kind("what is wrong"))
    assert 400 <= status <= 504
    if kind.kind == "input":
        assert status < 500


def test_statuses_of_their_own_belong_to_errors_that_exist() -> None:
    known = {kind.code for kind in _all(CleancutError)}
    assert set(CODE_STATUS) <= known


def test_bugs_tell_nothing_and_crashes_do() -> None:
    assert "secret" not in "".join(told(CleancutError("secret", hint="secret")))
    assert told(errors.PictureCrashed("the process crashed"))[0] == "the process crashed"


def test_when_to_try_again() -> None:
    assert retry_after(errors.Busy("full", retry_after_s=0.2)) == 1
    assert retry_after(errors.RateLimited("slow", retry_after_s=7.1)) == 8
    assert retry_after(errors.StorageFailed("gone")) == 10
    assert retry_after(errors.BadOption("wrong")) is None
