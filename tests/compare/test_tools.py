from __future__ import annotations

import re
from pathlib import Path

import pytest

from cleancut.bench.peer import REQUIREMENT, VERSION
from cleancut.catalog import find
from cleancut.compare.peers import TOOLS, published_mb
from cleancut.compare.tools import FEATURES, filled, parse, tool, tools
from cleancut.errors import BadOption

ROW = """
[[tool]]
name = "cutter"
requirement = "cutter[cpu,cli]"
module = "cutter"
cut = ["{bin}/cutter", "{image}", "{output}"]
default_model = "net"
default_model_how = "its help"
[[tool.feature]]
key = "api"
run = ["{bin}/cutter", "--help"]
finds = "serve"
"""


def test_every_peer_and_cleancut_have_a_row() -> None:
    assert [row.name for row in tools()] == ["cleancut", *TOOLS]


def test_a_tool_is_measured_as_its_row_says_it_is_installed_and_started() -> None:
    assert TOOLS["rembg"].requirement == REQUIREMENT == f"rembg[cpu,cli]=={VERSION}"
    for peer in TOOLS.values():
        row = tool(peer.id)
        assert peer.requirement.split("==") == [row.requirement, peer.version]
        assert row.cut[0] == f"{{bin}}/{peer.program}"
        default = next(network for network in peer.networks if network.default)
        assert default.name in row.default_model
        size = published_mb(default.spec) or default.mb
        assert row.default_weights_mb == pytest.approx(size, rel=0.01)


def test_every_tool_is_asked_for_every_feature_that_a_command_can_show() -> None:
    for row in tools():
        asked = {probe.key for probe in row.features}
        # Nobody can lend transparent-background its weights.
        weightless = {"offline", "resume"} if row.name == "transparent-background" else set()
        assert asked == set(FEATURES) - weightless, row.name


def test_a_fact_that_is_not_asked_for_names_its_source() -> None:
    for row in tools():
        assert row.default_model_how
        if row.default_weights:
            find(row.default_weights)
        else:
            assert re.search(r"\d", row.default_weights_how)


def test_our_own_row_is_told_no_easier_question() -> None:
    kinds = {row.name: {probe.key: probe.kind for probe in row.features} for row in tools()}
    for key in ("offline", "resume"):
        assert kinds["cleancut"][key] == kinds["rembg"][key] == kinds["backgroundremover"][key]


def test_requirement_is_taken_apart() -> None:
    (row,) = parse(ROW)
    assert (row.package, row.extras) == ("cutter", ("cpu", "cli"))


def test_only_known_fields_are_filled_so_that_python_code_keeps_its_braces() -> None:
    words = ("{python}", "-c", "print({'a': 1})", "{bin}/cutter")
    assert filled(words, {"python": "py", "bin": "/b"}) == [
        "py",
        "-c",
        "print({'a': 1})",
        "/b/cutter",
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('key = "api"', 'key = "magic"', "magic"),
        ('finds = "serve"', "", "finds"),
        ('finds = "serve"', 'finds = "("', "cutter"),
        ('finds = "serve"', 'finds = "serve"\nkind = "guessed"', "api"),
        ('finds = "serve"', 'finds = "serve"\nkind = "wrote"', "finds"),
        ('run = ["{bin}/cutter", "--help"]', "", "api"),
        ('module = "cutter"', 'module = "cutter"\ncolour = "red"', "colour"),
        ('module = "cutter"', "", "module"),
        (
            'default_model_how = "its help"',
            'default_model_how = "h"\ndefault_weights_mb = 4.7',
            "source",
        ),
    ],
)
def test_a_bad_row_is_refused_with_the_reason(old: str, new: str, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        parse(ROW.replace(old, new))


def test_a_feature_is_asked_for_once() -> None:
    with pytest.raises(BadOption, match="twice"):
        parse(ROW + '[[tool.feature]]\nkey = "api"\nrun = ["x"]\nfinds = "y"\n')


def test_an_unknown_tool_is_named_with_those_that_are_known() -> None:
    with pytest.raises(BadOption, match="scissors") as caught:
        tool("scissors")
    assert "rembg" in caught.value.hint


def test_the_rows_name_no_folder_of_any_machine() -> None:
    text = Path(tools.__wrapped__.__code__.co_filename).with_name("tools.toml").read_text("utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
