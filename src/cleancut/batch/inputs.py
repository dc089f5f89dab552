"""What the user pointed at: folders, patterns, files, lists and addresses, checked at once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from cleancut.batch import names, storage
from cleancut.errors import BadOption, InputNotFound, OutputNotWritable

#: Files of a folder that are taken, by suffix. What they really are is found out when read.
PICTURES = frozenset(
    "jpg jpeg jpe jfif png webp tif tiff bmp dib gif avif heic heif hif".split()  # noqa: SIM905
)
#: Folders that systems and drives make for themselves.
_NOT_OURS = {"__macosx", "$recycle.bin", "system volume information", "@eadir", "lost+found"}
_MAX_LIST_BYTES = 1 << 30
_MAX_LINE = 32768
_WILD = re.compile(r"[*?[]")
_EXAMPLES = 20


@dataclass(slots=True)
class LeftOut:
    """What was passed over, by reason: how many, and the first few of each.

    Reasons are "not-a-picture", "hidden", "unreadable-folder", "link-loop", "output-folder",
    "twice" and "odd-name".
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, reason: str, place: str) -> None:
        """One more."""
        seen = self.counts.get(reason, 0)
        self.counts[reason] = seen + 1
        if seen < _EXAMPLES:
            self.examples.setdefault(reason, []).append(place)

    def add(self, reason: str, count: int) -> None:
        """Several more, without examples."""
        if count:
            self.counts[reason] = self.counts.get(reason, 0) + count


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that is read recursively, or the fixed part of a pattern.

    ``label`` is its name under the output, "" for the output itself. ``pattern`` matches names
    below the folder, None takes every picture; ``depth`` is how many folders down names may lie.
    """

    place: str
    label: str = ""
    identity: str = ""
    pattern: re.Pattern[str] | None = None
    depth: int | None = None
    any_suffix: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that was named: trees, and single files as (place, name to keep).

    Places are absolute, so that the ledger knows them again from any folder.
    """

    trees: tuple[Tree, ...]
    files: tuple[tuple[str, str], ...]
    twice: int = 0

    @property
    def is_endless(self) -> bool:
        """Whether more may come: only folders can be watched."""
        return bool(self.trees)


def resolve(inputs: Sequence[str], *, stdin: BinaryIO | None = None) -> Inputs:
    """Look at every input once and read the lists.

    A folder (or ``s3://bucket/prefix``), a file, an address, a pattern (``photos/**/*.jpg``), ``-``
    for a list on stdin, ``@list.txt`` for a list in a file (a file whose name begins with @ is
    ``./@name``). A list holds one path or URL a line, relative to the working folder; blank lines
    and those that begin with # are skipped, and if it holds a NUL, NULs separate its names.
    Raises ``InputNotFound`` for what is not there, ``BadOption`` for what cannot be meant.
    """
    trees: list[Tree] = []
    single: list[str] = []
    listed: list[str] = []
    for given in inputs:
        if given == "-":
            listed += _lines((stdin or sys.stdin.buffer).read(_MAX_LIST_BYTES + 1), "stdin")
        elif given.startswith("@") and not os.path.lexists(given):
            listed += _lines(_list_file(given[1:]), given)
        elif tree := _tree(given):
            trees.append(tree)
        else:
            single.append(_file(given))
    if inputs and not (trees or single or listed):
        lists = ", ".join("on stdin" if given == "-" else given for given in inputs)
        raise InputNotFound(f"the list {lists} is empty", hint="one path or URL a line")
    files = [(place, storage.base_name(place)) for place in single]
    for line in listed:
        if _suffix(line) not in PICTURES and not storage.is_web(line) and storage.is_folder(line):
            trees.append(Tree(line, label=_written(line), identity=_written(line)))
        else:
            files.append((line, _written(line)))
    return _settled(trees, files, alone=len(inputs) == 1 and not listed)


