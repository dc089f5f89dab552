"""Other tools that cut videos: rembg's ``b``, and backgroundremover with our weights."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cleancut.bench.measure import Sample, run_once
from cleancut.bench.peer import MARK, Run, environment, prepared, run_quietly, versions
from cleancut.bench.sides import Tell, neutral_environ
from cleancut.catalog import find
from cleancut.errors import CleancutError, MissingDependency
from cleancut.models.load import Placing, open_session
from cleancut.weights.archives import take_from_tarball
from cleancut.weights.digest import sha256_of
from cleancut.weights.packages import Packages

VERSION = "0.4.5"
REQUIREMENT = f"backgroundremover=={VERSION}"
#: The network that both can run; backgroundremover's other two are of 176 MB each.
MODEL = "u2netp"
#: A build without CUDA is a tenth of the size, but not every index has one. torchvision's compiled
#: half is then left out: an old release warns of that, where new ones refuse to be imported.
_SMALL = ("torch==2.13.0+cpu", "torchvision==0.15.2")
_ASKED = ("backgroundremover", "torch", "moviepy", "onnx")
_FFMPEG = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
#: ffprobe is in no wheel of backgroundremover's; this is where it comes from without a system's.
_FFPROBE = "@ffprobe-installer/linux-x64@5.2.0"
_FFPROBE_BYTES = 78_926_144
_FFPROBE_SHA256 = "576c21674291ec1948d507ea8ab0d78eb6621a0be8c6f1a6db0f50c5fcb1e0f9"
_CHILD = Path(__file__).with_name("child_remover.py")
#: Where moviepy fails at a file, backgroundremover waits for its frames for ever.
_PATIENCE_S = 1200.0

RunVideo = Callable[[list[str], Mapping[str, str]], Sample]


def _patiently(argv: list[str], env: Mapping[str, str]) -> Sample:
    return run_once(argv, env, timeout_s=_PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Remover:
    """backgroundremover: its command, environment, versions; ``run_once`` is a seam."""

    command: Path
    env: Mapping[str, str]
    versions: Mapping[str, str]
    run_once: RunVideo = _patiently

    def transparent(self, clip: Path, target: Path) -> Sample:
        """The subject of ``clip`` as ProRes 4444 with alpha.

        Not over a colour: it has no such command, and the one for an image (-toi) fails with
        FFmpeg 9, whose filters do not take its graph.
        """
        return self._run(clip, target, "-tv")

    def matte(self, clip: Path, target: Path) -> Sample:
        """The matte as a grey video."""
        return self._run(clip, target, "-mk")

    def _run(self, clip: Path, target: Path, *words: str) -> Sample:
        from cleancut.errors import RunError

        target.unlink(missing_ok=True)
        # It opens the output before it begins, so a file that is there says nothing.
        argv = [str(self.command), "-i", str(clip), "-m", MODEL, *words, "-o", str(target)]
        sample = self.run_once(argv, self.env)
        if not target.is_file() or target.stat().st_size == 0:
            raise RunError("backgroundremover ended without an error and wrote no video")
        return sample

    def copy_beginning(self, clip: Path, seconds: float, target: Path) -> Path:
        """The video stream of the first ``seconds`` of ``clip``, with the same packets.

        moviepy 2.2.1 stumbles over timecode tracks, which cameras and editors write.
        """
        words = ["-v", "error", "-y", "-i", str(clip), "-map", "0:v:0", "-t", f"{seconds:g}"]
        words += ["-c", "copy", "-map_metadata", "-1", str(target)]
        self.run_once([self._program("ffmpeg"), *words], self.env)
        return target

    def join_pictures(self, pattern: Path, rate: int, target: Path) -> Path:
        """Numbered pictures as a video that looks the same (H.264, crf 4, full chroma)."""
        words = ["-v", "error", "-y", "-framerate", str(rate), "-i", str(pattern)]
        words += ["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv444p", str(target)]
        self.run_once([self._program("ffmpeg"), *words], self.env)
        return target

    def split(self, clip: Path, folder: Path) -> None:
        """Every frame of a grey video as a numbered picture."""
        words = ["-v", "error", "-y", "-i", str(clip), "-pix_fmt", "gray", "-start_number", "0"]
        self.run_once([self._program("ffmpeg"), *words, str(folder / "%05d.png")], self.env)

    def _program(self, name: str) -> str:
        return shutil.which(name, path=self.env.get("PATH")) or name


def remover_or_reason(
    venv: Path | None, work: Path, tell: Tell, run: Run | None = None
) -> tuple[Remover | None, str]:
    """backgroundremover with our u2netp, and a line about it; None and the reason without it.

    ``venv`` is where it is or will be installed, None to leave it out.
    """
    if venv is None:
        return None, "backgroundremover: left out, as asked"
    try:
        remover, difference = prepare(venv.absolute(), work, tell=tell, run=run)
    except CleancutError as error:
        return None, f"backgroundremover: not measured, since {error.message}"
    numbers = ", ".join(f"{name} {number}" for name, number in remover.versions.items())
    return remover, (
        f"backgroundremover: {numbers}; its {MODEL} was made from the file that cleancut runs "
        f"(the networks' answers differ by {difference:.0e} at most)"
    )


def prepare(
    folder: Path, work: Path, *, tell: Tell, run: Run | None = None
) -> tuple[Remover, float]:
    """backgroundremover in the environment ``folder`` as in ``installed``, with our weights.

    ``work`` takes the lent weights. The second value is how far its network's answer is from ours.
    Raises as ``installed`` does, and ``WeightsMissing``, ``DownloadFailed``.
    """
    run = run or run_quietly
    python, command, found = installed(folder, tell=tell, run=run)
    _step([str(command), "--help"], folder, run)
    tell("lending our weights to backgroundremover")
    weights, difference = lend_weights(python, folder, work, run)
    env = {**neutral_environ(), "U2NETP_PATH": str(weights)}
    tools = _tools(python, folder, run)
    env["PATH"] = os.pathsep.join([*map(str, tools), env.get("PATH", os.defpath)])
    return Remover(command, env, found), difference


def installed(
    folder: Path, *, tell: Tell, run: Run | None = None
) -> tuple[Path, Path, dict[str, str]]:
    """Python, command and versions of backgroundremover in ``folder``, made if it is not there.

    An environment that somebody else made is used if it is complete and never changed.
    ``run(argv, timeout_s)`` runs a command and returns its stdout; a seam. Raises
    ``MissingDependency`` with the reason.
    """
    run = run or run_quietly
    python, command = environment(
        folder, "backgroundremover", tell=tell, run=run, flag="--remover-venv"
    )
    found = _versions(python, folder, run)
    if "backgroundremover" not in found or "onnx" not in found or not command.exists():
        if not (folder / MARK).exists():
            raise MissingDependency(
                f"{folder} lacks {REQUIREMENT} or onnx, and nothing is installed into an "
                "environment that this benchmark did not make",
                hint="give a new folder: --remover-venv",
            )
        tell(f"installing {REQUIREMENT} into {folder} (torch alone is 0.2 to 5 GB)")
        _install(python, folder, run)
        found = _versions(python, folder, run)
    if found.get("backgroundremover") != VERSION:
        raise MissingDependency(
            f"{folder} holds backgroundremover {found.get('backgroundremover')}, not {VERSION}",
            hint="give a new folder: --remover-venv",
        )
    return python, command, found


def _install(python: Path, folder: Path, run: Run) -> None:
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input"]
    pip.append("--disable-pip-version-check")
    try:
        _step([*pip, _SMALL[0]], folder, run)
        small = True
    except MissingDependency:
        small = False
    _step([*pip, REQUIREMENT, "onnx", *_SMALL[:small]], folder, run)
    if small:
        _step([*pip, "--no-deps", _SMALL[1]], folder, run)


def lend_weights(python: Path, folder: Path, work: Path, run: Run) -> tuple[Path, float]:
    """A state dict that holds our network, and how far the two answers are apart."""
    from cleancut.weights.resolve import resolve

    spec = find(MODEL)
    session = open_session(spec, Placing(backend="ort", precision="f32"))
    name = next(iter(session.inputs))
    question = np.random.default_rng(0).standard_normal((1, 3, 320, 320)).astype(np.float32)
    answer = session.run({name: question})[session.outputs[0]]
    work.mkdir(parents=True, exist_ok=True)
    probe, target = work / "probe.npz", work / f"{MODEL}.pth"
    np.savez(probe, input=question, output=answer)
    words = [str(python), str(_CHILD), str(resolve(spec).path), str(probe), str(target)]
    told = json.loads(_step(words, folder, run).strip().splitlines()[-1])
    return target, float(told["difference"])


def _tools(python: Path, folder: Path, run: Run) -> list[Path]:
    """Folders to put before ``PATH``, so that ffmpeg and ffprobe are found."""
    missing = [name for name in ("ffmpeg", "ffprobe") if shutil.which(name) is None]
    if not missing:
        return []
    place = folder / "ffmpeg"
    place.mkdir(exist_ok=True)
    if "ffmpeg" in missing and not (place / "ffmpeg").exists():
        # moviepy brings one along.
        (place / "ffmpeg").symlink_to(_step([str(python), "-c", _FFMPEG], folder, run).strip())
    if "ffprobe" in missing:
        _fetch_ffprobe(place)
    return [place]


def _fetch_ffprobe(place: Path) -> None:
    target = place / "ffprobe"
    if target.is_file() and sha256_of(target) == _FFPROBE_SHA256:
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MissingDependency(
            "ffprobe is not installed", hint="install FFmpeg, which brings ffprobe along"
        )
    with Packages(place) as packages:
        tarball = packages.tarball(_FFPROBE)
        part = tarball.with_name("ffprobe.part")
        take_from_tarball(tarball, {"package/ffprobe": (part, _FFPROBE_BYTES)})
        if sha256_of(part) != _FFPROBE_SHA256:
            raise MissingDependency(
                f"{_FFPROBE} holds another ffprobe than expected", hint="install FFmpeg"
            )
        part.chmod(0o755)
        part.replace(target)


def _versions(python: Path, folder: Path, run: Run) -> dict[str, str]:
    return versions(python, _ASKED, folder, run, f"backgroundremover {VERSION}", "--remover-venv")


def _step(argv: list[str], folder: Path, run: Run) -> str:
    return prepared(argv, folder, run, f"backgroundremover {VERSION}", "--remover-venv")
