"""The report for a bug: complete, and about nobody."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from cleancut import __version__
from cleancut.cli import doctor, doctor_report
from cleancut.cli.doctor import Line
from cleancut.cli.doctor_report import markdown, without_secrets
from cleancut.cli.main import main


def test_it_says_what_a_maintainer_asks_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEANCUT_COMMERCIAL_ONLY", "1")
    assert main(["doctor", "--report"]) == 0
    text = capsys.readouterr().out
    for part in (
        f"| cleancut | {__version__} |",
        f"| Python | {platform.python_version()} (",
        "| numpy | ",
        "| onnxruntime | ",
        "| cleancut-nano | bundled | ",
        "| Apache-2.0 |",
        "runs on ",
        "| CLEANCUT_COMMERCIAL_ONLY | 1 |",
    ):
        assert part in text
    for title in ("Packages", "Models", "Findings", "Settings"):
        assert f"\n### {title}\n\n| " in text


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HOME", "/home/jane", "the file /home/jane/x.jpg"),
        ("MY_API_TOKEN", "s3cr3t-value", "refused: s3cr3t-value"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", "found wJalrXUtnFEMI there"),
        ("CLEANCUT_SERVER_REDIS", "redis://bob:hunter2@db:6379/0", "no redis://bob:hunter2@db"),
        ("HTTPS_PROXY", "http://u:pass99@proxy:3128", "by http://u:pass99@proxy:3128"),
        ("PIP_INDEX_URL", "https://me:tok123@pkgs.example/simple", "asked pkgs.example"),
        ("X", "y", "s3://bucket/a?X-Amz-Signature=abcdef0123"),
        ("CLEANCUT_RESULT_CACHE", "redis://bob:x|hunter2@db", "at redis://bob:x|hunter2@db"),
        ("CLEANCUT_RESULT_CACHE", "redis://u:a@hunter2@db", "at redis://u:a/b@hunter2@db"),
        ("MY_API_TOKEN", "s3cr3t|a  value", "refused: s3cr3t|a  value"),
    ],
)
def test_secrets_are_left_out_wherever_they_turn_up(name: str, value: str, told: str) -> None:
    text = markdown([Line("model", told, told)], {name: value, "CLEANCUT_HOME": told})
    for secret in ("jane", "s3cr3t", "wJalr", "hunter2", "pass99", "tok123", "abcdef0123", "bob"):
        assert secret not in text


def test_user_and_host_are_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_report.getpass, "getuser", lambda: "janedoe")
    monkeypatch.setattr(doctor_report.platform, "node", lambda: "janes-mac.local")
    told = without_secrets("/data/janedoe/m on janes-mac.local, JANES-MAC; janedoexx", {})
    assert told == "/data/USER/m on HOST, HOST; janedoexx"


def test_a_pipe_in_a_finding_stays_in_its_cell() -> None:
    assert "| a\\|b c |" in markdown([Line("x", "a|b\nc")], {})


def test_it_goes_to_a_file_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_models", lambda probe: [])  # it measures every network
    assert main(["doctor", "--report", "-o", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_text("utf-8").startswith("### cleancut doctor --report")
    assert main(["doctor", "--report", "-o", str(tmp_path / "no" / "r.md")]) == 2
    assert "output-not-writable" in capsys.readouterr().err
    assert main(["doctor", "--report", "--json"]) == 2


def test_it_reports_an_installation_that_lacks_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_report.metadata, "requires", _nothing)
    assert "not installed by pip" in markdown([], {})


def _nothing(name: str) -> list[str]:
    raise doctor_report.metadata.PackageNotFoundError(name)
