"""What a cutout is called: safe on every system, alike in every run, no two the same.

Every name is made from the source's own name first, ``<stem>.<suffix of the output>``. Where two
names of one folder would be the same, all of them keep the suffix of their source
(``a.jpg.png``, ``a.png.png``); where even that is taken, they carry a digest of the source's name.
So a name depends on the folder's contents, never on their order. Names are compared as disks do
that ignore case (Windows, macOS) and the two ways of writing an accent (Unicode NFC and NFD).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

#: Longest name of one file or folder, in bytes of UTF-8. File systems take 255; temporary names
#: and other programs' copies ("... (copy 2)") want some of it.
MAX_BYTES = 200

#: Names that Windows keeps for devices, whatever the suffix (Win32 "Naming Files").
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\Z", re.I)
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_ ()+,=@-]*(?:\.[A-Za-z0-9_-]+)*\Z")
_UNSAFE = re.compile(
    '[\x00-\x1f\x7f-\x9f<>:"/\\\\|?*\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]'
)


def digest(text: str) -> str:
    """16 hexadecimal digits that stand for ``text`` (BLAKE2b, 64 bits)."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def fold(name: str) -> str:
    """The same text for every name that some disk takes for the same file."""
    if name.isascii():
        return name.lower()
    composed = unicodedata.normalize("NFC", name)
    return unicodedata.normalize("NFC", composed.casefold())


def safe(component: str) -> str:
    """The name of one file or folder, made fit for Linux, macOS and Windows.

    Not fit are control characters, ``<>:"/\\|?*``, marks that turn the writing direction, bytes
    that are no text, a leading dot (hidden, and cleancut's own folder), a dot or blank at the end,
    ``.``, ``..``, the names of devices (``CON``), and more than ``MAX_BYTES`` bytes.
    """
    if len(component) <= 60 and _PLAIN.match(component) and not _is_device(component):
        return component if component[-1] not in " ." else _trimmed(component)
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", component))
    name = _trimmed(name)
    if name.startswith("."):
        name = "_" + name[1:]
    name = name or "_"
    if _is_device(name):
        head, dot, tail = name.partition(".")
        name = f"{head.rstrip()}_{dot}{tail}"
    return _shortened(name, "", component)


def _trimmed(name: str) -> str:
    kept = name.rstrip(". ")
    return kept if kept == name else kept + "_"


def _is_device(name: str) -> bool:
    return _DEVICES.match(name.partition(".")[0].rstrip()) is not None


def _shortened(name: str, ending: str, source: str) -> str:
    """``name`` + ``ending``, cut to ``MAX_BYTES``; a digest of ``source`` tells cut ones apart."""
    room = MAX_BYTES - len(ending.encode("utf-8"))
    if len(name.encode("utf-8")) <= room:
        return name + ending
    cut = name.encode("utf-8")[: room - 9].decode("utf-8", "ignore").rstrip(". ")
    return f"{cut}-{digest(source)[:8]}{ending}"


def split(name: str) -> tuple[str, str]:
    """Stem and suffix (with its dot, "" if there is none) of a file's name."""
    at = name.rfind(".")
    return (name, "") if at <= 0 or at == len(name) - 1 else (name[:at], name[at:])


def choices(path: str, suffix: str, whole: str = "") -> Iterator[str]:
    """Names for the cutout of the file ``path``, the best first; ``suffix`` like "png".

    Folders in ``path`` (with /) are kept, each made safe. ``whole`` tells files of one path apart.
    The answer is the same for the same arguments, always; the last one is as good as unique.
    """
    above, slash, name = path.rpartition("/")
    if slash:
        above = "/".join(map(safe, above.split("/"))) + "/"
    stem, own = split(name)
    ending = f".{suffix}"
    yield above + _shortened(safe(stem), ending, path)
    if own:
        yield above + _shortened(safe(stem + own), ending, path)
    mark = digest(whole or path)
    for length in (6, 16):
        yield above + _shortened(safe(stem), f"-{mark[:length]}{ending}", path)


def targets(
    files: Sequence[str],
    suffix: str,
    *,
    reserved: Collection[str] = (),
    wholes: Sequence[str] = (),
) -> list[str]:
    """The cutouts' names for the ``files`` of one folder, in their order.

    The files of a list are one folder, too; their names then hold folders. ``reserved`` are names
    that none may have, those of folders beside them; ``wholes`` are the files' whole paths, where
    two may have one name.
    """
    first = [next(choices(name, suffix)) for name in files]
    # Two passes over numbers instead of one over lists of names: a folder may hold a million.
    taken = {fold(name) for name in reserved}
    seen: set[str] = set()
    twice: set[str] = set()
    for name in first:
        folded = fold(name)
        if folded in seen or folded in taken:
            twice.add(folded)
        seen.add(folded)
    if not twice:
        return first
    taken |= seen
    return _without_doubles(files, suffix, first, twice, taken, wholes or files)


def _without_doubles(
    files: Sequence[str],
    suffix: str,
    first: list[str],
    twice: set[str],
    taken: set[str],
    wholes: Sequence[str],
) -> list[str]:
    left = [at for at, name in enumerate(first) if fold(name) in twice]
    for level in range(1, 4):
        groups: dict[str, list[int]] = {}
        for at in left:
            options = list(choices(files[at], suffix, wholes[at]))
            first[at] = options[min(level, len(options) - 1)]
            groups.setdefault(fold(first[at]), []).append(at)
        left = [
            at for name, group in groups.items() if len(group) > 1 or name in taken for at in group
        ]
        taken |= groups.keys() - {fold(first[at]) for at in left}
        if not left:
            break
    return first


def folders(names: Sequence[str], *, reserved: Collection[str] = ()) -> list[str]:
    """What the folders ``names``, which lie in one folder, are called in the output, in order."""
    best = [safe(name) for name in names]
    counts: dict[str, int] = {fold(name): 1 for name in reserved}
    for name in best:
        counts[fold(name)] = counts.get(fold(name), 0) + 1
    return [
        name if counts[fold(name)] == 1 else f"{name}-{digest(own)[:6]}"
        for name, own in zip(best, names, strict=True)
    ]


def alternatives(name: str, job_id: str) -> Iterator[str]:
    """``name`` as it was planned, then names that no other job can have been given."""
    yield name
    above, slash, own = name.rpartition("/")
    stem, ending = split(own)
    for mark in (job_id[:6], job_id):
        room = MAX_BYTES - len(mark) - len(ending.encode("utf-8")) - 1
        short = stem.encode("utf-8")[:room].decode("utf-8", "ignore")
        yield f"{above}{slash}{short}-{mark}{ending}"
