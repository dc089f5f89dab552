"""What ``cleancut doctor --report`` writes: all that a bug report needs, and nothing personal."""

from __future__ import annotations

import getpass
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from cleancut import __version__
from cleancut.catalog import ModelSpec
from cleancut.cli.doctor import Line
from cleancut.errors import WeightsError

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|COOKIE|REDIS|_URL|PROXY", re.I)
#: Settings that change what pip and npm reach; what they say is nobody's business.
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PIP_INDEX_URL", "SSL_CERT_FILE")
_SHORTEST_SECRET = 4


def markdown(lines: Iterable[Line], environ: Mapping[str, str]) -> str:
    """The report; ``lines`` are doctor's findings.

    Home folder, user, host, passwords in addresses and values of secret variables are left out,
    wherever they turn up.
    """
    findings = [
        (
            "!" if line.problem else "",
            line.topic,
            f"{line.what}{line.problem and ': '}{line.problem}",
        )
        for line in lines
    ]
    tables = (
        ("cleancut doctor --report", ("", ""), _system()),
        ("Packages", ("package", "version"), _packages()),
        ("Models", ("model", "where", "sha256", "licence of the weights"), _models()),
        ("Findings", ("", "about", "found"), findings),
        ("Settings", ("variable", "value"), _settings(environ)),
    )
    return "\n".join(_table(title, head, rows, environ) for title, head, rows in tables)


def without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """``text`` without what names a person or a machine, or opens a door."""
    for name, value in environ.items():
        if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    text = re.sub(r"(\w+://)\S*@", r"\1***@", text)  # to the last @: passwords have any sign
    text = re.sub(r"(\w+://[^\s?]*)\?\S*", r"\1?***", text)
    for home in _homes(environ):
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for word, stand_in in _names():
        text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", stand_in, text, flags=re.I)
    return text


def _homes(environ: Mapping[str, str]) -> list[str]:
    found = {environ.get("HOME", ""), environ.get("USERPROFILE", "")}
    with suppress(RuntimeError, OSError):
        found |= {str(Path.home()), str(Path.home().resolve())}
    return sorted((home for home in found if len(home) > 1), key=len, reverse=True)


def _names() -> list[tuple[str, str]]:
    """User and host as a report would betray them; words that are on every machine stay."""
    users = set()
    with suppress(OSError, KeyError, ImportError):
        users.add(getpass.getuser())
    hosts = {platform.node(), platform.node().split(".")[0]}
    pairs = [(user, "USER") for user in users] + [(host, "HOST") for host in hosts]
    plain = ("", "root", "localhost", "user", "python", "cleancut", sys.platform)
    return sorted((pair for pair in pairs if pair[0].lower() not in plain), reverse=True)


def _system() -> list[tuple[str, ...]]:
    from cleancut.backends import machine

    libc = " ".join(platform.libc_ver())
    return [
        ("cleancut", __version__),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()} {libc}".strip()),
        ("processor", f"{machine.cpu_model()}, {machine.cpu_limit()} cores usable"),
        ("installed", "editable" if _is_editable() else "from a wheel"),
        ("virtual environment", "yes" if sys.prefix != sys.base_prefix else "no"),
    ]


def _is_editable() -> bool:
    return "site-packages" not in str(Path(__file__)) and "dist-packages" not in str(Path(__file__))


def _packages() -> list[tuple[str, ...]]:
    """Every package that cleancut or one of its extras names, as it is here."""
    with suppress(metadata.PackageNotFoundError):
        names = {
            re.split(r"[^\w.-]", text, maxsplit=1)[0].lower()
            for text in metadata.requires("cleancut") or ()
        }
        names |= {"onnxruntime-gpu", "onnxruntime-directml", "opencv-python"}
        return [(name, version) for name in sorted(names) if (version := _version(name))]
    return [("cleancut", "has no metadata: not installed by pip")]


def _version(name: str) -> str:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return ""


def _models() -> list[tuple[str, ...]]:
    from cleancut.catalog import catalog
    from cleancut.weights.resolve import is_pulled

    try:
        return [_model(spec) for spec in catalog().values() if is_pulled(spec)]
    except OSError as error:
        return [("unknown", f"a folder cannot be looked at ({error.strerror})", "", "")]


def _model(spec: ModelSpec) -> tuple[str, ...]:
    from cleancut.weights.resolve import resolve

    try:
        found = resolve(spec)
    except (WeightsError, OSError) as error:
        return (spec.id, f"{error}", "", spec.weight_licence)
    return (spec.id, found.where, found.sha256[:16], spec.weight_licence)


def _settings(environ: Mapping[str, str]) -> list[tuple[str, ...]]:
    ours = [
        (name, "(set)" if _SECRET.search(name) else value)
        for name, value in sorted(environ.items())
        if name.startswith("CLEANCUT_")
    ]
    others = sorted(name for name in environ if name.upper() in _NETWORK)
    return [*ours, *((name, "(set)") for name in others)] or [("none", "")]


def _table(
    title: str,
    head: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    environ: Mapping[str, str],
) -> str:
    text = f"### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
    for row in rows:
        # Secrets go first: one with a | in it would not be known again behind the escape.
        told = (without_secrets(cell, environ) for cell in row)
        cells = (" ".join(cell.replace("|", "\\|").split()) for cell in told)
        text += f"| {' | '.join(cells)} |\n"
    return text
