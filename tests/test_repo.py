"""The repository checks its own claims."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cleancut

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "cleancut"
FILES = sorted(SOURCE.rglob("*.py"))
WEB = SOURCE / "server" / "web"
#: What is written here; what others wrote lies in ``vendor`` as they wrote it.
PAGE = sorted(
    path
    for path in WEB.rglob("*")
    if path.suffix in (".html", ".css", ".js") and "vendor" not in path.parts
)
FORBIDDEN_NAMES = ("utils", "helpers", "common", "manager")


def _import(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["cleancut", "cleancut.rembg"])
def test_importing_loads_no_third_party_module(module: str) -> None:
    code = (
        f"import sys; before = set(sys.modules); import {module}\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'cleancut'}))"
    )
    assert _import(code) == "[]"


def test_public_names_resolve_and_are_complete() -> None:
    for name in cleancut.__all__:
        assert getattr(cleancut, name) is not None
    assert dir(cleancut) == sorted(cleancut.__all__)
    with pytest.raises(AttributeError):
        cleancut.surprise  # noqa: B018
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "from cleancut import cutout" in readme


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400, "a file stops at 400 lines"
    assert path.stem not in FORBIDDEN_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            assert (node.end_lineno or 0) - (told or 0) <= 60, f"{node.name} is too long"


@pytest.mark.parametrize("path", PAGE, ids=lambda path: str(path.relative_to(WEB)))
def test_files_of_the_page_stay_readable(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 400, "a file stops at 400 lines"
    assert path.stem not in FORBIDDEN_NAMES


def test_the_page_names_no_other_host() -> None:
    for path in PAGE:
        found = re.findall(r"https?://[^\s\"'`)]+", path.read_text("utf-8"))
        assert all(url.startswith("http://www.w3.org/") for url in found), path.name


def test_options_have_one_flag_each_and_are_documented() -> None:
    import argparse
    from dataclasses import fields

    from cleancut.cli.flags import add_option_flags
    from cleancut.options import Options

    parser = argparse.ArgumentParser()
    add_option_flags(parser)
    actions = {action.dest for action in parser._actions if action.dest != "help"}
    assert actions == {field.name for field in fields(Options)}
    library = (ROOT / "docs" / "library.md").read_text("utf-8")
    for field in fields(Options):
        assert f"`{field.name}`" in library, f"docs/library.md does not explain {field.name}"


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="argparse lays out its help differently from 3.13 on"
)
def test_generated_pages_are_fresh() -> None:
    location = ROOT / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_generate", location)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.stale() == [], "run: make docs"


def test_the_two_readme_commands_are_make_targets() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    first = re.search(r"```(?:\w*)\n(.*?)```", readme, re.DOTALL)
    assert first is not None
    assert first[1].split("\n")[:2] == ["make demo", "make test"]
    for target in ("demo", "test", "check", "docs", "bench-start"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_test_room_mirrors_the_package() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    tested = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= tested


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("README*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_version_is_stated_once() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'version = "{cleancut.__version__}"' in pyproject
    assert f"[{cleancut.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
