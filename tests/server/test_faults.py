from __future__ import annotations

import pytest

from cleancut import errors
from cleancut.errors import CleancutError
from cleancut.server.faults import CODE_STATUS, public, retry_after, status_of, told


def _all(kind: type[CleancutError]) -> list[type[CleancutError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all(child))]


@pytest.mark.parametrize("kind", _all(CleancutError), ids=lambda kind: kind.code)
def test_every_error_has_a_status_that_fits_its_kind(kind: type[CleancutError]) -> None:
    status = status_of(kind("what is wrong"))
    assert 400 <= status <= 504
    if kind.kind == "input":
        assert status < 500


def test_statuses_of_their_own_belong_to_errors_that_exist() -> None:
    known = {kind.code for kind in _all(CleancutError)}
    assert set(CODE_STATUS) <= known


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("not in /root/.local/share/x.onnx (checked)", "not in (a file of the server) (checked)"),
        ("--trimap /srv/spool/ab12: broken", "trimap (a file of the server): broken"),
        ("'C:\\Users\\me\\x.png' is broken", "'(a file of the server)' is broken"),
        ("~/x/y.png", "(a file of the server)"),
        ("see /v1/models or /docs", "see /v1/models or /docs"),
        ("https://example.com/a/b.jpg: 404", "https://example.com/a/b.jpg: 404"),
        ("--max-side: 0 is out of range", "max_side_px: 0 is out of range"),
        ("--keep-box and --roi", "keep_box and roi"),
        ("give width/height, 1/2 or 3/4", "give width/height, 1/2 or 3/4"),
    ],
)
def test_clients_read_fields_and_no_paths(text: str, shown: str) -> None:
    assert public(text) == shown


def test_bugs_tell_nothing_and_crashes_do() -> None:
    assert "secret" not in "".join(told(CleancutError("secret", hint="secret")))
    assert told(errors.PictureCrashed("the process crashed"))[0] == "the process crashed"


def test_when_to_try_again() -> None:
    assert retry_after(errors.Busy("full", retry_after_s=0.2)) == 1
    assert retry_after(errors.RateLimited("slow", retry_after_s=7.1)) == 8
    assert retry_after(errors.StorageFailed("gone")) == 10
    assert retry_after(errors.BadOption("wrong")) is None
