from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cleancut.cli.keys import data_folder
from cleancut.cli.main import main
from cleancut.server.keys import Keys, Limits
from cleancut.server.quota import Quota
from cleancut.server.settings import Settings


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "server"
    monkeypatch.setenv("CLEANCUT_SERVER_DATA", str(folder))
    return folder


def test_the_folder_is_that_of_the_server(home: Path, tmp_path: Path) -> None:
    assert data_folder(None) == home / "cleancut" / "server"
    assert data_folder(None, {"CLEANCUT_SERVER_DATA": "/srv/cut"}) == Path("/srv/cut")
    assert data_folder(tmp_path, {"CLEANCUT_SERVER_DATA": "/srv/cut"}) == tmp_path


def test_a_key_is_shown_once_and_alone_on_stdout(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--requests-per-minute", "60", "--megapixels-per-day", "1.5"]
    assert main(["keys", "add", "shop", *words]) == 0
    told = capsys.readouterr()
    key = told.out.strip()
    assert "not shown again" in told.err
    assert key not in told.err
    caller = Keys(data / "keys.json").check(key)
    assert caller is not None
    assert caller.limits == Limits(requests_per_minute=60, megapixels_per_day=1.5)
    assert main(["keys", "list"]) == 0
    assert main(["keys", "list", "--json"]) == 0
    assert key not in capsys.readouterr().out


def test_list_says_what_was_used(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "list"]) == 0
    assert "no keys" in capsys.readouterr().out
    assert not data.exists()
    keys = Keys(data / "keys.json")
    keys.add("shop", Limits(megapixels_per_day=10))
    quota = Quota(Settings(data=data))
    quota.charge(keys.listed()[0].caller, 2.5)
    quota.stop()
    assert main(["keys", "list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "name"
    assert row.startswith("shop")
    assert "2.5 of 10" in row
    assert main(["keys", "list", "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)
    assert facts["today"] == facts["month"] == {"megapixels": 2.5, "pictures": 1}
    assert facts["megapixels_per_day"] == 10


def test_keys_of_a_container_are_listed_also(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("partner " + "s" * 32, "utf-8")
    assert main(["keys", "list", "--keys-file", str(tmp_path / "secret")]) == 0
    out = capsys.readouterr().out
    assert "partner" in out
    assert "sss" not in out


def test_limits_are_changed_one_by_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "add", "shop", "--requests-per-minute", "60"])
    assert main(["keys", "limit", "shop", "--megapixels-per-month", "5"]) == 0
    keys = Keys(data / "keys.json")
    assert keys.listed()[0].caller.limits == Limits(requests_per_minute=60, megapixels_per_month=5)
    assert main(["keys", "limit", "shop", "--requests-per-minute", "none"]) == 0
    assert keys.listed()[0].caller.limits == Limits(megapixels_per_month=5)


def test_rotate_and_remove(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = Keys(data / "keys.json")
    old = keys.add("shop")
    assert main(["keys", "rotate", "shop", "--overlap", "2", "--json"]) == 0
    new = json.loads(capsys.readouterr().out)["key"]
    keys.listed()
    assert keys.check(old) == keys.check(new) is not None
    assert main(["keys", "remove", "shop"]) == 0
    keys.listed()
    assert keys.check(new) is None


@pytest.mark.parametrize(
    "words",
    [
        ["add", "../x"],
        ["add", "y", "--requests-per-minute", "1.5"],
        ["add", "y", "--megapixels-per-day", "lots"],
        ["add", "y", "--megapixels-per-day", "-1"],
        ["remove", "nobody"],
        ["rotate", "nobody"],
        ["rotate", "shop", "--overlap", "-1"],
        ["rotate", "shop", "--overlap", "nan"],
        ["limit", "nobody", "--megapixels-per-day", "1"],
        ["list", "--redis", "nonsense"],
        [],
    ],
)
def test_mistakes_are_one_line(
    data: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Keys(data / "keys.json").add("shop")
    before = (data / "keys.json").read_bytes()
    assert main(["keys", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert (data / "keys.json").read_bytes() == before


def test_a_damaged_file_is_an_error_of_the_setup(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.mkdir()
    (data / "keys.json").write_text("{", "utf-8")
    for words in (["list"], ["add", "shop"]):
        assert main(["keys", *words]) == 3
        assert "damaged" in capsys.readouterr().err
    assert (data / "keys.json").read_text("utf-8") == "{"


def test_the_command_imports_nothing_heavy(data: Path) -> None:
    code = (
        "import sys; from cleancut.cli.main import main; main(['keys', 'add', 'shop'])\n"
        "print(sorted({'numpy', 'cv2', 'fastapi', 'redis', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[1] == "[]"