def check_places(inputs: Inputs, out: str) -> None:
    """Refuse an output that would lie among the inputs' own files.

    A folder inside an input is fine, it is never read back. Raises ``OutputNotWritable``.
    """
    if storage.is_web(out):
        raise OutputNotWritable(
            f"{storage.plain(out)} cannot be written", hint="choose a folder or s3://bucket/folder"
        )
    if not storage.is_remote(out) and os.path.lexists(out) and not os.path.isdir(out):  # noqa: PTH112
        raise OutputNotWritable(f"{out} is a file, not a folder", hint="choose another output")
    for tree in inputs.trees:
        root = _real(tree.place)
        for place in (out, storage.join(out, tree.label)):
            if _real(place) == root:
                raise OutputNotWritable(
                    f"{storage.plain(place)} is an input itself",
                    hint="choose another folder, like one inside it",
                )


def below(place: str, root: str) -> str | None:
    """The name of ``place`` below ``root``, None if it lies elsewhere; links are looked through."""
    inner, outer = _real(place), _real(root).rstrip("/" + os.sep)
    for mark in {"/", os.sep}:
        if inner.startswith(outer + mark):
            return inner[len(outer) + 1 :].replace(os.sep, "/")
    return None


def _real(place: str) -> str:
    return storage.canonical(place) if storage.is_remote(place) else os.path.realpath(place)


def takes(name: str, *, any_suffix: bool = False) -> str | None:
    """Why a folder's file of this name is left out, None if it is taken."""
    if name.startswith((".", "~")):
        return "hidden"
    return None if any_suffix or _suffix(name) in PICTURES else "not-a-picture"


def takes_folder(name: str) -> bool:
    """Whether a folder of this name is read."""
    return not name.startswith(".") and name.lower() not in _NOT_OURS


def _suffix(name: str) -> str:
    return name[name.rfind(".") + 1 :].lower()


def _list_file(path: str) -> bytes:
    if not path:
        raise BadOption("@ names no list", hint="like @list.txt, or - for a list on stdin")
    try:
        return storage.read(path, max_bytes=_MAX_LIST_BYTES)
    except InputNotFound as error:
        raise InputNotFound(f"@{path}: {error.message}", hint="check the list's path") from error


