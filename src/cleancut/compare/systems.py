"""Who takes part: the five systems of the articles, what else cleancut has, and other tools."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cleancut.catalog import ModelSpec, find
from cleancut.compare.comparison import AUTO, RAW, System
from cleancut.compare.licence import worst
from cleancut.compare.peers import (
    TOOLS,
    Network,
    Tool,
    installed,
    licence,
    published_mb,
    weights_of,
)
from cleancut.errors import BadOption, CleancutError, MissingDependency, UnknownModel, WeightsError
from cleancut.models.choose import choose
from cleancut.models.load import Placing, weights_sha256
from cleancut.options import Options
from cleancut.weights.resolve import remedy, resolve

#: What "the network alone" means in ``Options``.
RAW_OPTIONS: Mapping[str, str | bool] = {"refine": "off", "decontaminate": False}
TOOL = "cleancut"
#: Why a tool did not run that the user wanted left out.
LEFT_OUT = "left out, as asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What the report says of a model of ours; ``raw`` lists its network alone too."""

    model: str
    title: str
    article: str = ""
    note: str = ""
    raw: bool = True


_RMBG = "Briarmask, if BRIA RMBG is meant"
_OURS = (
    _Row(model="u2netp", title="U²-Net small", article="Rembg (U²-Net)"),
    _Row(model="u2net", title="U²-Net", article="Rembg (U²-Net)"),
    _Row(
        model="deeplabv3plus-portrait",
        title="DeepLabV3+ portraits",
        article="Briarmask (DeepLabV3+ portraits)",
        note="our own network, made as the articles describe theirs; people only",
    ),
    _Row(model="bria-rmbg-2.0", title="BRIA RMBG 2.0", article=_RMBG),
    _Row(model="bria-rmbg-1.4", title="BRIA RMBG 1.4", article=_RMBG),
    _Row(model="modnet", title="MODNet", article="MODNet"),
    _Row(
        model="rvm",
        title="Robust Video Matting",
        article="Robust Video Matting",
        note="one frame, no memory of others",
    ),
    _Row(
        model="deeplabv3plus",
        title="DeepLabV3+ MobileNet",
        article="DeepLabV3+ (MobileNet)",
        note="PASCAL VOC's 20 kinds of object",
    ),
    _Row(model="isnet", title="IS-Net"),
    _Row(model=AUTO, title="cleancut auto", raw=False),
    _Row(model="cleancut-nano", title="cleancut nano"),
)


def systems(
    models: Sequence[str] = (), *, peers: Mapping[str, Path | None] | None = None
) -> tuple[System, ...]:
    """The contestants, in the report's order, each with ``reason`` where it cannot run here.

    Without ``models`` those of the articles and what they are held against. ``models`` are names of
    the catalog, "auto", paths of ``.onnx`` files, any of them with ":raw" behind it, and
    "TOOL:NETWORK" of another tool ("TOOL" is its default): what is asked for by name and not here
    is an error. ``peers`` maps a tool to its environment, None where it is left out; a tool that is
    not in it is not mentioned. Raises ``UnknownModel``, ``WeightsError``, ``MissingDependency``.
    """
    peers = peers or {}
    if models:
        named: dict[str, System] = {}
        for system in (_named(name, peers) for name in models):
            if named.setdefault(system.id, system).model != system.model:
                raise BadOption(
                    f"two models are called {system.id}", hint="rename one of the files"
                )
        return tuple(named.values())
    found: list[System] = []
    for row in _OURS:
        found.append(ours(row.model))
        if row.raw and not found[-1].reason:
            found.append(ours(row.model + RAW))
    for id_, folder in peers.items():
        found += _of_tool(_tool(id_), folder)
    return tuple(found)


def ours(name: str) -> System:
    """A model of ours by name, alias or path, with ":raw" behind it or not.

    ``UnknownModel`` if there is none of that name. Where its weights are not here it has a reason.
    """
    name, raw = name.removesuffix(RAW), name.endswith(RAW)
    try:
        members = _members(name)
    except WeightsError as error:  # auto without any network
        members, missing = (), f"{error.message}; {error.hint}"
    else:
        missing = ""
    spec = members[0] if members else None
    id_ = Path(name).name if spec and spec.path else name if name == AUTO else ""
    id_ = id_ or (spec.id if spec else name)
    row = next((row for row in _OURS if row.model == id_), None)
    title = row.title if row else _short(spec) if spec else id_
    system = System(
        id=id_ + RAW * raw,
        title=f"{title}, network alone" if raw else title,
        kind="ours",
        tool=TOOL,
        model=name if spec and spec.path else id_,
        article=row.article if row else "",
        raw=raw,
        note=_note(row, name, members),
        reason=missing,
        licence=_together(member.weight_licence or "unknown" for member in members),
        commercial=worst(member.commercial for member in members),
    )
    return system if missing else _with_weights(system, members)


def _members(name: str) -> tuple[ModelSpec, ...]:
    """The rows that a name may ask, the first of which says what the subject is."""
    if name not in (AUTO, "echo"):
        return (find(name),)
    choice = choose(Options(model=name))
    return tuple(spec for spec in (choice.lead, choice.portrait, choice.second) if spec)


