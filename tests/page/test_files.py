"""What the page's files promise before any browser reads them."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path

import pytest

import cleancut.server

WEB = Path(cleancut.server.__file__).parent / "web"
VENDOR = WEB / "vendor"
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
OURS = [path for path in FILES if VENDOR not in path.parents]
SCRIPTS = [path for path in OURS if path.suffix == ".js"]
LANGUAGES = sorted((WEB / "words").glob("*.js"))

#: Bytes of everything as it is stored, and as it is sent: the page's, and the part for videos,
#: which nobody loads who brings pictures.
STORED, SENT = 300_000, 120_000
VIDEO_STORED, VIDEO_SENT = 50_000, 22_000


def name(path: Path) -> str:
    return str(path.relative_to(WEB))


@cache
def words(path: Path) -> dict[str, str]:
    """The words of one language, as node or Chromium would read them; those for videos too."""
    text = path.read_text("utf-8") + (WEB / "video" / "words" / path.name).read_text("utf-8")
    body = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for key, value in re.findall(r"^\s*\"([\w.-]+)\":\s*\n?\s*(\"(?:[^\"\\]|\\.)*\")", body, re.M):
        assert key not in found, f"{name(path)} has {key} twice"
        found[key] = json.loads(value)
    return found


def test_all_of_the_page_is_small() -> None:
    """Compressed, as every browser asks for it; all scripts, though some load later."""
    sizes = {name(path): path.stat().st_size for path in FILES}
    sent = {name(path): len(gzip.compress(path.read_bytes(), 9)) for path in FILES}
    for found, page, video in ((sent, SENT, VIDEO_SENT), (sizes, STORED, VIDEO_STORED)):
        ours = {key: size for key, size in found.items() if not key.startswith("video/")}
        assert sum(ours.values()) <= page, sorted(ours.items(), key=lambda row: -row[1])[:8]
        theirs = {key: size for key, size in found.items() if key not in ours}
        assert sum(theirs.values()) <= video, theirs


@pytest.mark.parametrize("path", OURS, ids=name)
def test_files_of_the_page_stay_readable(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 400, "a file stops at 400 lines"
    if path.suffix != ".svg":
        assert max(map(len, lines), default=0) <= 300


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_text_becomes_markup_or_code(path: Path) -> None:
    text = path.read_text("utf-8")
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in text, f"{way}: make elements instead"
    assert not re.search(r"new Function|setTimeout\(\s*[\"'`]", text)


@pytest.mark.parametrize("path", OURS, ids=name)
def test_nothing_comes_from_another_host(path: Path) -> None:
    text = path.read_text("utf-8")
    hosts = set(re.findall(r"https?://[^\s\"'`)<>]+", text)) - {"http://www.w3.org/2000/svg"}
    assert hosts == set()
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?//", text)


def test_the_page_holds_no_inline_script_or_style() -> None:
    text = (WEB / "index.html").read_text("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []


def test_every_script_that_is_loaded_at_once_is_named_at_the_start() -> None:
    """So that a browser asks for all of them together and not one after the other."""
    found: list[str] = []
    waiting = ["app.js"]
    while waiting:
        if (file := waiting.pop()) not in found:
            found.append(file)
            text = (WEB / file).read_text("utf-8")
            waiting += re.findall(r"^import[^;]*?\"\./([\w./-]+)\";", text, re.MULTILINE)
    index = (WEB / "index.html").read_text("utf-8")
    named = re.findall(r"<link rel=\"modulepreload\" href=\"page/([^\"]+)\">", index)
    assert sorted(named) == sorted(found)


def test_every_language_has_the_same_words() -> None:
    english = words(WEB / "words" / "en.js")
    assert len(english) > 50
    assert len(LANGUAGES) >= 2
    for path in LANGUAGES:
        theirs = words(path)
        assert sorted(theirs.keys() ^ english.keys()) == [], name(path)
        for key, value in theirs.items():
            assert value.strip(), f"{name(path)}: {key} is empty"
            assert holes(value) == holes(english[key]), f"{name(path)}: {key}"


def holes(text: str) -> set[str]:
    """What is filled in: the names in braces."""
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_word_that_is_used_exists_and_every_other_one_is_gone() -> None:
    """Keys are written whole, or as a template like `error.${code}` whose start counts."""
    english = words(WEB / "words" / "en.js")
    rooms = {key.partition(".")[0] for key in english if "." in key}
    texts = [path.read_text("utf-8") for path in OURS if path.parent.name != "words"]
    whole = "\n".join(texts)
    quoted = set(re.findall(r"[\"'`]([a-z]+(?:[.-]\w+)*)[\"'`]", whole))
    called = set(re.findall(r"\bt\(\s*\"([\w.-]+)\"", whole))
    meant = {key for key in quoted if key.partition(".")[0] in rooms and "." in key}
    files = re.compile(r"\.(?:js|css|png|jpg|svg|html)$")
    assert sorted(k for k in called | meant if k not in english and not files.search(k)) == []
    starts = (*re.findall(r"`([a-z][\w.-]*\.)\$\{", whole), "\0")
    assert sorted(k for k in english if k not in quoted and not k.startswith(starts)) == []


def test_every_code_of_an_error_has_plain_words() -> None:
    """What the server may answer is said in the page's own words, or its own text is shown."""
    from cleancut import errors

    english = words(WEB / "words" / "en.js")
    codes = {
        found.code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, errors.CleancutError)
    }
    told = {key.removeprefix("error.").partition(".")[0] for key in english if "error." in key}
    common = {"busy", "body-too-large", "image-too-large", "unreadable-image", "key-refused"}
    assert common <= codes
    assert common <= told


def test_every_note_has_plain_words_or_is_not_shown() -> None:
    """The notes that the library documents, but for those of the operator and of the printer."""
    text = (Path(__file__).parents[2] / "docs" / "library.md").read_text("utf-8")
    table = text.partition("| note | meaning |")[2].partition("\n\n")[0]
    codes = set(re.findall(r"`(\w+)`(?=[^|\n]*\|[^|\n]*\|$)", table, re.M)) - {"head", "canvas"}
    quiet = re.findall(r"QUIET = new Set\(\[(.*?)\]", (WEB / "reasons.js").read_text("utf-8"))[0]
    english = words(WEB / "words" / "en.js")
    assert {"no_subject", "head_turned", "first_frame"} <= codes
    lacking = {code for code in codes if f"note.{code}" not in english and code not in quiet}
    assert lacking == {"sheet"}, "how many copies there are is seen"


def test_the_wheel_holds_the_page(tmp_path: Path) -> None:
    """The build's own listing of what goes into a wheel."""
    hatch = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    builder = hatch.WheelBuilder(str(Path(__file__).parents[2]))
    held = {Path(file.distribution_path) for file in builder.recurse_included_files()}
    ours = {Path("cleancut/server/web") / path.relative_to(WEB) for path in FILES}
    assert ours <= held
