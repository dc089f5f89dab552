"""The code of the documentation: shell commands one by one, Python block by block."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: For whoever works on the code: types, a tree of files, the steps of a release.
_NOT_FOR_USERS = {"architecture.md", "releasing.md"}
#: Made of every command's help: only the lines after "examples:" are commands.
_OF_HELP = {"cli.md"}
PAGES = sorted(
    page
    for page in [*ROOT.glob("README*.md"), *DOCS.rglob("*.md")]
    if page.name not in _NOT_FOR_USERS
)
_SHELL = {"", "sh", "shell", "bash", "console"}
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_EXAMPLES = re.compile(r"^examples:\n((?:  .*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """A block of code and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path) -> list[Fence]:
    """All blocks of a page, indented ones (in lists and tabs) too."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent, info, body = match.groups()
        language = info.split()[0].lower() if info.split() else ""
        body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        line = text.count("\n", 0, match.start()) + 2
        found.append(Fence(page, line, language, body))
    return found


def commands(page: Path) -> list[tuple[str, str]]:
    """(place, command) of every shell command of a page, in order."""
    found = []
    for fence in fences(page):
        if fence.language in _SHELL:
            lines = _helped(fence) if page.name in _OF_HELP else _joined(fence.text)
            found += [(fence.place, line) for line in lines]
    return found


def _helped(fence: Fence) -> Iterator[str]:
    """Examples of a help text; two spaces part a command from what is said about it."""
    for block in _EXAMPLES.findall(fence.text):
        for line in block.splitlines():
            command = re.split(r"\s{2,}", line.strip())[0]
            # One example is too long for two spaces.
            yield command.replace(" unsure ones also in out/review/", "")


def _joined(text: str) -> Iterator[str]:
    """Whole commands: continued lines and open quotes joined, prompts and comments dropped."""
    held = ""
    for line in text.splitlines():
        held += line.removeprefix("$ ") if not held else line
        if held.endswith("\\"):
            held = held[:-1]
            continue
        try:
            words = shlex.split(held, comments=True)
        except ValueError:  # a quote is still open
            held += "\n"
            continue
        if words:
            yield _uncommented(held)
        held = ""
    assert not held, f"a command that never ends: {held}"


def _uncommented(line: str) -> str:
    """``line`` without a comment at its end; the shell's rule: a space before the hash."""
    for match in re.finditer(r"\s+#", line):
        head = line[: match.start()]
        try:
            shlex.split(head)
        except ValueError:
            continue  # inside quotes
        return head
    return line.strip()