def _with_weights(system: System, members: Sequence[ModelSpec]) -> System:
    """``system`` with digest and size of what it runs, or with the reason why it cannot."""
    if members[0].family == "echo":
        return system
    digests, size = [], 0
    for spec in members:
        try:
            digests.append(weights_sha256(spec, Placing()))
            size += resolve(spec).path.stat().st_size
        except WeightsError as error:
            return replace(system, reason=_lacking(spec, error), weights_mb=published_mb(spec))
    digest = digests[0]
    if len(digests) > 1:
        digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return replace(system, weights=digest, pinned=_pinned(members), weights_mb=round(size / 1e6, 2))


def _pinned(members: Sequence[ModelSpec]) -> tuple[str, ...]:
    """The sha256 of every download that the catalog knows for ``members``."""
    return tuple(weight.sha256 for spec in members for weight in spec.weights)


def _lacking(spec: ModelSpec, error: WeightsError) -> str:
    """Why a row of ours does not run here, and what to do; names no folder of this machine."""
    if error.code != "weights-missing":
        return f"its weights are damaged; {error.hint}"
    if spec.path:
        return "there is no such file"
    if not any(weight.sources for weight in spec.weights) and not spec.bundled:
        return f"no package registry has its weights: {spec.note or 'bring an ONNX export'}"
    condition = "" if spec.commercial == "yes" else "if that licence suits you, "
    return f"its weights are not here ({licence(spec)}); {condition}run: {remedy(spec)}"


def _named(name: str, peers: Mapping[str, Path | None]) -> System:
    """The one that the user named, which must be able to run."""
    tool, _, network = name.strip().partition(":")
    if tool.lower() in TOOLS:
        return _peer(TOOLS[tool.lower()], network, peers.get(tool.lower()))
    try:
        system = ours(name.strip())
    except UnknownModel as error:
        raise _unknown(name, error) from error
    if system.reason:
        for spec in _members(system.model):
            if spec.family != "echo":
                resolve(spec)  # raises what is wrong, with the next step
    return system


def _unknown(name: str, error: UnknownModel) -> UnknownModel:
    """The error for a name that nothing has, with the peer that it may be a slip for."""
    ids = [f"{tool.id}:{network.name}" for tool in TOOLS.values() for network in tool.networks]
    near = difflib.get_close_matches(name.lower(), [*TOOLS, *ids], n=1, cutoff=0.75)
    if not near:
        return error
    return UnknownModel(
        f"there is no model called {name!r}; did you mean {near[0]}?", hint=error.hint
    )


def _tool(name: str) -> Tool:
    if name not in TOOLS:
        raise UnknownModel(
            f"no tool called {name!r} can be compared", hint=f"one of: {', '.join(TOOLS)}"
        )
    return TOOLS[name]


def _peer(tool: Tool, name: str, folder: Path | None) -> System:
    """One network of another tool, by the tool's name of it; "" means its default."""
    networks = {network.name: network for network in tool.networks}
    network = networks.get(name) if name else next(n for n in tool.networks if n.default)
    if network is None:
        raise UnknownModel(
            f"{tool.id} is not compared with a network called {name!r}",
            hint=f"one of: {', '.join(f'{tool.id}:{known}' for known in networks)}",
        )
    if folder is None:
        raise MissingDependency(
            f"{tool.id}:{network.name} is asked for, and no environment for {tool.id} is given",
            hint="run: cleancut bench compare --install-peers",
        )
    installed(tool, folder)
    weights_of(tool, network)
    return _of_network(tool, network)


def _of_tool(tool: Tool, folder: Path | None) -> list[System]:
    """The rows of one tool; those that cannot run have a reason."""
    found = [_of_network(tool, network) for network in tool.networks]
    if folder is None:
        return [replace(found[0], reason=LEFT_OUT)]
    try:
        installed(tool, folder)
    except CleancutError as error:
        return [replace(found[0], reason=_told(error))]
    return found


def _of_network(tool: Tool, network: Network) -> System:
    spec = network.spec
    title = f"{tool.id}, {network.title}"
    lent = "runs the very weights that cleancut runs" if network.lent else ""
    default = "" if network.default else "not its default"
    system = System(
        id=f"{tool.id}:{network.name}",
        title=f"{title} (its default)" if network.default else title,
        kind="peer",
        tool=tool.id,
        model=network.name,
        article=network.article,
        note="; ".join(filter(None, [network.note, default, lent, tool.note])),
        licence=spec.weight_licence,
        commercial=spec.commercial,
    )
    try:
        path, digest = weights_of(tool, network)
        return replace(system, weights=digest, weights_mb=round(path.stat().st_size / 1e6, 2))
    except WeightsError as error:
        reason = _lacking(spec, error) if network.lent else _told(error)
        return replace(system, reason=reason, weights_mb=published_mb(spec) or network.mb)


def _told(error: CleancutError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _note(row: _Row | None, name: str, members: Sequence[ModelSpec]) -> str:
    """What the report says beside the title."""
    if name == AUTO and members:
        return f"asks {', '.join(spec.id for spec in members)} as the picture needs"
    return row.note if row else ""


def _short(spec: ModelSpec) -> str:
    """The catalog's title up to its first colon or comma."""
    return spec.title.partition(":")[0].partition(",")[0].strip()


def _together(licences: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(licences))
