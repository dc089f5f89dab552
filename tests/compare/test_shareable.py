from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cleancut.compare.comparison import Deployment, PictureScore, System
from cleancut.compare.shareable import shareable, without_folders
from tests.compare.comparisons import made_up

pytestmark = pytest.mark.skipif(os.sep != "/", reason="paths as POSIX writes them")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/srv/alice/x.jpg may not be read", "x.jpg may not be read"),
        ("/srv/My Photos/a.jpg is a folder", "a.jpg is a folder"),
        ("lacks it: delete /srv/My Photos and run", "lacks it: delete My Photos and run"),
        ("[Errno 2] '/opt/venv/lib/u2netp.onnx'", "[Errno 2] 'u2netp.onnx'"),
        (r"C:\Users\bob\x.png is gone", "x.png is gone"),
        (f"{Path.home()}/.u2net/x.pth", "x.pth"),
        ("file:///srv/alice/secret/x", "x"),
        ("https://bob:word@host/simple/x?token=1#y", "https://host/simple/x"),
        ("pull it (https://host/a/b.onnx)", "pull it (https://host/a/b.onnx)"),
        (
            "SET/image/x: no alpha, 5 kB/s, error 3/1000",
            "SET/image/x: no alpha, 5 kB/s, error 3/1000",
        ),
    ],
)
def test_files_are_named_by_their_last_names_and_addresses_without_secrets(
    text: str, clean: str
) -> None:
    assert without_folders(text, [Path("/srv/My Photos")]) == clean


def test_every_line_of_a_comparison_is_clean() -> None:
    path = "/srv/alice/x.png"
    system = System(
        id="a", title="a", kind="peer", tool="a", model="a", note=f"n {path}", reason=f"r {path}"
    )
    found = shareable(
        replace(
            made_up(),
            systems=(system,),
            pictures=(PictureScore(system="a", set="b", stem="c", notes=(f"code: {path}",)),),
            deployment=(Deployment(tool="a", how={"licence": f"h {path}"}),),
            skipped=(f"s {path}", f"s {path}"),
        )
    )
    assert "alice" not in found.to_json()
    assert found.skipped == ("s x.png",)
    assert found.pictures[0].notes == ("code: x.png",)
    assert found.deployment[0].how == {"licence": "h x.png"}


def test_a_clean_one_stays_as_it_is() -> None:
    assert shareable(made_up()) == made_up()
