from __future__ import annotations

from pathlib import Path

import pytest

from cleancut import Options
from cleancut.errors import BadOption, StorageFailed, TimedOut, WeightsCorrupt
from cleancut.server.answer import error_of, facts_of
from cleancut.server.order import Order
from cleancut.server.twins import twin_key


def _facts(code: str, message: str = "m", hint: str = "h") -> dict[str, str]:
    return {"code": code, "kind": "input", "message": message, "hint": hint}


def test_errors_keep_their_kind_and_lose_their_places() -> None:
    error = error_of(_facts("weights-corrupt", "/home/me/.cleancut/isnet.onnx is damaged"))
    assert type(error) is WeightsCorrupt
    assert "/home" not in error.message
    assert error_of(_facts("bad-option", hint="one of: a, b")).hint == "one of: a, b"
    assert type(error_of(_facts("bad-option"))) is BadOption
    late = error_of(_facts("timed-out", "not done after 120 s", "give it more with --timeout"))
    assert type(late) is TimedOut
    assert "--timeout" not in late.hint


@pytest.mark.parametrize("code", ["input-not-found", "output-not-writable"])
def test_a_file_that_the_server_lost_is_not_the_client_s_fault(code: str) -> None:
    error = error_of(_facts(code, "/spool/x is gone"))
    assert type(error) is StorageFailed
    assert error.kind == "resource"


def test_notes_about_the_cache_do_not_say_where_it_lies() -> None:
    facts = {"model": "echo", "notes": ["cache: /var/c/e cannot be read (5)", "no_subject: a"]}
    assert facts_of(facts) == {
        "model": "echo",
        "notes": ["cache: (a file of the server) cannot be read (5)", "no_subject: a"],
    }


def test_twins_are_equal_in_all_that_matters_and_in_nothing_else(tmp_path: Path) -> None:
    for name, data in {"a": b"one", "b": b"one", "c": b"two", "m": b"mask", "n": b"mask"}.items():
        (tmp_path / name).write_bytes(data)

    def key(source: str, changes: dict[str, str] | None = None, **guidance: str) -> str | None:
        options = Options(model="echo", **(changes or {}))  # type: ignore[arg-type]
        return twin_key(Order(source=tmp_path / source, options=options, guidance=guidance))

    mask, same_mask, other = (str(tmp_path / name) for name in ("m", "n", "c"))
    assert key("a") == key("b") != key("c")
    assert key("a", mask=mask) == key("b", mask=same_mask) != key("a", mask=other)
    assert key("a", keep_box="1,2,3,4") != key("a", keep_box="1,2,3,5")
    assert key("a", {"background": mask}) == key("a", {"background": same_mask})
    assert key("a", {"background": mask}) != key("a", {"background": other})
    assert key("a", {"background": "white"}) != key("a") != key("a", {"format": "webp"})
    assert key("gone") is None
    assert key("a", mask=str(tmp_path / "gone")) is None