def _lines(data: bytes, source: str) -> list[str]:
    if len(data) > _MAX_LIST_BYTES:
        raise BadOption(f"the list {source} is larger than 1 GiB", hint="split it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell's > writes it
        data = data.decode("utf-16", "replace").encode("utf-8", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        lines = [part for part in data.split(b"\0") if part]
    else:
        lines = [line.rstrip(b"\r") for line in data.split(b"\n")]
        lines = [line for line in lines if line.strip() and not line.lstrip().startswith(b"#")]
    for number, line in enumerate(lines, 1):
        if len(line) > _MAX_LINE or b"\r" in line or (b"\n" in line and b"\0" not in data):
            raise BadOption(
                f"the list {source} holds no path as entry {number}", hint="one path or URL a line"
            )
    return [os.fsdecode(line) for line in lines]


def _tree(given: str) -> Tree | None:
    """A folder or a pattern; None for a file."""
    if not given.strip() or "\0" in given:
        raise InputNotFound("the path is empty", hint="name a folder or pictures")
    remote, web = storage.is_remote(given), storage.is_web(given)
    if web:
        return None
    if not remote and os.path.isdir(given):  # noqa: PTH112
        return Tree(given)
    if not (not remote and os.path.lexists(given)) and _WILD.search(given):
        return _pattern(given)
    if remote and (given.endswith("/") or _suffix(given) not in PICTURES):
        if not storage.is_folder(given):
            raise InputNotFound(
                f"nothing lies under {storage.plain(given)}", hint="check bucket and prefix"
            )
        return Tree(given.rstrip("/"))
    return None


def _file(given: str) -> str:
    if not storage.is_web(given):
        storage.stat(given)
    return given


def _pattern(given: str) -> Tree:
    text = given.replace(os.sep, "/")
    head, tail = text[: _WILD.search(text).start()].rpartition("/")[0], ""  # type: ignore[union-attr]
    rooted = text.startswith("/") and not head
    tail = text[len(head) + 1 :] if head or rooted else text
    place = head or ("/" if rooted else ".")
    if "://" in head + "/" and head.endswith(":/"):
        raise BadOption(f"{given}: the bucket's name cannot be a pattern", hint="name the bucket")
    if not storage.is_folder(place):
        raise InputNotFound(
            f"no such folder: {storage.plain(place)} (of the pattern {given})",
            hint="check the path",
        )
    parts = tail.split("/")
    return Tree(
        place,
        pattern=re.compile(_translated(parts), re.DOTALL),
        depth=None if "**" in parts else len(parts) - 1,
        any_suffix=bool(re.search(r"\.[A-Za-z0-9]+\Z", parts[-1])),
    )


def _translated(parts: Sequence[str]) -> str:
    """A pattern as a regular expression; ``**`` stands for any folders, also none."""
    out = []
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            out.append(".*" if last else "(?:[^/]+/)*")
            continue
        text = ""
        for piece in re.findall(r"\[[!^]?\]?[^\]/]*\]|.", part, re.DOTALL):
            if piece == "*":
                text += "[^/]*"
            elif piece == "?":
                text += "[^/]"
            elif len(piece) > 2 and piece[0] == "[":
                inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
                text += f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
            else:
                text += re.escape(piece)
        out.append(text + ("" if last else "/"))
    return "".join(out) + r"\Z"


def _written(place: str) -> str:
    """The name that an entry of a list keeps: its path without root, drive and ``..``."""
    if storage.is_remote(place):
        rest = place.partition("://")[2]
        if storage.is_web(place):
            host, _, _path = storage.plain(place).partition("://")[2].partition("/")
            folders = storage.plain(place).partition("://")[2].split("/")[1:-1]
            rest = "/".join([host, *folders, storage.base_name(place)])
    else:
        rest = os.path.splitdrive(os.path.normpath(place))[1].replace(os.sep, "/")
    parts = [part for part in rest.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "picture"


def _settled(trees: list[Tree], files: list[tuple[str, str]], *, alone: bool) -> Inputs:
    """Without what is named twice; folders of the same name told apart."""
    kept: list[Tree] = []
    twice = 0
    plain = [tree.place for tree in trees if tree.pattern is None]
    places = {storage.canonical(place) for place in plain}
    seen: set[tuple[str, str]] = set()
    for tree in trees:
        key = (storage.canonical(tree.place), tree.pattern.pattern if tree.pattern else "")
        inside = any(_inside(key[0], other) for other in places)
        if key in seen or inside or (tree.pattern is not None and key[0] in places):
            twice += 1
            continue
        seen.add(key)
        kept.append(tree)
    names_of = [tree.label or storage.base_name(tree.place) or "root" for tree in kept]
    folded = [names.fold(name) for name in names_of]
    labelled = []
    for tree, name, text in zip(kept, names_of, folded, strict=True):
        clash = folded.count(text) > 1
        own = f"{name}-{names.digest(storage.canonical(tree.place))[:6]}" if clash else name
        label = "" if alone and not tree.label else "/".join(map(names.safe, own.split("/")))
        place = storage.canonical(tree.place)
        labelled.append(Tree(place, label, own, tree.pattern, tree.depth, tree.any_suffix))
    single, dropped = _once(files, places)
    return Inputs(tuple(labelled), tuple(single), twice + dropped)


def _inside(place: str, root: str) -> bool:
    return place != root and place.startswith(
        (root.rstrip("/") + "/", root.rstrip(os.sep) + os.sep)
    )


def _once(files: list[tuple[str, str]], trees: set[str]) -> tuple[list[tuple[str, str]], int]:
    seen: set[str] = set()
    kept = []
    for place, name in files:
        whole = storage.canonical(place)
        if whole in seen or (
            trees
            and takes(storage.base_name(place)) is None
            and any(_inside(whole, tree) for tree in trees)
        ):
            continue
        seen.add(whole)
        kept.append((whole, name))
    return kept, len(files) - len(kept)
