"""What a training run is: everything that decides its outcome, in one TOML file."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from cleancut.errors import BadOption
from cleancut.toml import tomllib

Kind = Literal["nano", "portrait", "onnx"]
Subject = Literal["any", "person"]
Precision = Literal["auto", "f32", "bf16", "f16"]
#: Configurations that come with the package, as NAME.toml.
_FOLDER = Path(__file__).with_name("configs")
_MOST_BYTES = 1 << 20
#: Largest numbers of what takes memory; what is beyond them is a slip of the pen.
_MOST = {"batch": 4096, "steps": 100_000_000}


@dataclass(frozen=True, slots=True)
class Shares:
    """What a batch is made of, as shares that are scaled to a sum of 1.

    ``photo``: a photograph as it is, with its teacher's matte. ``composite``: a subject with a
    matte of high agreement on another background. ``portrait``: like photo or composite, cut to the
    upper part of a person. ``drawn``: logos and text. ``empty``: pictures without a subject.
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
    agreement of the teacher's views (0..1) below which a photograph is not used,
    ``composite_agreement`` that below which it is not put on other backgrounds. ``crop`` is the
    smallest share of a photograph's sides that a crop keeps, ``degrade`` the chance that a picture
    is blurred, darkened, compressed and so on.

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
    """How much each loss counts; see ``losses``. ``feature`` makes the start a teacher."""

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
    (for ``kind = "onnx"``; looked for in the run's folder first), a checkpoint of another run, or
    nothing. The learning rate rises over
    ``warmup`` steps and falls along a cosine to ``final_rate`` times its peak; an encoder gets
    ``encoder_rate`` times as much, less where it knows something already. ``ema`` is the
    decay of the averaged weights. What is evaluated and exported is ``blend`` of these and the rest
    of the start's weights: a student that has learnt much knows again what it forgot (WiSE-FT,
    Wortsman et al., arXiv 2109.01903).
    """

    name: str = "student"
    kind: Kind = "nano"
    start: str = ""
    size: int = 320
    sizes: tuple[int, ...] = ()
    batch: int = 6
    steps: int = 6000
    rate: float = 1e-4
    final_rate: float = 0.02
    encoder_rate: float = 1.0
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    blend: float = 1.0
    precision: Precision = "auto"
    seed: int = 8
    save_every: int = 100
    eval_every: int = 500
    data: Data = field(default_factory=Data)
    losses: LossWeights = field(default_factory=LossWeights)


def find_config(name: str) -> Path:
    """The file ``name``, or that of a configuration that comes with the package ("nano").

    Raises ``BadOption`` where there is neither.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    shipped = _FOLDER / f"{name}.toml"
    if re.fullmatch(r"[a-z0-9-]+", name) and shipped.is_file():
        return shipped
    raise BadOption(
        f"there is no configuration called {name!r}",
        hint=f"give a .toml file, or one of: {', '.join(shipped_configs())}",
    )


