from __future__ import annotations

import pytest

from cleancut.server.wording import placeless, public


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("not in /root/.local/share/x.onnx (checked)", "not in (a file of the server) (checked)"),
        ("--trimap /srv/spool/ab12: broken", "trimap: broken"),
        ("--background C:\\a\\b.png: broken", "background: broken"),
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


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("cache: /var/cache/x.sqlite cannot be read (13)", "cache: {} cannot be read (13)"),
        ("run: cleancut models pull isnet", "run: cleancut models pull isnet"),
        ("12/40 and 3 / 4, png/webp/jpg", "12/40 and 3 / 4, png/webp/jpg"),
    ],
)
def test_no_place_of_the_server_is_told(said: str, told: str) -> None:
    assert placeless(said) == told.format("(a file of the server)")
