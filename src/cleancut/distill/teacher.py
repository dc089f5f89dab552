"""Who labels: the teacher as it is written down, and the folder that its labels go to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleancut.distill.labels import ABOUT, LOOKS, MATTES, ROWS, SPREADS, VIEWS, read_about
from cleancut.errors import BadOption, Busy, OutputNotWritable, WeightsError, WeightsMissing
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.models.choose import check, choose
from cleancut.models.load import Placing, weights_sha256
from cleancut.version import PIPELINE_VERSION, __version__
from cleancut.weights.lock import held

if TYPE_CHECKING:
    from cleancut.catalog import ModelSpec
    from cleancut.options import Options

_LOCK = ".cleancut-lock"
#: Facts about a teacher whose change makes other mattes, and of each of its networks.
_IDENTITY, _NETWORK = ("model", "recipe", "refine", "minmax", "pipeline"), ("id", "sha256")


def described(options: Options) -> dict[str, Any]:
    """The teacher that ``options`` mean as plain JSON values: networks, licences, training data.

    Raises ``UnknownModel``, ``LicenceRefused``, ``WeightsMissing`` (also where "auto" has nothing
    but the small network of the package), ``WeightsCorrupt``.
    """
    check(options)
    choice = choose(options)
    if options.model == "auto" and choice.lead.bundled:
        raise WeightsMissing(
            f"{choice.lead.id} is the only network here, and it is a student itself",
            hint="run: cleancut models pull",
        )
    placing = Placing(options.backend, options.device, options.precision)
    specs = [spec for spec in (choice.lead, choice.portrait, choice.second) if spec is not None]
    return {
        "model": Path(options.model).name,
        "recipe": options.recipe,
        "refine": options.refine,
        "minmax": options.minmax,
        "pipeline": PIPELINE_VERSION,
        "version": __version__,
        "networks": [_network(spec, placing) for spec in specs],
        "notes": list(choice.notes),
    }


def _network(spec: ModelSpec, placing: Placing) -> dict[str, Any]:
    sha256 = weights_sha256(spec, placing)
    return {**spec.card(), "sha256": sha256}


@contextmanager
def claimed(
    target: Path, photos: Path, teacher: dict[str, Any], *, fresh: bool, adopt: bool
) -> Iterator[None]:
    """Hold the folder ``target``, which is made, for labels of ``teacher``.

    ``fresh`` removes labels that are there; ``adopt`` lets ``views/`` of unknown origin stand.
    Raises ``BadOption`` for a folder that holds other things or another teacher's labels,
    ``Busy`` if another process has it, ``OutputNotWritable``.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(target, error) from error
    try:
        with held(target / _LOCK, waiting=lambda: _refuse(target)):
            _open(target, teacher, fresh=fresh, adopt=adopt)
            _sweep(target)
            about = {"format": 1, "photos": str(photos.resolve()), "teacher": teacher}
            write_atomic(target / ABOUT, json.dumps(about, indent=1).encode())
            yield
    except WeightsError as error:
        if "lock" not in error.message:
            raise
        raise OutputNotWritable(error.message, hint="choose a folder on a local disk") from error
    except OSError as error:
        raise not_writable(target, error) from error


def _refuse(target: Path) -> None:
    raise Busy(
        f"another process is labelling into {target}", hint="wait for it, or choose another folder"
    )


def _open(target: Path, teacher: dict[str, Any], *, fresh: bool, adopt: bool) -> None:
    """See that ``target`` is empty or holds labels of ``teacher``."""
    try:
        about = read_about(target)
    except BadOption:
        if not fresh:
            raise
        about = {}
    if about is None:
        foreign = sorted(path.name for path in target.iterdir() if path.name != _LOCK)
        if foreign and not (adopt and LOOKS in foreign):
            raise BadOption(
                f"{target} holds no labels but other things, like {foreign[0]}",
                hint="choose another folder; --adopt takes over mattes in its views/",
            )
        return
    if fresh:
        for name in (MATTES, SPREADS, LOOKS):
            shutil.rmtree(target / name, ignore_errors=True)
        for name in (ROWS, VIEWS, ABOUT):
            (target / name).unlink(missing_ok=True)
        return
    if (before := _identity(about.get("teacher"))) != (now := _identity(teacher)):
        raise BadOption(
            f"{target} holds labels of another teacher ({_difference(before, now)})",
            hint="choose another folder, or remove them with --fresh",
        )


def _sweep(target: Path) -> None:
    """Remove the half-written files that a killed run has left."""
    for name in (MATTES, SPREADS, LOOKS):
        for path in (target / name).rglob(".cleancut-*.part"):
            path.unlink(missing_ok=True)


def _identity(teacher: Any) -> dict[str, Any]:
    """What of a teacher's description decides its mattes."""
    if not isinstance(teacher, dict):
        return {}
    networks = teacher.get("networks")
    facts = {name: teacher.get(name) for name in _IDENTITY}
    facts["networks"] = [
        " ".join(str(one.get(name)) for name in _NETWORK)
        for one in (networks if isinstance(networks, list) else [])
        if isinstance(one, dict)
    ]
    return facts


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The first fact in which two identities differ, for a person."""
    for name, value in now.items():
        if before.get(name) != value and name != "networks":
            return f"{name}: {before.get(name)}, now {value}"
    old, new = (
        " + ".join(network.split(" ")[0] for network in facts.get("networks", ()))
        for facts in (before, now)
    )
    return f"{old}, now {new}" if old != new else f"{new} with other weights"
