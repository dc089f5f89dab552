"""What it takes to have a tool, asked of the tool itself: sizes, first run, features, licence.

Every command runs in the tool's own environment, with a home of its own and without a network, so
that nothing the user keeps helps one side. What no command can find out stays None, or comes from
``tools.toml`` with its source in ``how``.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cleancut.bench.measure import Sample, printed_json, run_once
from cleancut.bench.sides import neutral_environ
from cleancut.catalog import find
from cleancut.compare.comparison import Deployment
from cleancut.compare.downloads import download_bytes, without_addresses
from cleancut.compare.peers import NO_WAY_OUT
from cleancut.compare.places import Place
from cleancut.compare.tools import Probe, ToolRow, filled, tool
from cleancut.errors import CleancutError, RunError
from cleancut.imaging.decode import decode
from cleancut.imaging.files import read_bytes, write_atomic

#: Runs argv in an environment for so many seconds; ``RunError`` if it fails. A seam.
Run = Callable[[Sequence[str], Mapping[str, str], float], Sample]

_CHILD = Path(__file__).with_name("child_deployment.py")
_HELP_S, _CUT_S = 180.0, 300.0
_HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR")
#: One tool names its cutouts after its inputs, whatever they are.
_PICTURES = (".png", ".jpg", ".jpeg", ".webp")
#: Where other tools are told to look for weights or settings.
_LEADS = ("U2NETP_", "HF_", "TORCH_", "TRANSPARENT_BACKGROUND_", "GRADIO_", "NO_PROXY", "no_proxy")


def deployment(
    places: Mapping[str, Place | None],
    work: Path,
    *,
    downloads: bool = False,
    tell: Callable[[str], None],
    run: Run | None = None,
) -> tuple[Deployment, ...]:
    """One row for every tool of ``places`` (None: it is not installed here), in that order.

    ``work`` takes homes and pictures. With ``downloads`` pip is asked, over the network, how large
    the archives are. Raises ``BadOption`` for a tool that ``tools.toml`` lacks.
    """
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, place in places.items():
        row = tool(name)
        if place is None:
            rows.append(_from_documents(row))
            continue
        tell(f"what it takes to have {name}: size, first run, features")
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=work) as folder:
            inquiry = _Inquiry(row, place, Path(folder), run or _run)
            rows.append(inquiry.answer(downloads=downloads))
    return tuple(rows)


def _run(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> Sample:
    return run_once(argv, env, timeout_s=timeout_s)


def _from_documents(row: ToolRow) -> Deployment:
    """What is known of a tool that is not installed: nothing measured."""
    mb, how = _default_weights(row)
    return Deployment(
        tool=row.name,
        default_model=row.default_model,
        default_weights_mb=mb,
        needs_gpu=row.needs_gpu if row.needs_gpu_how else None,
        how={
            "install_mb": "not installed here",
            "default_model": f"not asked here; {row.default_model_how}",
            "default_weights_mb": how,
            **({"needs_gpu": row.needs_gpu_how} if row.needs_gpu_how else {}),
        },
    )


def _default_weights(row: ToolRow) -> tuple[float | None, str]:
    if row.default_weights:
        spec = find(row.default_weights)
        return spec.weights[0].bytes / 1e6, f"the catalog's row {spec.id}"
    return row.default_weights_mb, row.default_weights_how


class _Inquiry:
    """All questions to one tool; every command is run once, whoever asks."""

    def __init__(self, row: ToolRow, place: Place, work: Path, run: Run) -> None:
        self._row = row
        self._place = place
        self._work = work
        self._run = run
        self._how: dict[str, str] = {}
        self._said: dict[tuple[str, ...], str | RunError] = {}
        self._count = 0
        self._picture = work / "images" / "disc.jpg"
        self._picture.parent.mkdir()
        write_atomic(self._picture, _disc())
        self._apart = self._without_a_network()

    def answer(self, *, downloads: bool) -> Deployment:
        """The row; whatever fails leaves its field None and says why in ``how``."""
        child = self._sizes()
        sizes = child.get("bytes") or {}
        version = str(child.get("version", ""))
        download = self._downloads(child) if downloads and version else None
        model = self._default_model()
        weights_mb, self._how["default_weights_mb"] = _default_weights(self._row)
        first = self._first_run()
        features = {}
        for probe in self._row.features:
            answer = self._ask(probe)
            if answer is not None:
                features[probe.key] = answer
        return Deployment(
            tool=self._row.name,
            version=version,
            install_mb=_mb(child) if sizes else None,
            download_mb=download,
            packages=len(sizes) or None,
            first_run_offline=first,
            needs_gpu=self._needs_gpu(cut=bool(first or features.get("offline"))),
            default_model=model,
            default_weights_mb=weights_mb,
            features=features,
            licence=str(child.get("licence", "")),
            how=self._how,
        )

    def _child(self, extras: Sequence[str]) -> dict[str, Any]:
        words = [str(self._place.python), "-P", str(_CHILD), self._row.package]
        words += [json.dumps(extras), self._row.module]
        return printed_json(self._run(words, self._env(), _HELP_S))

    def _sizes(self) -> dict[str, Any]:
        try:
            told = self._child(self._row.extras)
            alone = self._child(()) if self._row.extras else told
        except RunError as error:
            self._how["install_mb"] = error.message
            return {}
        how = f"the files that pip recorded for {self._row.requirement} and what it requires"
        for key, reason in (("missing", "not installed"), ("unlisted", "without a list of files")):
            if told.get(key):
                how += f"; {reason}, so not counted: {', '.join(told[key])}"
        if own := [f"{key} {number}" for key, number in told["versions"].items() if "+" in number]:
            how += f"; of builds that the package index does not serve: {', '.join(own)}"
        if self._row.extras:
            how += f"; {self._row.package} without extras: {_mb(alone):.0f} MB"
        if told.get("source"):
            how += "; the package itself from its source folder, with its bundled weights"
        self._how["install_mb"] = how
        self._how["licence"] = f"the metadata of {self._row.package}"
        return told

    def _downloads(self, child: Mapping[str, Any]) -> float | None:
        try:
            found, self._how["download_mb"] = download_bytes(
                self._row, child, self._place.python, self._work / "downloads", self._run
            )
        except CleancutError as error:
            self._how["download_mb"] = without_addresses(error.message)
            return None
        return found / 1e6

    def _default_model(self) -> str:
        row = self._row
        self._how["default_model"] = row.default_model_how
        if not row.default_model_run:
            return row.default_model
        said = self._say(row.default_model_run)
        if isinstance(said, RunError) or not said.strip():
            self._how["default_model"] = f"not asked here; {row.default_model_how}"
            return row.default_model
        return said.strip().splitlines()[-1][:80]

    def _first_run(self) -> bool:
        """Whether the tool's own command for one picture wrote a cutout, freshly installed."""
        wrote, why = self._wrote(self._row.cut, {})
        self._how["first_run_offline"] = f"{self._shown(self._row.cut)}: {why}"
        return wrote

    def _needs_gpu(self, *, cut: bool) -> bool | None:
        if cut:
            self._how["needs_gpu"] = "it cut a picture with every GPU hidden from it"
            return False
        if self._row.needs_gpu_how:
            self._how["needs_gpu"] = self._row.needs_gpu_how
            return self._row.needs_gpu
        return None

    def _ask(self, probe: Probe) -> bool | None:
        shown = self._shown(probe.run) + (f" ({probe.note})" if probe.note else "")
        if probe.kind != "says" and not (self._place.lent or self._row.default_weights):
            self._how[probe.key] = "not tried: none of its weights are here"
            return None
        if probe.kind == "wrote":
            wrote, why = self._wrote(probe.run, self._place.lent)
            self._how[probe.key] = f"{shown}, its weights there: {why}"
            return wrote
        if probe.kind == "kept":
            kept, why = self._kept(probe.run)
            self._how[probe.key] = f"{shown}, twice: {why}"
            return kept
        said = self._say(probe.run)
        if isinstance(said, RunError):
            self._how[probe.key] = f"{shown} failed: {_last_words(said)}"
            return None
        self._how[probe.key] = shown
        return re.search(probe.finds, said) is not None

    def _say(self, words: tuple[str, ...]) -> str | RunError:
        if words not in self._said:
            try:
                argv = filled(words, self._fields())
                self._said[words] = self._run(argv, self._env(), _HELP_S).stdout
            except RunError as error:
                self._said[words] = error
        return self._said[words]

    def _wrote(self, words: tuple[str, ...], lent: Mapping[str, str]) -> tuple[bool, str]:
        fields = self._fields()
        try:
            argv = [*self._apart, *filled(words, fields)]
            self._run(argv, {**self._env(), **lent}, _CUT_S)
        except RunError as error:
            return False, f"no cutout ({_last_words(error)})"
        made = Path(fields["outputs"]).rglob("*.png")
        reasons = [_flaw(path) for path in sorted(made) if path.is_file()]
        if not reasons:
            return False, "it ended without an error and wrote no picture"
        return (True, "it wrote a cutout") if "" in reasons else (False, reasons[0])

    def _kept(self, words: tuple[str, ...]) -> tuple[bool | None, str]:
        fields = self._fields()
        argv = [*self._apart, *filled(words, fields)]
        env = {**self._env(), **self._place.lent}
        written = []
        for _ in range(2):
            try:
                self._run(argv, env, _CUT_S)
            except RunError as error:
                return None, f"not known, it failed ({_last_words(error)})"
            files = [p for p in Path(fields["outputs"]).rglob("*") if p.suffix in _PICTURES]
            written.append({path: path.stat().st_mtime_ns for path in files})
        if not written[0]:
            return None, "not known, it wrote no picture"
        kept = written[0] == written[1]
        return kept, "the second run left the file alone" if kept else "it was cut again"

    def _fields(self) -> dict[str, str]:
        """What commands name; output and folder of outputs are new every time."""
        self._count += 1
        outputs = self._work / f"outputs{self._count}"
        outputs.mkdir()
        return {
            "python": str(self._place.python),
            "bin": str(self._place.python.parent),
            "image": str(self._picture),
            "images": str(self._picture.parent),
            "output": str(outputs / "cutout.png"),
            "outputs": str(outputs),
        }

    def _env(self) -> dict[str, str]:
        """A new user's: a home with nothing in it, no way out, no GPU."""
        home = self._work / f"home{self._count}"
        home.mkdir(exist_ok=True)
        env = {name: v for name, v in neutral_environ().items() if not name.startswith(_LEADS)}
        env |= {**NO_WAY_OUT, **dict.fromkeys(_HOMES, str(home))}
        return {**env, "CUDA_VISIBLE_DEVICES": "-1", "COLUMNS": "100"}

    def _without_a_network(self) -> list[str]:
        """Words that start a command without any network, where the kernel lets a user do so."""
        if (unshare := shutil.which("unshare")) is None:
            return []
        words = [unshare, "--map-root-user", "--net", "--"]
        try:
            self._run([*words, str(self._place.python), "-c", "pass"], self._env(), _HELP_S)
        except RunError:
            return []
        return words

    def _shown(self, words: tuple[str, ...]) -> str:
        names = {"python": "python", "image": "IMAGE", "output": "OUTPUT", "images": "FOLDER"}
        shown = filled(words, {**names, "outputs": "FOLDER", "bin": ""})
        return " ".join(f'"{word}"' if " " in word else word.removeprefix("/") for word in shown)


