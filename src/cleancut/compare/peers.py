"""Other tools that take part, each in an environment of its own and with its own defaults.

Their weights come from this machine: what cleancut has of the same network is lent under the
tool's own name, so that nothing of hundreds of megabytes is downloaded unasked.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cleancut.bench import peer as rembg_peer
from cleancut.bench.peer import MARK, Run, environment, prepared, run_quietly, versions
from cleancut.bench.sides import neutral_environ
from cleancut.catalog import ModelSpec, find
from cleancut.compare.tools import tool as row_of
from cleancut.errors import MissingDependency, WeightsMissing
from cleancut.weights.digest import remembered_sha256
from cleancut.weights.folders import cache_folder
from cleancut.weights.resolve import resolve

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
#: Nothing listens there (the discard service): a tool that wants to download fails at once.
NO_WAY_OUT: Mapping[str, str] = dict.fromkeys(_PROXIES, "http://127.0.0.1:9")
_OFFLINE = {
    **NO_WAY_OUT,
    "NO_PROXY": "",
    "no_proxy": "",
    "HF_HUB_OFFLINE": "1",
    # albumentations, of transparent-background, asks for its own updates.
    "NO_ALBUMENTATIONS_UPDATE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network that a tool runs: ``name`` is the tool's, ``row`` the catalog's of the same.

    Where ``lent`` the file of that row is handed to the tool. ``file`` is where the tool keeps its
    own below the home folder, of ``mb`` MB where the row does not say. ``default`` is what the tool
    takes if nothing is asked for.
    """

    name: str
    row: str
    title: str
    lent: bool = True
    file: str = ""
    mb: float | None = None
    default: bool = False
    article: str = ""
    note: str = ""

    @property
    def spec(self) -> ModelSpec:
        """The catalog's row: licence, size."""
        return find(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A package that others publish: the version measured, its program, its networks.

    ``asked`` are the packages whose versions decide its figures, itself first.
    """

    id: str
    version: str
    program: str
    asked: tuple[str, ...]
    networks: tuple[Network, ...]
    note: str = ""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{row_of(self.id).requirement}=={self.version}"

    @property
    def flag(self) -> str:
        """The option that says where it is installed."""
        return f"--{self.id}-venv"


@dataclass(frozen=True, slots=True)
class Installed:
    """A tool in an environment: its interpreter, its command, versions of what matters."""

    python: Path
    command: Path
    versions: Mapping[str, str]


_ARTICLE = "Rembg (U²-Net)"
TOOLS: Mapping[str, Tool] = {
    one.id: one
    for one in (
        Tool(
            id="rembg",
            version=rembg_peer.VERSION,
            program="rembg",
            asked=("rembg", "onnxruntime", "numpy", "pillow", "numba", "pymatting", "gradio"),
            note="multiplies the colours by alpha, its default",
            networks=(
                Network(
                    name="bria-rmbg",
                    row="bria-rmbg-2.0",
                    title="BRIA RMBG 2.0",
                    default=True,
                ),
                Network(name="u2net", row="u2net", title="U²-Net", article=_ARTICLE),
                Network(name="isnet-general-use", row="isnet", title="IS-Net"),
                Network(name="u2netp", row="u2netp", title="U²-Net small", article=_ARTICLE),
            ),
        ),
        Tool(
            id="backgroundremover",
            version="0.4.5",
            program="backgroundremover",
            asked=("backgroundremover", "torch", "numpy", "pillow", "pymatting", "moviepy"),
            note="loads its network anew for each picture and gives nothing but PNG",
            networks=(
                Network(
                    name="u2net",
                    row="u2net",
                    title="U²-Net",
                    lent=False,
                    file=".u2net/u2net.pth",
                    default=True,
                ),
                Network(name="u2netp", row="u2netp", title="U²-Net small"),
            ),
        ),
        Tool(
            id="transparent-background",
            version="1.3.4",
            program="transparent-background",
            asked=("transparent-background", "torch", "numpy", "pillow", "pymatting", "timm"),
            networks=(
                Network(
                    name="base",
                    row="inspyrenet",
                    title="InSPyReNet",
                    lent=False,
                    file=".transparent-background/ckpt_base.pth",
                    mb=367.5,  # a state dict of its network, written with other values
                    default=True,
                ),
            ),
        ),
    )
}


def installed(tool: Tool, folder: Path, run: Run | None = None) -> Installed:
    """``tool`` as it lies in the environment ``folder``, which is left as it is.

    ``run(argv, timeout_s)`` runs a command and returns its stdout; a seam. ``MissingDependency``
    if it is not there, or in another version than the one measured.
    """
    place = folder.absolute() / ("Scripts" if sys.platform == "win32" else "bin")
    suffix = ".exe" if sys.platform == "win32" else ""
    python, command = place / f"python{suffix}", place / f"{tool.program}{suffix}"
    hint = "run: cleancut bench compare --install-peers"
    hint += f", or say where it is: {tool.flag} FOLDER"
    if not python.exists():
        raise MissingDependency(f"{tool.id} is not installed for the comparison", hint=hint)
    found = versions(python, tool.asked, folder, run or run_quietly, tool.id, tool.flag)
    there = found.get(tool.asked[0])
    if there is None or not command.exists():
        raise MissingDependency(f"the environment for {tool.id} lacks {tool.id}", hint=hint)
    if there != tool.version:
        raise MissingDependency(
            f"the environment holds {tool.id} {there}, and {tool.version} is what is measured",
            hint=f"give another folder: {tool.flag}",
        )
    return Installed(python, command, found)


def prepare(
    tool: Tool, folder: Path, *, tell: Callable[[str], None], run: Run | None = None
) -> Installed:
    """``tool`` in the environment ``folder``, made and filled if it is not there.

    An environment that somebody else made is used if it is complete and never changed. Raises
    ``MissingDependency`` with the reason.
    """
    folder, run = folder.absolute(), run or run_quietly
    if tool.id == "rembg":
        rembg_peer.prepare(folder, tell=tell, run=run)
    elif tool.id == "backgroundremover":
        from cleancut.bench import video_peers

        video_peers.installed(folder, tell=tell, run=run)
    else:
        _prepare(tool, folder, tell, run)
    return installed(tool, folder, run)


def _prepare(tool: Tool, folder: Path, tell: Callable[[str], None], run: Run) -> None:
    python, _ = environment(folder, tool.program, tell=tell, run=run, flag=tool.flag)
    try:
        installed(tool, folder, run)
        return
    except MissingDependency:
        if not (folder / MARK).exists():
            raise
    tell(f"installing {tool.requirement} into {folder} (torch alone is 0.2 to 5 GB)")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input"]
    pip += ["--disable-pip-version-check", tool.requirement]
    prepared(pip, folder, run, tool.id, tool.flag)


def weights_of(tool: Tool, network: Network) -> tuple[Path, str]:
    """The file that ``network`` runs with on this machine, and its sha256.

    ``WeightsMissing`` says how to get it, how large it is and under which licence.
    """
    if network.lent:
        found = resolve(network.spec)
        return found.path, found.sha256
    path = Path.home() / network.file
    if not path.is_file():
        about = licence(network.spec, network.mb)
        raise WeightsMissing(
            f"{tool.id} has not downloaded its {network.name} yet ({about})",
            hint=f"run it once: {tool.program} {_FIRST_RUN[tool.id]}",
        )
    return path, remembered_sha256(path, cache_folder())


_FIRST_RUN = {
    "backgroundremover": "-i photo.jpg -o cutout.png",
    "transparent-background": "--source photo.jpg --dest cutouts",
}


def published_mb(spec: ModelSpec) -> float | None:
    """The size of a row's weights as they are published, in MB (10^6 bytes), where it is known."""
    size = next((weight.bytes for weight in spec.weights if weight.bytes), 0)
    return round(size / 1e6, 2) if size else None


def licence(spec: ModelSpec, mb: float | None = None) -> str:
    """Size and licence of a row's weights, as a line of text says them."""
    mb = published_mb(spec) or mb
    size = f"{mb:.0f} MB" if mb else ""
    return ", ".join(filter(None, [size, spec.weight_licence or "licence unknown"]))


def environ(
    tool: Tool, network: Network, there: Installed, work: Path, run: Run | None = None
) -> dict[str, str]:
    """The environment in which ``tool`` finds the weights of ``network`` and downloads nothing.

    ``work`` keeps what is lent. Raises ``WeightsMissing``, ``MissingDependency``.
    """
    env = {**neutral_environ(), **_OFFLINE}
    path, digest = weights_of(tool, network)
    if tool.id == "rembg":
        home = work / f"rembg-{digest[:16]}"
        rembg_peer.lend_weights({network.row: path}, home, {network.row: network.name})
        env["U2NET_HOME"] = str(home)
    elif tool.id == "backgroundremover" and network.lent:
        env["U2NETP_PATH"] = str(_as_torch(there, work, digest, run or run_quietly))
    elif tool.id == "backgroundremover":
        env["U2NET_PATH"] = str(path)
    else:
        env["TRANSPARENT_BACKGROUND_FILE_PATH"] = str(Path.home())
    return env


def _as_torch(there: Installed, work: Path, digest: str, run: Run) -> Path:
    """Our u2netp as the state dict that backgroundremover reads, made once."""
    from cleancut.bench import video_peers

    target = work / f"{video_peers.MODEL}-{digest[:16]}.pth"
    if target.is_file():
        return target
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix=".making-") as folder:
        made, _ = video_peers.lend_weights(there.python, there.python.parent, Path(folder), run)
        os.replace(made, target)  # noqa: PTH105 - two runs may make it at once
    return target
