from __future__ import annotations

from dataclasses import replace

from cleancut.catalog import find
from cleancut.compare.comparison import Comparison, Machine, System
from cleancut.compare.staleness import stale
from cleancut.version import PIPELINE_VERSION

NANO = System(
    id="cleancut-nano",
    title="nano",
    kind="ours",
    tool="cleancut",
    model="cleancut-nano",
    pinned=(find("cleancut-nano").weights[0].sha256,),
)
FRESH = Comparison(
    version="0",
    pipeline=PIPELINE_VERSION,
    date="2026-01-01",
    machine=Machine(cpu="x", cores=1),
    data="x",
    systems=(NANO,),
)


def test_what_is_as_it_was_is_not_stale() -> None:
    peer = replace(NANO, id="rembg:u2netp", kind="peer", tool="rembg", model="old", pinned=("0",))
    panel = replace(NANO, id="auto", model="auto", pinned=("1" * 64,))
    assert stale(replace(FRESH, systems=(NANO, peer, panel))) == ()


def test_another_pipeline_is_told() -> None:
    (line,) = stale(replace(FRESH, pipeline=PIPELINE_VERSION - 1, version="0.0.9"))
    assert f"pipeline {PIPELINE_VERSION - 1} of cleancut 0.0.9" in line
    assert f"this is pipeline {PIPELINE_VERSION}" in line


def test_other_weights_and_a_model_that_is_gone_are_told() -> None:
    changed = replace(NANO, pinned=("0" * 64,))
    gone = replace(NANO, id="gone", model="gone-net")
    assert stale(replace(FRESH, systems=(changed, gone))) == (
        "cleancut-nano has other weights now",
        "gone is not in the catalog any more",
    )


def test_a_system_that_did_not_run_says_nothing() -> None:
    missing = replace(NANO, pinned=("0" * 64,), reason="not here")
    assert stale(replace(FRESH, systems=(missing,))) == ()
