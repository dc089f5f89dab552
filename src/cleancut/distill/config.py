"""What a training run is: everything that decides its outcome, in one TOML file."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from cleancut.errors import BadOption

Kind = Literal["nano", "portrait", "onnx"]
Subject = Literal["any", "person"]
Precision = Literal["auto", "f32", "bf16", "f16"]


@dataclass(frozen=True, slots=True)
class Shares:
    """What a batch is made of, as shares that are scaled to a sum of 1.

    ``photo``: a photograph as it is, with its teacher's matte. ``composite``: a subject with a matte
    of high agreement on another background. ``portrait``: like photo or composite, cut to the upper
    part of a person. ``drawn``: logos and text. ``empty``: pictures without a subject.
    """

    photo: float = 0.35
    composite: float = 0.3
    portrait: float = 0.15
    drawn: float = 0.1
    empty: float = 0.1


@dataclass(frozen=True, slots=True)
class Data:
    """The training pictures.

    ``weights`` are how much oftener or rarer than once a pass the labelled photographs of a prefix
    (what their names begin with, up to "_") are drawn; 0 leaves them out. ``min_agreement`` is the
    agreement of the teacher's views (0..1) below which a photograph is not used, ``composite_agreement`` that below
    which it is not put on other backgrounds. ``crop`` is the smallest share of a photograph's
    sides that a crop keeps, ``degrade`` the chance that a picture is blurred, darkened, compressed and so on.

    With ``subject = "person"`` pictures of anything else are to have an empty matte (``people``
    says how they are told apart); every labelled photograph of the prefixes ``people`` shows a
    person, also where no face was found.
    """

    shares: Shares = field(default_factory=Shares)
    weights: dict[str, float] = field(default_factory=dict)
    min_agreement: float = 0.7
    composite_agreement: float = 0.9
    crop: float = 0.5
    degrade: float = 0.5
    subject: Subject = "any"
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each loss counts; see ``losses``. ``feature`` asks for the start's encoder as a teacher."""

    l1: float = 1.0
    bce: float = 0.5
    laplacian: float = 4.0
    gradient: float = 0.0
    structure: float = 0.0
    feature: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One run. Sizes in pixels; ``size`` is the side of the square pictures, a multiple of 32, and
    ``sizes``, if given, are the sides that are drawn from instead, step by step.

    ``start`` is what the student begins from: a model of the catalog ("modnet"), an ``.onnx`` file
    (for ``kind = "onnx"``), a checkpoint of another run, or nothing. The learning rate rises over
    ``warmup`` steps and falls along a cosine to ``final_rate`` times its peak. ``ema`` is the
    decay of the averaged weights, which are what is evaluated and exported.
    """

    name: str = "student"
    kind: Kind = "nano"
    start: str = ""
    size: int = 320
    sizes: tuple[int, ...] = ()
    batch: int = 6
    steps: int = 6000
    rate: float = 2e-4
    final_rate: float = 0.02
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    precision: Precision = "auto"
    seed: int = 8
    save_every: int = 100
    eval_every: int = 500
    data: Data = field(default_factory=Data)
    losses: LossWeights = field(default_factory=LossWeights)


def load_config(path: Path) -> TrainConfig:
    """The configuration in a TOML file; tables ``data``, ``data.shares`` and ``losses``.

    Raises ``BadOption`` for anything that it does not know or that cannot be.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadOption(f"{path}: there is no such file", hint="see docs/training.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadOption(f"{path}: not valid TOML ({error})") from error
    data = dict(values.pop("data", {}))
    shares = _made(Shares, data.pop("shares", {}), f"{path}: [data.shares]")
    weights = {str(key): float(value) for key, value in data.pop("weights", {}).items()}
    data["people"] = tuple(map(str, data.get("people", ())))
    made = _made(Data, data, f"{path}: [data]", shares=shares, weights=weights)
    losses = _made(LossWeights, values.pop("losses", {}), f"{path}: [losses]")
    if "sizes" in values:
        values["sizes"] = tuple(values["sizes"])
    config: TrainConfig = _made(TrainConfig, values, str(path), data=made, losses=losses)
    _check(config, path)
    return config


def config_text(config: TrainConfig) -> str:
    """The configuration as TOML, every value spelt out; ``load_config`` reads it back."""
    values = asdict(config)
    data, losses = values.pop("data"), values.pop("losses")
    shares, weights = data.pop("shares"), data.pop("weights")
    tables = {"": values, "data": data, "data.shares": shares, "losses": losses}
    if weights:
        tables["data.weights"] = weights
    lines = []
    for name, table in tables.items():
        lines += [f"\n[{name}]"] if name else []
        lines += [f"{key} = {_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def _made(kind: Any, values: dict[str, Any], where: str, **more: Any) -> Any:
    known = [one.name for one in fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise BadOption(
            f"{where}: unknown key {unknown[0]!r}", hint=f"known keys: {', '.join(known)}"
        )
    return kind(**values, **more)


def _check(config: TrainConfig, path: Path) -> None:
    if config.kind not in get_args(Kind):
        raise BadOption(f"{path}: kind = {config.kind!r}", hint=f"one of {get_args(Kind)}")
    if config.precision not in get_args(Precision):
        raise BadOption(
            f"{path}: precision = {config.precision!r}", hint=f"one of {get_args(Precision)}"
        )
    if config.data.subject not in get_args(Subject):
        raise BadOption(
            f"{path}: subject = {config.data.subject!r}", hint=f"one of {get_args(Subject)}"
        )
    for side in (config.size, *config.sizes):
        if not 64 <= side <= 2048 or side % 32:
            raise BadOption(f"{path}: size {side}", hint="a multiple of 32 from 64 to 2048")
    for name in ("batch", "steps", "save_every", "eval_every"):
        if getattr(config, name) < 1:
            raise BadOption(f"{path}: {name} must be at least 1")
    if min(asdict(config.data.shares).values()) < 0 or not sum(asdict(config.data.shares).values()):
        raise BadOption(f"{path}: shares must not be negative, and one must be above 0")