def shipped_configs() -> tuple[str, ...]:
    """The names of the configurations that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_config(path: Path) -> TrainConfig:
    """The configuration in a TOML file; tables ``data``, ``data.shares`` and ``losses``.

    Raises ``BadOption`` for anything that it does not know or that cannot be.
    """
    values = _read(path)
    data = _table(values, "data", f"{path}")
    shares = _made(Shares, _table(data, "shares", f"{path}: [data]"), f"{path}: [data.shares]")
    where = f"{path}: [data.weights]"
    weights = {
        key: _typed(value, "float", f"{where} {key}")
        for key, value in _table(data, "weights", f"{path}: [data]").items()
    }
    made = _made(Data, data, f"{path}: [data]", shares=shares, weights=weights)
    losses = _made(LossWeights, _table(values, "losses", f"{path}"), f"{path}: [losses]")
    config: TrainConfig = _made(TrainConfig, values, str(path), data=made, losses=losses)
    check_config(config, str(path))
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
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def check_config(config: TrainConfig, where: str) -> None:
    """Raise ``BadOption`` where a value cannot be; ``where`` is what the message begins with."""
    for name, value, allowed in (
        ("kind", config.kind, get_args(Kind)),
        ("precision", config.precision, get_args(Precision)),
        ("data.subject", config.data.subject, get_args(Subject)),
    ):
        if value not in allowed:
            raise BadOption(f"{where}: {name} = {value!r}", hint=f"one of: {', '.join(allowed)}")
    for side in (config.size, *config.sizes):
        if not 64 <= side <= 2048 or side % 32:
            raise BadOption(f"{where}: size {side}", hint="a multiple of 32 from 64 to 2048")
    for name in ("batch", "steps", "save_every", "eval_every"):
        number, most = getattr(config, name), _MOST.get(name, _MOST["steps"])
        if not 1 <= number <= most:
            raise BadOption(f"{where}: {name} = {number}", hint=f"from 1 to {most:,}")
    data, shares = config.data, asdict(config.data.shares)
    ranges: dict[str, tuple[float, float, float]] = {
        "rate": (config.rate, 0, 10),
        "final_rate": (config.final_rate, 0, 1),
        "encoder_rate": (config.encoder_rate, 0, 100),
        "warmup": (config.warmup, 0, _MOST["steps"]),
        "weight_decay": (config.weight_decay, 0, 10),
        "clip": (config.clip, 1e-6, 1e9),
        "ema": (config.ema, 0, 0.999999),
        "blend": (config.blend, 0, 1),
        "seed": (config.seed, 0, 2**63 - 1),
        "data.crop": (data.crop, 0.05, 1),
        "data.degrade": (data.degrade, 0, 1),
        "data.min_agreement": (data.min_agreement, 0, 1),
        "data.composite_agreement": (data.composite_agreement, 0, 1),
        **{f"data.shares.{name}": (value, 0, 1e6) for name, value in shares.items()},
        **{f"data.weights.{name}": (value, 0, 1e6) for name, value in data.weights.items()},
        **{f"losses.{name}": (value, 0, 1e6) for name, value in asdict(config.losses).items()},
    }
    for name, (given, low, high) in ranges.items():
        if not low <= given <= high:
            raise BadOption(f"{where}: {name} = {given:g}", hint=f"from {low:g} to {high:g}")
    for name, table in (("data.shares", shares), ("losses", asdict(config.losses))):
        if not any(table.values()):
            raise BadOption(f"{where}: all of {name} are 0", hint="set one above 0")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise BadOption(f"{path}: larger than 1 MB", hint="give a configuration")
        return tomllib.loads(text.decode("utf-8"))
    except FileNotFoundError as error:
        raise BadOption(f"{path}: there is no such file", hint="see docs/training.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadOption(f"{path}: not valid TOML ({error})") from error
    except OSError as error:
        raise BadOption(f"{path}: cannot be read ({error.strerror})") from error


def _table(values: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """The table ``name``, taken out of ``values``; empty where there is none."""
    table = values.pop(name, {})
    if not isinstance(table, dict):
        raise BadOption(f"{where}: {name} is a table", hint=f"write [{name}] on a line of its own")
    return table


def _made(kind: Any, values: dict[str, Any], where: str, **more: Any) -> Any:
    types = {one.name: str(one.type) for one in fields(kind) if one.name not in more}
    if unknown := sorted(set(values) - set(types)):
        raise BadOption(
            f"{where}: unknown key {unknown[0]!r}", hint=f"known keys: {', '.join(types)}"
        )
    typed = {key: _typed(value, types[key], f"{where} {key}") for key, value in values.items()}
    return kind(**typed, **more)


def _typed(value: Any, kind: str, where: str) -> Any:
    """``value`` as what an annotation says; TOML's true is no number, its 1 is one of both."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "float" and number and math.isfinite(value):
        return float(value)
    if kind == "int" and number and value == int(value):
        return int(value)
    if kind.startswith("tuple["):
        if isinstance(value, list):
            return tuple(_typed(one, kind[6:].partition(",")[0], where) for one in value)
        raise BadOption(f"{where} = {value!r:.60} is not a list", hint="see docs/training.md")
    if kind not in ("float", "int") and isinstance(value, str):
        return value
    wanted = {"float": "a number", "int": "a whole number"}.get(kind, "a text")
    raise BadOption(f"{where} = {value!r:.60} is not {wanted}", hint="see docs/training.md")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