def _mb(told: Mapping[str, Any]) -> float:
    return float(sum(told["bytes"].values())) / 1e6


def _last_words(error: RunError) -> str:
    """The last thing a failed command said, without folders of this machine."""
    said = error.message.rpartition(" failed: ")[2]
    return re.sub(r"(/[\w.+@-]+){2,}/", "", said)[:160]


def _flaw(path: Path) -> str:
    """Why a picture is no cutout, or "": it must hide something and show something."""
    try:
        alpha = decode(read_bytes(path)).alpha
    except CleancutError as error:
        return f"what it wrote is no picture ({error.message[:80]})"
    if alpha is None or alpha.min() == alpha.max():
        return "it wrote a picture from which nothing was cut"
    return ""


def _disc() -> bytes:
    """A photograph's worth of JPEG: a shaded red disc before a plain grey wall, 480x360."""
    import cv2
    import numpy as np

    y, x = np.mgrid[0:360, 0:480].astype(np.float32)
    wall = 150 + 30 * y / 360
    rgb = np.stack([wall, wall, wall], axis=2)
    inside = (x - 240) ** 2 + (y - 190) ** 2 < 110**2
    shade = 1 - 0.5 * ((x - 200) ** 2 + (y - 150) ** 2) / 160**2
    rgb[inside] = (np.array([60.0, 40.0, 210.0]) * shade[..., None])[inside]
    noise = np.random.default_rng(0).normal(0, 3, rgb.shape)
    done, data = cv2.imencode(".jpg", np.clip(rgb + noise, 0, 255).astype(np.uint8))
    assert done
    return bytes(data)
